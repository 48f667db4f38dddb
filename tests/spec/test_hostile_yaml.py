import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vecmig.errors import SpecError
from vecmig.migration import Project
from vecmig.spec.load import load

from .conftest import SPEC, Load, Problems

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "more than 100,000 values"),
        ("a: &a [*a]", "contains itself"),
        ("a: *b", "no anchor"),
        ("[" * 100_000, "nested more than 64 deep"),
        ("{a: " * 100_000, "nested more than 64 deep"),
        ("a:\n\tb: 1", "a tab cannot indent"),
        ("a: b\0c", "U+0000"),
        ('a: "b\\0c"', "U+0000"),
        ('a: "\\ud800"', "U+D800"),
        ('a: "\\UFFFFFFFF"', "this is not YAML"),
        ("a: 1\na: 2", "stands twice, first in line 1"),
        ("? [a]\n: 1", "a key is a text"),
        ("a: 1\n---\nb: 2", "one YAML document"),
        ("a: !!python/object/apply:os.system [id]", "means nothing here"),
        ("a: [1, 2", "this is not YAML"),
        ("a: 'x", "this is not YAML"),
        ("a: b: c", "this is not YAML"),
        ("<<: 5", "`<<` takes a mapping"),
        ("a: " + "9" * 5000, "64 bits"),
        ("x" * (1 << 20) + ": 1", "larger than"),
    ],
    ids=range(20),
)
def test_hostile_text_is_a_problem_and_quickly(problems: Problems, text: str, message: str) -> None:
    started = time.monotonic()
    assert message in " ".join(problem.message for problem in problems(text))
    assert time.monotonic() - started < 5


def test_a_line_of_a_megabyte_is_shown_in_part(problems: Problems) -> None:
    found = problems("name: 5\nx: " + "y" * 1_000_000 + "\n")
    assert all(len(problem.excerpt) < 500 and len(problem.message) < 500 for problem in found)


def test_an_expression_without_quotes_is_explained(problems: Problems) -> None:
    found = problems(SPEC + "index: {m: {{ vars.m }}}\n")
    assert any("in quotes" in problem.hint for problem in found)


def test_anchors_aliases_and_merge_keys_save_typing(loaded: Load) -> None:
    text = SPEC.replace("kb: {", "kb: &kb {").replace("{type: memory, collection: new}", "{<<: *kb, collection: new}")
    options = loaded(text).migrations[0].target.options
    assert options.collection == "new"


def test_a_problem_in_what_an_alias_stands_for_is_told_where_it_is_written(problems: Problems) -> None:
    text = SPEC.replace("kb: {", "kb: &kb {x: 1, ").replace(
        "{type: memory, collection: new}", "{<<: *kb, collection: new}"
    )
    assert {problem.position.line for problem in problems(text) if problem.position} == {4}


KEYS = st.sampled_from(
    ["version", "name", "vars", "environments", "sources", "targets", "index", "fields", "verification", "migrations", "type",
     "where", "all", "search", "filters", "vectors", "embedding", "dimensions", "kb", "memory", "collection", "1", "<<"]
)  # fmt: skip
LEAVES = st.sampled_from(
    ["1", "0", "-1", "1.5", "memory", "pgvector", "kb", "~", "yes", '"{{ vars.a }}"', '"{{ env.B }}"', '"{{"', "2026-02-30", '"\\0"', "''", "*a", "&a b"]
)  # fmt: skip
FLOW = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs) + "}"
        )
    ),
    max_leaves=15,
)
DOCUMENTS = st.lists(st.tuples(KEYS, FLOW), max_size=6).map(lambda pairs: "".join(f"{k}: {v}\n" for k, v in pairs))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | DOCUMENTS | DOCUMENTS.map(SPEC.__add__))
@example("\x85\u2028")
@example("!<tag:yaml.org,2002:int> x: !!int y")
@example("%TAG ! !\n---\n!x y")
@example("&")
@example("version: 1\nname: x\nmigrations: [{name: a, source: [b], target: {}}]")
def test_any_text_is_a_project_or_a_spec_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vecmig.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    try:
        found: Project | str = load(str(path))
    except SpecError as error:
        found = str(error)
    assert found


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary())
def test_any_bytes_are_a_project_or_a_spec_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "vecmig.yaml"
    path.write_bytes(raw)
    with pytest.raises(SpecError):
        load(str(path))
