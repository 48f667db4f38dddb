"""What a spec may ask for, each through the command to a passed verification, and then there is nothing to do."""

import json
import time

import pytest

from tests.end_to_end.conftest import SPEC, Site, rows
from vecmig.model.collection import VectorField


def test_where_takes_only_what_passes(site: Site) -> None:
    site.store(rows(range(60)))
    site.edit("target: t}", "target: t, where: {n: {gte: 20, lt: 50}}}")
    assert site.apply()["written"] == 30
    assert site.sql("SELECT min((metadata->>'n')::int), max((metadata->>'n')::int) FROM kb") == [(20, 49)]
    site.settled()


def test_limit_takes_the_first_records_and_the_same_ones_again(site: Site) -> None:
    site.store(rows(range(60)))
    site.edit("target: t}", "target: t, limit: 25}")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")  # it cannot be compared
    assert site.apply()["written"] == 25
    before = site.sql("SELECT namespace, id FROM kb ORDER BY 1, 2")
    assert len(before) == 25
    site.settled()


def test_where_and_limit_together(site: Site) -> None:
    site.store(rows(range(60)))
    site.edit("target: t}", "target: t, where: {n: {gte: 20}}, limit: 7}")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")  # it cannot be compared
    assert site.apply()["written"] == 7
    site.settled()


def test_namespaces_come_from_a_field(site: Site) -> None:
    records = [
        {**row, "namespace": "", "metadata": {**row["metadata"], "tenant": f"t{n % 4}"}}
        for n, row in enumerate(rows(range(40)))
    ]
    site.store(records)
    site.edit("target: t}", "target: t, namespace_from: tenant}")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")  # it cannot be compared
    assert site.apply()["written"] == 40
    assert site.sql("SELECT namespace, count(*) FROM kb GROUP BY 1 ORDER BY 1") == [(f"t{n}", 10) for n in range(4)]
    site.settled()


def test_named_vectors_keep_their_names_or_take_others(site: Site) -> None:
    fields = (VectorField("title", 4, "cosine"), VectorField("body", 6, "l2"))
    records = []
    for small, large in zip(rows(range(40), dimensions=4), rows(range(40), version=1, dimensions=6), strict=True):
        vectors = {"vector:title": small.pop("vector:"), "vector:body": large["vector:"]}
        records.append({**small, **vectors})
    site.store(records, fields)
    assert site.apply()["written"] == 40
    site.settled()
    site.edit("name: kb\n", "name: kb2\n")
    site.edit("table: kb", "table: kb2")
    site.edit("target: t}", "target: t, vectors: {headline: {from: title, index: {type: flat, metric: dot}}}}")
    site.edit("{queries", "{filters: [{n: {gte: 5}}], queries")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")
    assert site.apply()["written"] == 40
    site.settled()
    columns = {
        row[0] for row in site.sql("SELECT column_name FROM information_schema.columns WHERE table_name = 'kb2'")
    }
    assert "embedding_headline" in columns
    assert not any("body" in name for name in columns)


@pytest.mark.parametrize("index", ["hnsw", "ivfflat", "flat"])
def test_every_kind_of_index_is_built_and_verified(site: Site, index: str) -> None:
    site.store(rows(range(200)))
    setting = {"hnsw": "hnsw, m: 8, ef_construction: 40, ef_search: 80", "ivfflat": "ivfflat, lists: 4, probes: 4"}
    site.edit("verification:", f"index: {{type: {setting.get(index, index)}}}\nverification:")
    site.apply()
    found = {
        row[0]
        for row in site.sql(
            "SELECT am.amname FROM pg_class c JOIN pg_am am ON am.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid WHERE i.indrelid = 'kb'::regclass"
        )
    }
    assert (index in found) == (index != "flat")
    site.settled()


def test_another_index_in_the_spec_replaces_the_one_that_is_there(site: Site) -> None:
    site.store(rows(range(60)))
    site.apply()
    site.edit("verification:", "index: {type: hnsw, m: 24, ef_construction: 80}\nverification:")
    planned = site.run("plan")
    assert "1 index to rebuild" in planned.out, planned.out
    assert site.apply()["written"] == 0
    definitions = [
        row[0] for row in site.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'kb' AND indexdef ~ 'hnsw'")
    ]
    assert len(definitions) == 1
    assert "m='24'" in definitions[0]
    site.settled()


def test_halfvec_holds_what_fits_into_16_bits_and_verification_knows(site: Site) -> None:
    site.store(rows(range(60)))
    site.edit("table: kb}", "table: kb, vector_type: halfvec}")
    assert site.apply()["written"] == 60
    assert site.sql("SELECT DISTINCT pg_typeof(embedding)::text FROM kb") == [("halfvec",)]
    site.settled()


