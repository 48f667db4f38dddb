"""What is written comes back: any vector bit for bit, any id, any metadata."""

import json
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import batch, read_all
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.model.batch import Key, RecordBatch, concat, schema_of
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.metadata import canonical

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=10
)
METADATA = st.dictionaries(TEXT, JSON, max_size=4)
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
FLOAT16 = st.floats(width=16, allow_nan=False, allow_infinity=False, allow_subnormal=True)
SPARSE = st.dictionaries(st.integers(0, 99_999), FLOAT32.filter(lambda v: v != 0), min_size=1, max_size=8)
SHAPE = (
    VectorField("", 3, "cosine"),
    VectorField("half", 2, "l2", "float16"),
    VectorField("bag", 100_000, "dot", "sparse"),
)


def row(id: str, namespace: str, metadata: Any, dense: Any, half: Any, bag: dict[int, float] | None) -> dict[str, Any]:
    sparse = {"indices": sorted(bag), "values": [bag[n] for n in sorted(bag)]} if bag is not None else None
    vectors = {"vector:": dense, "vector:half": half, "sparse:bag": sparse}
    return {"id": id, "namespace": namespace, "metadata": json.dumps(metadata, ensure_ascii=False)} | vectors


ROWS = st.lists(
    st.builds(
        row,
        TEXT.filter(bool),
        TEXT,
        METADATA,
        st.none() | st.lists(FLOAT32, min_size=3, max_size=3),
        st.none() | st.lists(FLOAT16, min_size=2, max_size=2),
        st.none() | SPARSE,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: (each["namespace"], each["id"]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_any_record_comes_back_bit_for_bit(docs: PgvectorConnector, rows: list[dict[str, Any]]) -> None:
    connector = docs
    connector.drop("docs")
    connector.create(Collection("docs", SHAPE, mark="vecmig:test"))
    sent = RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(SHAPE)))
    for _ in range(2):  # once by COPY, once over what is there
        assert not connector.upsert("docs", sent)
        (part,) = connector.partitions("docs", 1)
        got = concat([page for page, _ in connector.read(part, None)])
        assert digest_of(got) == digest_of(sent)
        assert digest_of(connector.fetch("docs", sent.keys)) == digest_of(sent)


TYPED = (
    Field("t", "text", filter=True),
    Field("i", "int", filter=True),
    Field("f", "float"),
    Field("b", "bool"),
    Field("d", "datetime"),
    Field("ts", "text[]", filter=True),
    Field("is", "int[]"),
    Field("fs", "float[]"),
    Field("bs", "bool[]"),
    Field("ds", "datetime[]"),
)
MOMENTS = st.datetimes().map(lambda m: m.isoformat(timespec="microseconds" if m.microsecond else "seconds") + "Z")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "t": TEXT,
    "i": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(allow_nan=False, allow_infinity=False),
    "b": st.booleans(),
    "d": MOMENTS,
}
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.none() | values for name, values in VALUES.items()},
        **{f"{name}s": st.none() | st.lists(st.none() | values, max_size=3) for name, values in VALUES.items()},
        "other": JSON,
        'a"b\\c': JSON,
    },
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, min_size=1, max_size=5))
def test_typed_fields_come_back_as_they_were(docs: PgvectorConnector, metadata: list[dict[str, Any]]) -> None:
    connector = docs
    connector.drop("docs")
    shape = Collection("docs", (VectorField("", 3, "l2"),), TYPED, "vecmig:test")
    connector.create(shape)
    sent = batch([{"metadata": json.dumps(each, ensure_ascii=False)} for each in metadata])
    assert not connector.upsert("docs", sent)
    assert digest_of(connector.fetch("docs", sent.keys)) == digest_of(sent)


