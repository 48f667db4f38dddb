"""Sparse vectors, alone and beside dense ones, in vector indexes and in document indexes."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.doubles.pinecone.faults import Fault
from tests.doubles.pinecone.server import Double
from tests.doubles.pinecone.store import Index, Lag, Record, Sparse
from vecmig.connectors.pinecone.client.api import Record as Ours
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.session import data_plane
from vecmig.connectors.pinecone.client.vectors import VectorsApi
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.limits import refusals
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.connectors.pinecone.records.decode import UNDECLARED_SPARSE
from vecmig.connectors.pinecone.schema import probe
from vecmig.errors import CollectionNotFound, UnsupportedError
from vecmig.model.batch import Key, RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.secret import Secret
from vecmig.protocols import Search

NAME = "articles"
DENSE = VectorField("", 4, "dot")
TERMS = VectorField("terms", 0, "dot", "sparse")
ALONE = VectorField("", 0, "dot", "sparse")
MARK = "vecmig:test"
WAYS: list[dict[str, Any]] = [
    {"kind": "vectors"},
    {"kind": "vectors", "transport": "rest"},
    {"kind": "documents"},
]
BOTH = Collection(NAME, (DENSE, TERMS), mark=MARK)


def batch_of(vectors: Sequence[VectorField], rows: int = 250, without: int | None = None) -> RecordBatch:
    """Return records with these vectors, of which one has no sparse one."""
    random = np.random.default_rng(3)
    given = []
    for n in range(rows):
        row: dict[str, Any] = {
            "id": f"id-{n:03}",
            "namespace": "one" if n % 2 else "",
            "metadata": json.dumps({"n": n, "terms": "metadata of the same name"}),
        }
        for vector in vectors:
            if vector.kind != "sparse":
                row[f"vector:{vector.name}"] = random.normal(size=vector.dimensions)
            elif n != without:
                indices = np.sort(random.choice(2**32 - 1, size=1 + n % 50, replace=False))
                row[f"sparse:{vector.name}"] = {"indices": indices, "values": random.normal(size=len(indices))}
        given.append(row)
    return RecordBatch(pa.RecordBatch.from_pylist(given, schema_of(vectors)))


def read(connector: PineconeConnector) -> list[RecordBatch]:
    parts = connector.partitions(NAME, at_most=1)
    return [batch for part in parts for batch, _ in connector.read(part, after=None)]


def problems(connector: PineconeConnector) -> dict[str, str]:
    return {
        id: reason
        for batch in read(connector)
        if "problem" in batch.names
        for id, reason in zip(batch.strings("id"), batch.table.column("problem").to_pylist(), strict=True)
        if reason
    }


def foreign(double: Double, sparse: Sequence[int], rows: int = 5, namespace: str = "") -> Index:
    """An index that others made, by the dot product; these of its records have sparse values."""
    index = double.store.indexes.get(NAME) or double.store.plant(NAME, 4, "dotproduct")
    pairs = Sparse(np.array([7, 9], np.uint32), np.array([0.5, 1.5], np.float32))
    ones = np.ones(4, np.float32)
    index.put([Record(f"id-{n:03}", ones, pairs if n in sparse else None) for n in range(rows)], namespace)
    return index


@pytest.mark.parametrize("given", WAYS)
@pytest.mark.parametrize("vectors", [(ALONE,), (DENSE, TERMS)], ids=["sparse", "hybrid"])
def test_sparse_vectors_come_back_bit_for_bit(
    connect: Connect, given: dict[str, Any], vectors: tuple[VectorField, ...]
) -> None:
    declared = Collection(NAME, vectors, mark=MARK)
    connector = connect(NAME, page_rows=100, **given)
    assert not refusals(declared, given["kind"])
    connector.create(declared)
    connector.create(declared)
    sent = batch_of(vectors, without=3 if len(vectors) > 1 else None)
    assert not connector.upsert(NAME, sent)
    connector.settle(NAME, {"": 125, "one": 125}, timeout_s=30)
    other = connect(NAME)  # which finds out by itself
    described = other.describe(NAME)
    assert described
    assert declared.agrees_with(described)
    assert digest_of(other.fetch(NAME, sent.keys)) == digest_of(sent)
    total = digest_of(sent.slice(0, 0))
    for batch in read(other):
        total += digest_of(batch)
    assert total == digest_of(sent)


@pytest.mark.parametrize("given", WAYS)
def test_the_dense_vector_of_a_hybrid_index_is_searched(connect: Connect, given: dict[str, Any]) -> None:
    connector = connect(NAME, **given)
    connector.create(BOTH)
    sent = batch_of(BOTH.vectors, rows=20)
    assert not connector.upsert(NAME, sent)
    queries = sent.vectors("")[1::2]
    for exact in (False, True):
        hits = connector.search(NAME, Search(queries, k=3, namespace="one", exact=exact))
        scores = queries @ queries.T
        best = [[f"id-{2 * n + 1:03}" for n in np.argsort(-row)[:3]] for row in scores]
        assert [[key.id for key in each.keys] for each in hits] == best


def test_reading_no_vectors_reads_no_sparse_ones(connect: Connect) -> None:
    connector = connect(NAME)
    connector.create(BOTH)
    assert not connector.upsert(NAME, batch_of(BOTH.vectors, rows=4))
    (part,) = connector.partitions(NAME, at_most=1)
    for chosen, expected in (((), set()), (("terms",), {"sparse:terms"}), (("",), {"vector:"})):
        for batch, _ in connector.read(part, None, chosen):
            assert {name for name in batch.names if ":" in name} == expected
            assert "problem" not in batch.names


@pytest.mark.parametrize(
    ("vectors", "kind"),
    [((DENSE, TERMS), "documents"), ((DENSE,), "vectors"), ((ALONE,), "vectors")],
    ids=["hybrid", "dense", "sparse"],
)
def test_documents_are_made_only_where_a_record_has_both_vectors(
    double: Double, connect: Connect, vectors: tuple[VectorField, ...], kind: str
) -> None:
    connect(NAME).create(Collection(NAME, vectors, mark=MARK))
    assert double.store.find(NAME).is_document_index == (kind == "documents")


def test_a_sparse_vector_beside_a_cosine_one_goes_into_documents_only(connect: Connect) -> None:
    declared = Collection(NAME, (VectorField("", 4, "cosine"), TERMS))
    (refusal,) = refusals(declared, "vectors")
    assert "leave `kind` out, or say `metric: dot`" in refusal
    assert not refusals(declared, None)


def test_a_record_without_its_sparse_vector_is_held_beside_a_dense_one_only(connect: Connect) -> None:
    connector = connect(NAME)
    connector.create(Collection(NAME, (ALONE,), mark=MARK))
    rejected = connector.upsert(NAME, batch_of((ALONE,), rows=3, without=1))
    assert [each.key.id for each in rejected] == ["id-001"]


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_foreign_hybrid_index_is_found_by_its_first_records(double: Double, connect: Connect, transport: str) -> None:
    foreign(double, sparse=[3], namespace="one")
    connector = connect(NAME, transport=transport)
    described = connector.describe(NAME)
    assert described
    assert described.vectors == (DENSE, VectorField("sparse", 0, "dot", "sparse"))
    (batch,) = read(connector)
    assert batch.table.column("sparse:sparse").to_pylist() == [
        {"indices": [7, 9], "values": [0.5, 1.5]} if n == 3 else None for n in range(5)
    ]
    assert "problem" not in batch.names


def test_only_namespaces_that_are_read_show_whether_an_index_is_hybrid(double: Double, connect: Connect) -> None:
    foreign(double, sparse=[], namespace="one")
    foreign(double, sparse=[0], namespace="two")
    for chosen, vectors in ((["one"], 1), (["two"], 2), ("all", 2)):
        described = connect(NAME, namespaces=chosen).describe(NAME)
        assert described
        assert len(described.vectors) == vectors


def test_hybrid_is_what_the_spec_says(double: Double, connect: Connect) -> None:
    foreign(double, sparse=[0])
    for hybrid, vectors in ((False, 1), (True, 2)):
        described = connect(NAME, hybrid=hybrid).describe(NAME)
        assert described
        assert len(described.vectors) == vectors
    double.requests.clear()
    connect(NAME, hybrid=True).describe(NAME)
    assert [each.operation for each in double.requests] == ["describe_index"], "nothing has to be found out"


@pytest.mark.parametrize("given", [{"hybrid": False}, {}, {"transport": "rest"}])
def test_sparse_values_that_nobody_expected_are_a_problem_and_no_silent_loss(
    double: Double, connect: Connect, given: dict[str, Any]
) -> None:
    foreign(double, sparse=[201], rows=203)  # the first page does not show it
    connector = connect(NAME, **given)
    assert problems(connector) == {"id-201": UNDECLARED_SPARSE}
    fetched = connector.fetch(NAME, [Key("", "id-200"), Key("", "id-201")])
    assert fetched.table.column("problem").to_pylist() == [None, UNDECLARED_SPARSE]
    assert not problems(connect(NAME, **{**given, "hybrid": True}))


def test_a_hybrid_vector_index_is_tried_with_one_record_that_leaves_no_trace(double: Double, connect: Connect) -> None:
    double.store.lag = Lag(reads=2)
    connector = connect(NAME, kind="vectors")
    connector.create(BOTH)
    double.store.lag = Lag()
    assert [each.namespace for each in double.requests if each.operation == "upsert"] == [probe.NAMESPACE]
    assert connector.count(NAME) == {}
    assert not connector.upsert(NAME, batch_of(BOTH.vectors, rows=4))
    double.requests.clear()
    connector.create(BOTH)
    assert not [each for each in double.requests if each.operation == "upsert"], "it holds records by now"


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_hybrid_vector_index_that_keeps_no_sparse_values_is_not_made(
    double: Double, connect: Connect, transport: str
) -> None:
    double.limits.sparse_in_dotproduct = False
    connector = connect(NAME, kind="vectors", transport=transport)
    with pytest.raises(UnsupportedError, match=r"keeps no sparse values.*say `kind: documents`"):
        connector.create(BOTH)
    assert connector.describe(NAME) is None
    connect(NAME, kind="documents").create(BOTH)


def test_a_protected_index_that_keeps_no_sparse_values_is_named(double: Double, connect: Connect) -> None:
    double.limits.sparse_in_dotproduct = False
    connector = connect(NAME, kind="vectors", deletion_protection=True)
    with pytest.raises(UnsupportedError, match=r"keeps no sparse values.*still there, empty and protected"):
        connector.create(BOTH)


def test_a_trial_that_was_interrupted_is_made_again(double: Double, connect: Connect) -> None:
    double.faults.add(Fault.index_deleted(), on="delete", times=1)
    with pytest.raises(CollectionNotFound, match="not there"):
        connect(NAME, kind="vectors").create(BOTH)
    connector = connect(NAME, kind="vectors")
    connector.create(BOTH)
    double.store.find(NAME).put([Record(probe.ID, np.ones(4, np.float32))], probe.NAMESPACE)
    connector.create(BOTH)
    assert connector.count(NAME) == {}


def test_sparse_values_that_are_taken_and_dropped_are_noticed(double: Double, connect: Connect) -> None:
    class Forgetful(VectorsApi):
        def upsert(self, namespace: str, records: Sequence[Ours]) -> int:
            return super().upsert(namespace, [each._replace(sparse=None) for each in records])

    connector = connect(NAME, kind="vectors")
    connector.create(BOTH)
    host = double.store.find(NAME).host
    options = PineconeOptions(Secret("test"), NAME, host=double.url)
    api = Forgetful(data_plane(options, host, grpc=False))
    assert not probe.keeps_sparse(api, Calls(host, NAME), dimensions=4)
    api.close()
