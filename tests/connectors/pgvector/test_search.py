"""Search: distances, settings of the query, and filters that mean what they mean in memory."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import PLAIN, batch, with_fields
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.model.collection import Collection, Field, FieldType, Index, Metric, VectorField, VectorKind
from vecmig.model.filter import OPERATORS, Compare, Filter, Not, Scalar, matches, parse
from vecmig.protocols import Search

NAMES = ("t", "i", "f", "b", "d", "ts", "is", "free")
TYPES: list[FieldType] = ["text", "int", "float", "bool", "datetime", "text[]", "int[]"]
TEXTS = st.sampled_from(["a", "b", "é", "", "Z", "2026-01-01", "2026-01-01T00:00:00Z", "2026-02-30", "2025-13-01", "1"])
MOMENTS = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T12:00:00.500000Z", "1999-12-31T00:00:00Z"])
NUMBERS = st.sampled_from([0, 1, -1, 2, 0.5, 1e300, 2**62])
INTEGERS = st.sampled_from([0, 1, -1, 2, 2**62])
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "t": TEXTS | st.none(),
        "i": INTEGERS,
        "f": NUMBERS.map(float),
        "b": st.booleans(),
        "d": MOMENTS,
        "ts": st.lists(TEXTS | st.none(), max_size=2),
        "is": st.lists(INTEGERS, max_size=2),
        "free": TEXTS | NUMBERS | st.booleans() | st.none() | st.lists(TEXTS | NUMBERS, max_size=2) | st.just({"a": 1}),
    },
)
OPERANDS = TEXTS | MOMENTS | NUMBERS | st.booleans() | st.sampled_from(["2026-01-01T01:00:00+01:00", "a\0", "%s"])


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    operator = draw(st.sampled_from(OPERATORS))
    value: Scalar | tuple[Scalar, ...] = draw(OPERANDS)
    if operator == "in":
        value = tuple(draw(st.lists(OPERANDS, min_size=1, max_size=3)))
    if operator == "exists":
        value = draw(st.booleans())
    compare = Compare(draw(st.sampled_from(NAMES)), operator, value)
    either: list[Filter] = [compare, Not(compare)]
    return draw(st.sampled_from(either))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, min_size=1, max_size=6), st.lists(comparisons(), min_size=1, max_size=8))
@example([{"t": "2026-01-01"}, {"t": "2025-13-01"}], [Compare("t", "eq", "2026-01-01T00:00:00Z")])
@example([{"t": "a"}, {"t": "b"}, {"t": "Z"}], [Compare("t", sign, "a\0b") for sign in OPERATORS[3:7]])
def test_filters_mean_in_sql_what_they_mean_in_memory(
    docs: PgvectorConnector, records: list[dict[str, Any]], filters: list[Filter]
) -> None:
    fields = tuple(Field(name, type_) for name, type_ in zip(NAMES, TYPES, strict=False))
    if docs.describe("docs") is None:
        docs.create(with_fields(*fields))
    docs.delete("docs", batch([{}] * 6).keys)
    assert not docs.upsert("docs", batch([{"metadata": json.dumps(each)} for each in records]))
    query = np.ones((1, 3), np.float32)
    for each in filters:
        (hits,) = docs.search("docs", Search(query, 10, filter=each))
        expected = {f"r{n}" for n, metadata in enumerate(records) if matches(each, metadata)}
        assert {key.id for key in hits.keys} == expected, each


def test_filters_are_joined(docs: PgvectorConnector) -> None:
    docs.create(with_fields(Field("lang", "text")))
    docs.upsert("docs", batch([{"metadata": {"lang": lang, "n": n}} for n, lang in enumerate("abab")]))
    for document, expected in (
        ({"lang": "a", "n": {"gt": 0}}, {"r2"}),
        ({"any": [{"n": 0}, {"n": 3}]}, {"r0", "r3"}),
        ({"not": {"any": [{"n": 0}, {"lang": "b"}]}}, {"r2"}),
        ({"all": [{"lang": {"in": ["b"]}}, {"n": {"lte": 1}}]}, {"r1"}),
    ):
        (hits,) = docs.search("docs", Search(np.ones((1, 3), np.float32), 10, filter=parse(document)))
        assert {key.id for key in hits.keys} == expected


VECTORS = np.array([[1, 2, 3], [-1, 0.5, 0], [0, 0, 4], [0, 0, 0]], np.float32)


@pytest.mark.parametrize("kind", ["float32", "float16", "sparse"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_distances_are_what_the_protocol_says(connect: Connect, metric: Metric, kind: VectorKind) -> None:
    connector = connect("docs")
    shape = Collection("docs", (VectorField("", 3, metric, kind),), mark="vecmig:test")
    connector.create(shape)
    rows: list[dict[str, Any]] = [{"id": str(n), "vector:": each.tolist()} for n, each in enumerate(VECTORS)]
    if kind == "sparse":
        rows = [
            {"id": str(n), "sparse:": {"indices": np.flatnonzero(v).tolist(), "values": v[v != 0].tolist()}}
            for n, v in enumerate(VECTORS)
        ]
    connector.upsert("docs", batch([*rows, {"id": "none", "vector:": None}], shape))
    list(connector.build_index(shape))
    query = np.array([1, 1, 0.5], np.float32)
    with np.errstate(invalid="ignore"):
        expected = {
            "cosine": 1 - VECTORS @ query / np.linalg.norm(VECTORS, axis=1) / np.linalg.norm(query),
            "dot": -VECTORS @ query,
            "l2": np.linalg.norm(VECTORS - query, axis=1),
            "l1": np.abs(VECTORS - query).sum(axis=1),
        }[metric]
    nearest = [n for n in np.argsort(expected) if np.isfinite(expected[n])]
    for exact in (True, False):
        (hits,) = connector.search("docs", Search(query[None], k=9, exact=exact))
        assert [key.id for key in hits.keys] == [str(n) for n in nearest], (
            "no zero vector by cosine, and no missing one"
        )
        np.testing.assert_allclose(hits.distances, expected[nearest], rtol=1e-3)


def explained(sql: Any, settings: dict[str, str]) -> str:
    with sql.transaction():
        for name, value in settings.items():
            sql.execute("SELECT set_config(%s, %s, true)", [name, value])
        rows = sql.execute("EXPLAIN SELECT id FROM docs ORDER BY embedding <=> '[1,1,1]' LIMIT 10").fetchall()
        return "\n".join(row[0] for row in rows)


def test_more_candidates_find_more_and_an_exact_search_finds_all(docs: PgvectorConnector, sql: Any) -> None:
    shape = replace(PLAIN, vectors=(VectorField("", 3, "l2", index=Index("hnsw", m=2, ef_construction=4)),))
    docs.create(shape)
    random = np.random.default_rng(0)
    rows = [{"id": str(n), "vector:": random.normal(size=3).tolist()} for n in range(3_000)]
    docs.upsert("docs", batch(rows))
    list(docs.build_index(shape))
    queries = random.normal(size=(40, 3)).astype(np.float32)

    def found(exact: bool = False, index: Index | None = None, k: int = 10) -> list[set[str]]:
        hits = docs.search("docs", Search(queries, k, index=index, exact=exact))
        assert all(len(each.keys) == k for each in hits) or k > 10
        return [{key.id for key in each.keys} for each in hits]

    truth = found(exact=True)
    recalls = [
        sum(len(a & b) for a, b in zip(truth, found(index=Index(ef_search=ef)), strict=True)) / 400 for ef in (10, 400)
    ]
    assert recalls[0] < recalls[1]
    assert recalls[0] < 1, "an index was used"
    assert all(len(each) > 40 for each in found(k=100)), "the default of 40 candidates does not cut off the results"
    assert "hnsw" not in explained(sql, {"enable_indexscan": "off"})


def test_iterative_scans_go_on_until_the_filter_let_enough_pass(docs: PgvectorConnector) -> None:
    shape = replace(PLAIN, vectors=(VectorField("", 3, "l2"),))
    docs.create(shape)
    random = np.random.default_rng(0)
    rows = [
        {
            "id": str(n),
            "vector:": (random.normal(size=3) + (0 if n % 100 else 50)).tolist(),
            "metadata": {"far": n % 100 == 0},
        }
        for n in range(6_000)
    ]
    docs.upsert("docs", batch(rows))
    list(docs.build_index(shape))
    query = np.zeros((1, 3), np.float32)
    filter = parse({"far": True})
    counts = {
        scan: len(docs.search("docs", Search(query, 10, filter=filter, index=Index(iterative_scan=scan)))[0].keys)
        for scan in (None, "relaxed_order", "strict_order")
    }
    assert counts["relaxed_order"] == counts["strict_order"] == 10
    assert (counts[None] or 0) <= 10


def test_probes_are_set_for_an_ivfflat_index(docs: PgvectorConnector) -> None:
    shape = replace(PLAIN, vectors=(VectorField("", 3, "l2", index=Index("ivfflat", lists=50)),))
    docs.create(shape)
    random = np.random.default_rng(0)
    docs.upsert("docs", batch([{"id": str(n), "vector:": random.normal(size=3).tolist()} for n in range(2_000)]))
    list(docs.build_index(shape))
    queries = random.normal(size=(30, 3)).astype(np.float32)
    truth = docs.search("docs", Search(queries, 10, exact=True))
    recalls = []
    for probes in (1, 50):
        hits = docs.search("docs", Search(queries, 10, index=Index("ivfflat", probes=probes)))
        recalls.append(sum(len(set(a.keys) & set(b.keys)) for a, b in zip(truth, hits, strict=True)) / 300)
    assert recalls[0] < recalls[1] == 1