def test_sparse_vectors_arrive_as_they_were(site: Site) -> None:
    fields = (VectorField("", 1000, "dot", "sparse"),)
    records = [
        {"id": f"r{n}", "sparse:": {"indices": [n, n + 10, 999], "values": [1.0, -0.5, n + 0.25]}} for n in range(50)
    ]
    site.store([*records, {"id": "none", "sparse:": None}], fields)
    assert site.apply()["written"] == 51
    assert site.sql("SELECT embedding::text FROM kb WHERE id = 'r3'") == [("{4:1,14:-0.5,1000:3.25}/1000",)]
    source, target = site.digests()
    assert source == target
    site.settled()


def test_fields_are_typed_renamed_and_dropped(site: Site) -> None:
    site.store(rows(range(60)))
    site.edit(
        "verification:",
        "fields: {n: {type: int, filter: true}, headline: {from: title, type: text, search: true},"
        " version: {drop: true}, tags: {type: 'text[]', filter: true}}\nverification:",
    )
    site.edit("top_k: 3", "top_k: 3, filters: [{n: {gte: 30}}]")
    site.apply()
    assert site.sql("SELECT n, headline, tags, metadata FROM kb WHERE id = 'r1'") == [(1, "Nr. 1 ü", ["a"], {})]
    site.settled()


def test_two_migrations_fill_one_table_under_different_namespaces(site: Site) -> None:
    site.spec(
        SPEC.replace(
            "  s: {type: snapshot, path: source}\n", "  a: {type: snapshot, path: a}\n  b: {type: snapshot, path: b}\n"
        ).replace(
            "  - {name: m, source: s, target: t}\n",
            "  - {name: m1, source: a, target: t}\n  - {name: m2, source: b, target: t}\n",
        )
    )
    site.store([{**row, "namespace": "one"} for row in rows(range(20))], path="a")
    site.store([{**row, "namespace": "two"} for row in rows(range(30), version=1)], path="b")
    outcome = site.apply()
    assert outcome["written"] == 50
    assert [report["verdict"] for report in outcome["reports"]] == ["passed", "passed"]
    assert site.sql("SELECT namespace, count(*) FROM kb GROUP BY 1 ORDER BY 1") == [("one", 20), ("two", 30)]
    site.settled()
    site.store([{**row, "namespace": "two"} for row in rows(range(30, 32))], path="b")
    assert site.apply()["written"] == 2
    assert site.apply()["written"] == 0, "the other one sees that its table moved, and compares"
    site.settled()


@pytest.mark.parametrize("limit", ["write_records_per_s", "read_records_per_s"])
def test_a_throttle_holds_its_rate(site: Site, limit: str) -> None:
    site.edit("execution:", f"limits: {{{limit}: 200}}\nexecution:")
    site.store(rows(range(600)))
    started = time.monotonic()
    outcome = json.loads(site.run("apply", "--auto-approve", "--json").out)
    assert outcome["written"] == 600
    shown = json.loads(site.run("status", "--json").out)["applied"]["m"]["rows_per_s"]
    assert 160 <= shown <= 240
    assert time.monotonic() - started >= 600 / 240


def test_throttle_across_workers_is_one(site: Site) -> None:
    for start in range(0, 600, 100):
        site.store(rows(range(start, start + 100)))
    site.edit("workers: 2", "workers: 4")
    site.edit("execution:", "limits: {write_records_per_s: 250}\nexecution:")
    site.apply()
    assert 200 <= json.loads(site.run("status", "--json").out)["applied"]["m"]["rows_per_s"] <= 300


def test_an_empty_source_makes_an_empty_target(site: Site) -> None:
    site.store([])
    assert "the source is empty" in site.run("plan").out
    outcome = site.apply()
    assert (outcome["created"], outcome["written"]) == (1, 0)
    site.settled()
    site.store(rows(range(5)))
    assert site.apply()["written"] == 5
    site.settled()


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot", "l1"])
def test_components_at_the_limit_of_float32_are_compared(site: Site, metric: str) -> None:
    site.edit("verification:", f"index: {{metric: {metric}, type: flat}}\nverification:")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")  # PostgreSQL computes in float32, and overflows
    big = [{**row, "vector:": [3e38 * x / 10 for x in row["vector:"]]} for row in rows(range(30))]
    site.store(big, (VectorField("", 8, metric),))  # type: ignore[arg-type]  # a parameter is a str
    site.apply()
    site.settled()
