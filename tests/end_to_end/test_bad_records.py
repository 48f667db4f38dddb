"""Records that cannot be moved: one clear error that names the first, or put aside and counted; never a wrong one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import Site, rows

GOOD = [[float(n), 1.0, 2.0, 3.0] for n in range(20)]


def foreign(site: Site, columns: Mapping[str, Any], file: str = "source.parquet") -> None:
    """Write a Parquet file that others made, and point the source at it."""
    pq.write_table(pa.table(dict(columns)), site.directory / file)
    if "path: source}" in (site.directory / "vecmig.yaml").read_text():
        site.edit("path: source}", "path: source.parquet, columns: {id: id, vector: emb}}")


def of(vectors: Sequence[object], ids: Sequence[object] | None = None, **more: object) -> dict[str, Any]:
    names = ids if ids is not None else [f"r{n}" for n in range(len(vectors))]
    return {"id": pa.array(names), "emb": pa.array(vectors, pa.list_(pa.float64())), **more}


BAD_VECTORS = {
    "NaN": ([float("nan"), 1, 2, 3], "NaN or infinity"),
    "infinite": ([1, 2, float("-inf"), 3], "NaN or infinity"),
    "beyond float32": ([1e300, 1, 2, 3], "NaN or infinity"),
    "short": ([1, 2, 3], "has 3 dimensions, not 4"),
    "long": ([1, 2, 3, 4, 5], "has 5 dimensions, not 4"),
    "with a hole": ([1, None, 2, 3], "component that is null"),
}
BAD_IDS = {"empty": ("", "the id is empty"), "missing": (None, "the id is empty"), "NUL": ("a\0b", "NUL")}


def refused(site: Site, name: str, reason: str) -> None:
    """It ends with an error that names record and reason; put aside, all others arrive and are verified."""
    ran = site.run("apply", "--auto-approve")
    assert ran.code == 1, ran.out + ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("Error:")]
    assert name in line
    assert reason in line
    assert "on_bad_record: quarantine" in line
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    outcome = site.apply()
    assert outcome["quarantined"] == 1
    assert outcome["reports"][0]["verdict"] == "passed"
    assert outcome["reports"][0]["quarantined"] == 1
    (file,) = outcome["quarantine_files"]
    assert reason in pq.read_table(file)["reason"][0].as_py()
    assert site.sql("SELECT count(*) FROM kb") == [(20,)]
    site.settled()


@pytest.mark.parametrize("kind", BAD_VECTORS)
def test_a_vector_that_is_wrong(site: Site, kind: str) -> None:
    vector, reason = BAD_VECTORS[kind]
    foreign(site, of([*GOOD, vector]))
    refused(site, "'r20'", reason)


@pytest.mark.parametrize("kind", BAD_IDS)
def test_an_id_that_cannot_be_one(site: Site, kind: str) -> None:
    id, reason = BAD_IDS[kind]
    foreign(site, of([*GOOD, GOOD[0]], [*(f"r{n}" for n in range(20)), id]))
    refused(site, "row 21 of source.parquet" if not id else r"'a\x00b'", reason)


def test_an_id_of_10_kb(site: Site) -> None:
    long = "".join(chr(33 + n) for n in np.random.default_rng(0).integers(0, 90, 10_000))  # which cannot be compressed
    foreign(site, of([*GOOD, GOOD[0]], [*(f"r{n}" for n in range(20)), long]))
    refused(site, "(10,000 characters)", "10,000 bytes")


@pytest.mark.parametrize("files", [1, 2])
def test_ids_that_occur_twice_are_never_proven(site: Site, files: int) -> None:
    ids = [f"r{n}" for n in range(20)]
    if files == 1:
        foreign(site, of([*GOOD, GOOD[3]], [*ids, "r5"]))
        ran = site.run("apply", "--auto-approve")
        assert ran.code == 1
        assert "'r5'" in ran.err
        return
    (site.directory / "source").mkdir()
    site.edit("path: source}", "path: source, columns: {id: id, vector: emb}}")
    foreign(site, of(GOOD, ids), "source/a.parquet")
    foreign(site, of(GOOD[:3], ["r5", "x1", "x2"]), "source/b.parquet")
    ran = site.run("apply", "--auto-approve")
    assert ran.code == 7, ran.out + ran.err
    assert "duplicate" in ran.out
    assert "'r5'" in ran.out
    assert site.sql("SELECT count(*) FROM kb") == [(22,)]


def test_both_records_of_an_id_are_put_aside(site: Site) -> None:
    foreign(site, of([*GOOD, GOOD[3]], [*(f"r{n}" for n in range(20)), "r5"]))
    site.edit("target: t}", "target: t, on_bad_record: quarantine, verification: {search: null}}")
    outcome = site.apply()
    assert (outcome["written"], outcome["quarantined"]) == (19, 2), "nothing says which of the two is meant"
    assert site.sql("SELECT count(*) FROM kb WHERE id = 'r5'") == [(0,)]
    kept = pq.read_table(outcome["quarantine_files"][0]).to_pylist()
    assert [(row["id"], row["reason"]) for row in kept] == [("r5", "the id occurs 2 times in the source")] * 2
    site.settled()


def test_zero_and_missing_vectors_are_moved_and_warned_of(site: Site) -> None:
    foreign(site, of([*GOOD, [0.0] * 4, None]))
    planned = site.run("plan")
    assert "1 of 22 sampled records have no vector" in planned.out
    assert "1 of 22 sampled vectors are zero" in planned.out
    outcome = site.apply()
    assert (outcome["written"], outcome["quarantined"]) == (22, 0)
    assert site.sql("SELECT count(*) FROM kb WHERE embedding IS NULL") == [(1,)]
    site.settled()


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def metadata(site: Site, text: str) -> None:
    """Store 20 good records and one, `odd`, with this metadata."""
    good = [{**row, "namespace": ""} for row in rows(range(20))]
    site.store([*good, {**good[0], "id": "odd", "metadata": text}])


def test_metadata_nested_100_deep_survives(site: Site) -> None:
    metadata(site, nested(100))
    assert site.apply()["written"] == 21
    source, target = site.digests()
    assert source == target
    site.settled()


def test_metadata_of_10_mb_survives(site: Site) -> None:
    metadata(site, json.dumps({"text": "vielleicht " * 1_000_000, "n": 1}))
    assert site.apply()["written"] == 21
    assert site.sql("SELECT length(metadata->>'text') FROM kb WHERE id = 'odd'") == [(11_000_000,)]
    site.settled()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64 + 1, 10**40 + 1])
def test_integers_over_64_bits_survive_exactly(site: Site, number: int) -> None:
    metadata(site, f'{{"n": {number}}}')
    site.apply()
    assert site.sql("SELECT metadata->>'n' FROM kb WHERE id = 'odd'") == [(str(number),)]
    site.settled()


def test_nul_in_a_string_of_the_metadata(site: Site) -> None:
    metadata(site, r'{"text": "a\u0000b"}')
    refused(site, "'odd'", "NUL")


def test_metadata_nested_300_deep(site: Site) -> None:
    good = [json.dumps({"n": n}) for n in range(20)]
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep}
    site.sql("CREATE TABLE foreign_made (id text PRIMARY KEY, emb vector(4), metadata json)")
    for n, text in enumerate([*good, json.dumps(deep)]):
        site.sql("INSERT INTO foreign_made VALUES (%s, %s, %s)", f"r{n}", str(GOOD[n % 20]), text)
    site.edit("{type: snapshot, path: source}", '{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: foreign_made}')
    refused(site, "'r20'", "nested")


def test_metadata_that_is_no_object(site: Site) -> None:
    site.sql("CREATE TABLE foreign_made (id text PRIMARY KEY, emb vector(4), metadata jsonb)")
    for n in range(20):
        site.sql("INSERT INTO foreign_made VALUES (%s, %s, %s)", f"r{n}", str(GOOD[n]), json.dumps({"n": n}))
    site.sql("INSERT INTO foreign_made VALUES ('list', '[1,2,3,4]', '[1, 2]')")
    site.edit("{type: snapshot, path: source}", '{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: foreign_made}')
    refused(site, "'list'", "no JSON object")


def test_a_value_that_a_typed_field_cannot_hold(site: Site) -> None:
    good = [{**row, "namespace": ""} for row in rows(range(20))]
    site.store([*good, {**good[0], "id": "odd", "metadata": {"n": "many"}}])
    site.edit("verification:", "fields: {n: {type: int}}\nverification:")
    refused(site, "'odd'", "field 'n'")


def test_namespaces_that_are_missing(site: Site) -> None:
    good = [{**row, "namespace": "", "metadata": {"tenant": "a"}} for row in rows(range(20))]
    site.store([*good, {**good[0], "id": "odd", "metadata": {"tenant": 5}}])
    site.edit("source: s,", "source: s, namespace_from: tenant,")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")
    refused(site, "'odd'", "field 'tenant'")
