"""A function of the user's own, in a file beside the spec, takes the place of a provider."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.end_to_end.conftest import Site, rows

SPEC = """\
version: 1
name: kb
providers:
  mine: {type: python, call: "own_model_of_the_test:embed", path: ., max_items: 16}
sources:
  s: {type: snapshot, path: source, embedding: {model: openai/text-embedding-ada-002}}
targets:
  t: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}
embedding: {model: mine/by-length, text: "{{ title }}"}
verification: {search: {queries: {sample: 5}, top_k: 3}}
migrations:
  - {name: m, source: s, target: t}
"""
FUNCTION = """\
def embed(texts):
    return [[float(len(text)), float(sum(map(ord, text))), 1.0] for text in texts]
"""


@pytest.fixture
def own(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site.store(rows(range(50)))
    site.spec(SPEC)
    (site.directory / "own_model_of_the_test.py").write_text(FUNCTION)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield site
    sys.modules.pop("own_model_of_the_test", None)


def test_what_it_makes_is_loaded_verified_and_costs_nothing(own: Site) -> None:
    plan = own.run("plan")
    assert plan.code == 0, plan.err
    assert "openai/text-embedding-ada-002 (8) -> mine/by-length (3)" in " ".join(plan.out.split())
    assert "price unknown" not in plan.out
    assert own.apply()["reports"][0]["verdict"] == "passed"
    title = "Nr. 7 ü"
    assert own.sql("select embedding::text from kb where id = 'r7'") == [(f"[{len(title)},{sum(map(ord, title))},1]",)]
    own.settled()


@pytest.mark.parametrize("dimensions", ["", ", dimensions: 3"], ids=["to be found out", "said"])
def test_the_plan_says_how_long_it_takes_by_the_speed_of_the_function(
    own: Site, dimensions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = "asked = 0\n" + FUNCTION.replace(":\n", ":\n    global asked\n    asked += len(texts)\n", 1)
    (own.directory / "own_model_of_the_test.py").write_text(counted)
    clock = SimpleNamespace(monotonic=lambda: 10.0 * getattr(sys.modules.get("own_model_of_the_test"), "asked", 0))
    monkeypatch.setattr("vecmig.embedding.evidence.time", clock)
    own.edit("mine/by-length", f"mine/by-length{dimensions}")
    plan = " ".join(own.run("plan").out.split())
    assert "mine/by-length (3) RE-EMBED" in plan
    assert "embedding 3 m, then load" in plan, "10 s for each of the 18 texts that were not embedded to try the model"


def test_its_own_error_is_told_with_its_place_and_without_a_text(own: Site) -> None:
    (own.directory / "own_model_of_the_test.py").write_text("def embed(texts):\n    raise ValueError(texts[0])\n")
    failed = own.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "ValueError at " in failed.err
    assert "own_model_of_the_test.py:2" in failed.err
    assert "Nr." not in failed.err


def test_another_revision_is_another_model(own: Site) -> None:
    own.apply()
    (own.directory / "own_model_of_the_test.py").write_text(FUNCTION.replace("1.0]", "-5000.0]"))
    sys.modules.pop("own_model_of_the_test")
    assert own.run("verify").code == 0, "what is in the cache counts: the spec names the same model"
    own.edit("max_items: 16}", 'max_items: 16, revision: "2"}')
    assert own.run("verify").code == 7, "the new revision makes other vectors"