def test_a_json_null_is_not_a_missing_field(connect: Connect) -> None:
    connector = connect("docs")
    connector.create(Collection("docs", (VectorField("", 3, "l2"),), TYPED, "vecmig:test"))
    connector.upsert("docs", batch([{"metadata": {"t": None, "is": None}}, {"metadata": {}}]))
    assert read_all(connector, "docs") == {"r0": {"t": None, "is": None}, "r1": {}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("i", 2**63), ("i", "1"), ("i", 1.5), ("i", True), ("f", "x"), ("f", 2**53 + 1), ("b", 1), ("t", 1),
        ("d", "2026-01-01"), ("d", "2026-01-01T01:00:00+01:00"), ("d", "2026-01-01T00:00:00.5Z"), ("d", 5),
        ("d", "2026-02-30T00:00:00Z"), ("ts", "x"), ("ts", [1]), ("is", [1, "x"]), ("ds", ["now"]), ("t", {"a": 1}),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_column_is_rejected_and_nothing_else(
    connect: Connect, field: str, value: Any
) -> None:
    connector = connect("docs")
    connector.create(Collection("docs", (VectorField("", 3, "l2"),), TYPED, "vecmig:test"))
    (rejected,) = connector.upsert("docs", batch([{}, {"metadata": {field: value}}, {}]))
    assert rejected.key.id == "r1"
    assert f"`{field}`" in rejected.reason
    assert connector.count("docs") == {"": 2}


def test_numbers_keep_their_value(connect: Connect) -> None:
    connector = connect("docs")
    connector.create(Collection("docs", (VectorField("", 3, "l2"),), mark="vecmig:test"))
    text = '{"a": 9007199254740993, "b": 1e23, "c": 0.1234567890123456789012345, "d": 1e400, "e": 5e-324, "f": -0.0}'
    connector.upsert("docs", batch([{"metadata": text}]))
    assert canonical(connector.fetch("docs", [Key("", "r0")]).strings("metadata")[0]) == canonical(text)


def test_created_at_is_the_time_of_the_first_write_and_no_metadata(connect: Connect, sql: Any) -> None:
    connector = connect("docs")
    connector.create(Collection("docs", (VectorField("", 3, "l2"),), mark="vecmig:test"))
    connector.upsert("docs", batch([{}]))
    first = sql.execute("SELECT created_at FROM docs WHERE created_at > now() - interval '1 hour'").fetchone()
    connector.upsert("docs", batch([{"metadata": {"a": 1}}]))
    assert sql.execute("SELECT created_at FROM docs").fetchone() == first
    assert read_all(connector, "docs") == {"r0": {"a": 1}}


def test_several_vectors_are_written_and_read_by_name(connect: Connect, sql: Any) -> None:
    connector = connect("docs")
    shape = (VectorField("title", 2, "l2"), VectorField("body", 3, "cosine"))
    connector.create(Collection("docs", shape, mark="vecmig:test"))
    connector.upsert("docs", batch([{"vector:title": [1, 2], "vector:body": [3, 4, 5]}], Collection("docs", shape)))
    assert sql.execute("SELECT embedding_title::text, embedding_body::text FROM docs").fetchone() == (
        "[1,2]",
        "[3,4,5]",
    )
    (part,) = connector.partitions("docs", 1)
    ((page, _),) = connector.read(part, None, vectors=["body"])
    assert page.names == ["id", "namespace", "metadata", "vector:body"]
    assert page.vectors("body").tolist() == [[3, 4, 5]]


def test_a_sparse_vector_without_known_dimensions_is_held(connect: Connect) -> None:
    connector = connect("docs")
    shape = (VectorField("", 0, "dot", "sparse"),)
    connector.create(Collection("docs", shape, mark="vecmig:test"))
    rows = [row("a", "", {}, None, None, {0: 1.5, 999_999_999: -2.0}), row("b", "", {}, None, None, {7: 1.0})]
    for each in rows:
        each["sparse:"] = each["sparse:bag"]
    sent = RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(shape)))
    assert not connector.upsert("docs", sent)
    assert digest_of(connector.fetch("docs", sent.keys)) == digest_of(sent)
    declared = connector.describe("docs")
    assert declared
    assert declared.vectors[0].dimensions == 0


def test_ten_thousand_records_survive_pages_partitions_and_nulls(connect: Connect) -> None:
    connector = connect("docs", page_rows=777)
    connector.create(Collection("docs", (VectorField("", 3, "l2"),), mark="vecmig:test"))
    rows = [
        {
            "id": str(uuid.UUID(int=n * 7919 % 10_007)),
            "namespace": f"n{n % 3}",
            "vector:": None if n % 5 == 0 else np.array([n, -n, 0.5], np.float32),
            "metadata": {"n": n},
        }
        for n in range(10_000)
    ]
    sent = batch(rows)
    assert not connector.upsert("docs", sent)
    for at_most in (1, 7):
        parts = connector.partitions("docs", at_most)
        assert len(parts) == at_most
        pages = [page for part in parts for page, _ in connector.read(part, None)]
        keys = [key for page in pages for key in page.keys]
        assert keys == sorted(sent.keys)
        assert digest_of(concat(pages)) == digest_of(sent)
