"""A model is retired: vectors are made anew of the texts, proven, and paid for once."""

import json

import numpy as np
import psycopg
import pytest

from tests.doubles.openai import Double, Fault
from tests.end_to_end.conftest import Site
from tests.end_to_end.reembed import NEW, SPEC, documents, prepared, vectors_of
from tests.openai_server import openai_double as openai_double
from vecmig.model.record import Key


@pytest.fixture
def retired(site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> Site:
    prepared(site, openai_double, monkeypatch)
    return site


def test_the_plan_says_why_what_it_costs_and_what_the_probe_found(retired: Site) -> None:
    plan = retired.run("plan")
    assert plan.code == 0, plan.err
    assert "200 records to embed" in plan.out
    assert "RE-EMBED: different models" in plan.out.replace("\n                ", " ")
    assert "no probe: their lengths differ" not in plan.out
    assert "probe: 32 texts" in plan.out
    assert "embedding with openai/text-embedding-3-small" in plan.out


def test_every_text_is_embedded_once_and_the_vectors_are_those_of_the_new_model(
    retired: Site, openai_double: Double
) -> None:
    outcome = retired.apply()
    assert outcome["reports"][0]["records"]["matching"] == 200
    retired.settled()
    assert not openai_double.ledger.twice, "the probe's texts are among those that the load embeds"
    assert len(openai_double.ledger.charged) == 200
    made = documents(openai_double, range(3), model=NEW)
    stored = dict(retired.sql("select id, embedding::text from kb where id in ('d0', 'd1', 'd2')"))
    for record in made:
        vector = np.asarray(record["vector:"], np.float32)[:64]
        there = np.asarray(json.loads(stored[record["id"]]), np.float32)
        assert there @ vector / np.linalg.norm(vector) > 0.9999


def test_a_second_apply_embeds_the_texts_that_changed_and_no_others(retired: Site, openai_double: Double) -> None:
    retired.apply()
    changed = documents(openai_double, [3, 7], version=1)
    retired.store(changed, vectors_of(changed))
    retired.remove([Key("", "d9")])
    retired.edit("target: t}", "target: t, prune: true}")
    outcome = retired.apply()
    assert outcome["reports"][0]["verdict"] == "passed"
    assert sorted(openai_double.ledger.charged) == [
        f"Nr. {n}\n\n{each['metadata']['text']}" for n, each in zip((3, 7), changed, strict=True)
    ]
    retired.settled()


def test_a_record_without_a_text_stops_the_run_or_is_put_aside(retired: Site, openai_double: Double) -> None:
    records = documents(openai_double, [500])
    records[0]["metadata"] = {"n": 500}
    retired.store(records, vectors_of(records))
    failed = retired.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "'d500' cannot be moved: it has no text to embed" in failed.err
    retired.edit("target: t}", "target: t, on_bad_record: quarantine}")
    outcome = retired.apply()
    assert outcome["quarantined"] == 1
    assert not openai_double.ledger.twice


def test_a_text_that_the_provider_refuses_is_found_in_its_batch_and_put_aside(
    retired: Site, openai_double: Double
) -> None:
    openai_double.poison.add("123,")
    failed = retired.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "'d123' cannot be moved: openai/text-embedding-3-small refuses its text" in failed.err
    retired.edit("target: t}", "target: t, on_bad_record: quarantine}")
    assert retired.apply()["quarantined"] == 1
    assert retired.sql("select count(*) from kb") == [(199,)]
    assert not openai_double.ledger.twice


def test_the_budget_stops_the_run_before_the_request_that_would_exceed_it(retired: Site, openai_double: Double) -> None:
    retired.edit("max_items: 64}", "max_items: 64, usd_per_million_tokens: {text-embedding-3-small: 1000}}")
    retired.edit("execution:", "limits: {max_usd: 2}\nexecution:")
    stopped = retired.run("apply", "--auto-approve")
    assert stopped.code == 6, stopped.err
    assert "more than limits.max_usd (2.00)" in stopped.err
    assert not openai_double.ledger.charged or sum(openai_double.ledger.charged.values()) <= 32, "the probe alone"


def test_the_budget_holds_over_a_run_that_failed_and_the_next(retired: Site, openai_double: Double) -> None:
    retired.edit("max_items: 64}", "max_items: 10, usd_per_million_tokens: {text-embedding-3-small: 1000}}")
    retired.run("plan")
    probe = openai_double.ledger.tokens
    openai_double.faults.add(Fault.quota(), skip=10)
    failed = retired.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "(spent so far: " in failed.err
    paid = (openai_double.ledger.tokens - probe) / 1000
    openai_double.faults.clear()
    limit = 1.2 * paid  # so much that the rest alone is within it, as the plan of the next run estimates
    retired.edit("execution:", f"limits: {{max_usd: {limit}}}\nexecution:")
    stopped = retired.run("apply", "--auto-approve")
    assert stopped.code == 6, stopped.err
    assert "embedding stops here: USD " in stopped.err
    assert paid < (openai_double.ledger.tokens - probe) / 1000 <= limit
    assert not openai_double.ledger.twice


def test_a_wrong_key_is_said_and_nothing_is_written(retired: Site, openai_double: Double) -> None:
    openai_double.keys = {"another"}
    failed = retired.run("plan")
    assert failed.code == 1
    assert "OPENAI_API_KEY" in failed.err or "api_keys" in failed.err
    assert "sk-secret-of-the-test" not in failed.err + failed.out


def test_without_a_probe_and_without_a_key_the_labels_are_trusted(
    retired: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    plan = retired.run("plan", "--no-probe")
    assert plan.code == 0, plan.err
    assert "RE-EMBED: different models" in plan.out.replace("\n                ", " ")
    assert "no probe: --no-probe" in plan.out
    assert not openai_double.ledger.charged


def test_what_left_the_cache_is_unknown_and_no_success(retired: Site, openai_double: Double) -> None:
    retired.apply()
    assert retired.run("cache", "clear").out == "Removed 200 embeddings.\n"
    verified = retired.run("verify", "--json")
    assert verified.code == 7, verified.err
    report = json.loads(verified.out)["reports"][0]
    assert report["verdict"] == "unknown"
    assert report["records"]["unknown"] > 0
    assert report["records"]["mismatched"] == 0
    with psycopg.connect(retired.dsn, autocommit=True) as connection:
        connection.execute("update kb set embedding = (select embedding from kb where id = 'd1')")
    retired.run("cache", "clear", "--all")
    lied = retired.run("verify", "--json")
    assert json.loads(lied.out)["reports"][0]["verdict"] == "failed", "vectors that are another record's"


def test_the_same_label_and_another_model_stops_unless_the_labels_are_trusted(
    retired: Site, openai_double: Double
) -> None:
    retired.spec(
        SPEC.replace(
            "embedding: {model: openai/text-embedding-ada-002}", "embedding: {model: openai/text-embedding-3-small}"
        ).replace(", dimensions: 64", "")
    )
    stopped = retired.run("plan")
    assert stopped.code == 6, stopped.err + stopped.out
    assert "not shown to be the same" in stopped.err
    retired.edit('{{ text }}"', '{{ text }}", trust_labels: true')
    trusted = retired.run("plan")
    assert trusted.code == 0, trusted.err
    assert "COPY: same model" in trusted.out


def test_another_label_of_the_same_model_is_copied(retired: Site, openai_double: Double) -> None:
    openai_double.models["ada-by-another-name"] = openai_double.models["text-embedding-ada-002"]
    retired.edit("model: openai/text-embedding-3-small, dimensions: 64", "model: openai/text-embedding-ada-002")
    retired.edit(
        "embedding: {model: openai/text-embedding-ada-002}}\ntargets", "embedding: {model: mine/old}}\ntargets"
    )
    plan = retired.run("plan")
    assert plan.code == 0, plan.err
    assert "COPY: the same model as mine/old, whatever the labels say" in " ".join(plan.out.split())
    retired.apply()
    assert len(openai_double.ledger.charged) == 32, "the probe alone"
