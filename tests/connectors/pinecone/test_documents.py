"""Document indexes, and how every kind of index is told from the others."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.doubles.pinecone.server import Double
from tests.doubles.pinecone.store import Index, Record, Sparse
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.limits import refusals
from vecmig.errors import CollectionConflict, ConnectorError, UnsupportedError
from vecmig.model.batch import Key, RecordBatch, schema_of
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.filter import parse
from vecmig.protocols import Search
from vecmig.testing.contract import KEYS, records

NAME = "papers"
DENSE: dict[str, Any] = {"type": "dense_vector", "dimension": 4, "metric": "cosine"}
SPARSE: dict[str, Any] = {"type": "sparse_vector"}
TITLE: dict[str, Any] = {"type": "string", "full_text_search": {"language": "en"}}
DECLARED = Collection(NAME, (VectorField("", 4, "cosine"),), mark="vecmig:test")


def planted(index: Index, rows: int, namespace: str = "") -> Index:
    """Fill an index with so many records, each with what it has a field for."""
    random = np.random.default_rng(7)
    index.put(
        [
            Record(
                f"id-{n:05}",
                random.normal(size=index.dimension).astype(np.float32) if index.dimension else None,
                Sparse(np.array([n], np.uint32), np.ones(1, np.float32)) if index.sparse_field else None,
                {"title": f"Title {n}", "n": float(n)},
            )
            for n in range(rows)
        ],
        namespace,
    )
    return index


def read(connector: PineconeConnector) -> list[RecordBatch]:
    parts = connector.partitions(connector.options.index, at_most=1)
    return [batch for part in parts for batch, _ in connector.read(part, after=None)]


def batch_of(metadata: dict[str, Any]) -> RecordBatch:
    row = {"id": "a", "namespace": "", "vector:": [1, 2, 3, 4], "metadata": json.dumps(metadata)}
    return RecordBatch(pa.RecordBatch.from_pylist([row], schema_of(DECLARED.vectors)))


def test_a_document_index_is_read_whole_though_the_vectors_api_calls_it_empty(double: Double, connect: Connect) -> None:
    planted(double.store.plant(NAME, fields={"embedding": DENSE, "title": TITLE}), rows=1_203)
    batches = read(connector := connect(NAME))
    assert [key.id for batch in batches for key in batch.keys] == [f"id-{n:05}" for n in range(1_203)]
    assert connector.count(NAME) == {"": 1_203}
    assert json.loads(batches[0].strings("metadata")[1]) == {"title": "Title 1", "n": 1}
    asked = [each for each in double.requests if each.operation == "documents.fetch"]
    assert [each.records for each in asked] == [1_000, 203], "as many as one request may ask for"


def test_a_cursor_of_a_document_index_resumes_behind_any_page(double: Double, connect: Connect) -> None:
    planted(double.store.plant(NAME, fields={"embedding": DENSE}), rows=450)
    connector = connect(NAME, page_rows=70)
    (part,) = connector.partitions(NAME, at_most=1)
    pages = list(connector.read(part, after=None))
    for n, (_, cursor) in enumerate(pages, start=1):
        rest = [key for batch, _ in connector.read(part, after=cursor) for key in batch.keys]
        assert rest == [key for batch, _ in pages[n:] for key in batch.keys]


def test_long_vectors_come_in_answers_of_a_few_megabytes(double: Double, connect: Connect) -> None:
    planted(double.store.plant(NAME, fields={"embedding": {**DENSE, "dimension": 1_536}}), rows=300)
    assert sum(map(len, read(connect(NAME)))) == 300
    asked = [each.records for each in double.requests if each.operation == "documents.fetch"]
    assert max(asked) == (4 << 20) // (22 * 1_536 + 1_000)


def test_the_default_namespace_is_the_empty_one(double: Double, connect: Connect) -> None:
    connector = connect(NAME, kind="documents")
    connector.create(DECLARED)
    assert not connector.upsert(NAME, batch_of({}))
    assert connector.count(NAME) == {"": 1}
    assert double.store.find(NAME).namespaces.keys() == {"__default__"}
    assert connector.fetch(NAME, [Key("", "a")]).keys == [Key("", "a")]
    connector.delete(NAME, [Key("", "a")])
    assert connector.count(NAME) == {}


@pytest.mark.parametrize(
    ("fields", "vectors"),
    [
        ({"_values": DENSE}, [VectorField("", 4, "cosine")]),
        ({"_values": {**DENSE, "metric": "euclidean"}}, [VectorField("", 4, "l2")]),
        ({"_sparse_values": SPARSE}, [VectorField("", 0, "dot", "sparse")]),
        ({"_values": DENSE, "genre": {"filterable": True}}, [VectorField("", 4, "cosine")]),
        ({"embedding": DENSE}, [VectorField("", 4, "cosine")]),
        ({"terms": SPARSE, "title": TITLE}, [VectorField("", 0, "dot", "sparse")]),
        (
            {"embedding": {**DENSE, "metric": "dotproduct"}, "terms": SPARSE},
            [VectorField("embedding", 4, "dot"), VectorField("terms", 0, "dot", "sparse")],
        ),
        ({"title": TITLE}, []),
    ],
)
def test_the_schema_says_which_vectors_an_index_has(
    double: Double, connect: Connect, fields: dict[str, Any], vectors: list[VectorField]
) -> None:
    planted(double.store.plant(NAME, fields=fields), rows=3)
    connector = connect(NAME)
    described = connector.describe(NAME)
    assert described
    assert list(described.vectors) == vectors
    assert described.mark is None
    (batch,) = read(connector)
    assert len(batch) == 3
    assert "problem" not in batch.names
    assert sum(name.startswith(("vector:", "sparse:")) for name in batch.names) == len(vectors)
    assert digest_of(connector.fetch(NAME, batch.keys)) == digest_of(batch)


def test_metadata_that_the_schema_types_is_described(double: Double, connect: Connect) -> None:
    types = ("string", "string_list", "float", "boolean", "integer")
    fields: dict[str, Any] = {f"a_{each}": {"type": each, "filterable": True} for each in types}
    double.store.plant(NAME, fields={"embedding": DENSE, "title": TITLE, **fields})
    described = connect(NAME).describe(NAME)
    assert described
    assert described.fields == (
        Field("title", "text", search=True),
        Field("a_string", "text", filter=True),
        Field("a_string_list", "text[]", filter=True),
        Field("a_float", "float", filter=True),
        Field("a_boolean", "bool", filter=True),
        Field("a_integer", "int", filter=True),
    )


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_an_index_with_a_model_of_its_own_is_read_by_the_vectors_api(
    double: Double, connect: Connect, transport: str
) -> None:
    text = {"type": "semantic_text", "model": "multilingual-e5-large", "dimension": 4}
    planted(double.store.plant(NAME, fields={"chunk_text": text}), rows=3)
    connector = connect(NAME, transport=transport)
    described = connector.describe(NAME)
    assert described
    assert described.vectors == (VectorField("", 4, "cosine"),)
    assert described.model == "multilingual-e5-large"
    assert [len(batch) for batch in read(connector)] == [3]


def test_a_hybrid_index_with_a_model_of_its_own_is_read_with_both_vectors(double: Double, connect: Connect) -> None:
    text = {"type": "semantic_text", "model": "multilingual-e5-large", "dimension": 4, "metric": "dotproduct"}
    index = double.store.plant(NAME, fields={"chunk_text": text})
    index.put([Record("a", np.ones(4, np.float32), Sparse(np.array([1], np.uint32), np.array([0.5], np.float32)))])
    connector = connect(NAME)
    described = connector.describe(NAME)
    assert described
    assert described.vectors == (VectorField("", 4, "dot"), VectorField("sparse", 0, "dot", "sparse"))
    (batch,) = read(connector)
    assert batch.vectors("").tolist() == [[1.0] * 4]


def test_an_index_that_counts_records_and_shows_none_is_refused(double: Double, connect: Connect) -> None:
    planted(double.store.plant(NAME, fields={"_values": DENSE, "title": TITLE}), rows=3)
    with pytest.raises(UnsupportedError, match=r"counts records, but the vectors API shows none.*convert it"):
        connect(NAME).describe(NAME)


@pytest.mark.parametrize("embedder", ["embed", "sparse_embed"])
def test_vectors_that_nobody_can_read_are_refused(double: Double, connect: Connect, embedder: str) -> None:
    body = {"type": "string", embedder: {"model": "the-model"}}
    double.store.plant(NAME, fields={"body": body})
    with pytest.raises(UnsupportedError, match=r"field `body`.*the-model.*name that one"):
        connect(NAME).describe(NAME)


def test_two_dense_fields_are_refused(double: Double, connect: Connect) -> None:
    double.store.plant(NAME, fields={"one": DENSE, "two": DENSE})
    with pytest.raises(UnsupportedError, match=r"several vector fields of one kind \(one, two\)"):
        connect(NAME).describe(NAME)


def test_a_pod_index_is_refused_with_the_way_out(double: Double, connect: Connect) -> None:
    double.store.plant(NAME, 4, pod=True)
    with pytest.raises(UnsupportedError, match=r"on pods.*make a serverless index of it.*name that one"):
        connect(NAME).describe(NAME)


def test_fields_that_collide_with_the_index_s_own_come_back(double: Double, connect: Connect) -> None:
    metadata = {
        "_id": "mine",
        "_score": 1,
        "$where": "x",
        "embedding": [1, 2],
        "vecmig_json": ["tags"],
        "vecmig_name__id": "mine, too",
        "nothing": None,
        "plain": "é",
    }
    connector = connect(NAME, kind="documents")
    connector.create(DECLARED)
    sent = batch_of(metadata)
    assert not connector.upsert(NAME, sent)
    for got in [connector.fetch(NAME, sent.keys), *read(connector)]:
        assert json.loads(got.strings("metadata")[0]) == metadata
        assert digest_of(got) == digest_of(sent)
    stored = double.store.find(NAME).records()["a"].metadata
    assert stored is not None
    assert not [name for name in stored if name.startswith(("_", "$")) or name == "embedding"]
    query = Search(np.ones((1, 4), np.float32), k=1, filter=parse({"_id": "mine"}))
    assert [hits.keys for hits in connector.search(NAME, query)] == [sent.keys]


def test_vectors_keep_their_names(double: Double, connect: Connect) -> None:
    vectors = (VectorField("abstract", 4, "l2"), VectorField("", 0, "dot", "sparse"))
    connector = connect(NAME)
    connector.create(Collection(NAME, vectors, mark="vecmig:test"))
    assert double.store.find(NAME).fields.keys() == {"abstract", "sparse"}
    described = connect(NAME).describe(NAME)
    assert described
    assert described.vectors == vectors


def test_a_vector_that_the_tags_do_not_name_is_still_read(double: Double, connect: Connect) -> None:
    index = double.store.plant(NAME, fields={"embedding": DENSE, "terms": SPARSE})
    index.tags["vecmig-vectors"] = '{"embedding": "", "gone": "x"}'
    described = connect(NAME).describe(NAME)
    assert described
    assert [vector.name for vector in described.vectors] == ["", "terms"]


def test_tags_that_somebody_changed_are_named(double: Double, connect: Connect) -> None:
    double.store.plant(NAME, 4).tags["vecmig-vectors"] = '{"_values"'
    with pytest.raises(ConnectorError, match=r"tags of index 'papers'.*remove them"):
        connect(NAME).describe(NAME)


@pytest.mark.parametrize("kind", ["vectors", "documents"])
def test_a_new_index_is_what_the_spec_says(double: Double, connect: Connect, kind: str) -> None:
    given = {"cloud": "gcp", "region": "europe-west4", "deletion_protection": True}
    connector = connect(NAME, kind=kind, **given)
    vectors = (VectorField("", 4, "l2"),)
    connector.create(Collection(NAME, vectors, (Field("at", "datetime", filter=True),), "vecmig:test", "a/model"))
    index = double.store.find(NAME)
    assert index.deployment == {"deployment_type": "managed", "cloud": "gcp", "region": "europe-west4"}
    assert (index.dimension, index.metric, index.is_document_index) == (4, "euclidean", kind == "documents")
    assert (index.tags["vecmig"], index.tags["vecmig-model"]) == ("vecmig:test", "a/model")
    with pytest.raises(CollectionConflict, match="take `deletion_protection` off in Pinecone first"):
        connector.drop(NAME)
    with connector.control as client:
        client.indexes.configure(NAME, deletion_protection="disabled")
    connect(NAME).drop(NAME)
    assert NAME not in double.store.indexes
    connect(NAME).create(DECLARED)
    index = double.store.find(NAME)
    assert index.deployment == {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    assert index.deletion_protection == "disabled"


def test_the_data_model_of_an_index_cannot_change(double: Double, connect: Connect) -> None:
    connect(NAME).create(DECLARED)
    with pytest.raises(CollectionConflict, match="one of `kind: vectors`, which cannot be changed"):
        connect(NAME, kind="documents").create(DECLARED)
    with pytest.raises(CollectionConflict, match="one of `kind: vectors`, which cannot be changed"):
        connect(NAME, kind="documents").describe(NAME)  # so that a plan tells it


def test_a_filter_by_a_searched_text_is_refused_where_pinecone_would_run_it(double: Double, connect: Connect) -> None:
    planted(double.store.plant(NAME, fields={"embedding": DENSE, "title": TITLE}), rows=5)
    connector = connect(NAME)
    query = Search(np.ones((1, 4), np.float32), k=5, filter=parse({"any": [{"title": "Title 2"}, {"n": 9}]}))
    with pytest.raises(UnsupportedError, match="`title` is indexed for full-text search"):
        connector.search(NAME, query)
    exact = Search(query.queries, query.k, filter=query.filter, exact=True)
    assert [hits.keys for hits in connector.search(NAME, exact)] == [[Key("", "id-00002")]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("_id", "begins with _ or $"), ("$x", "begins with _ or $"), ("é" * 33, "66 bytes, a field's at most 64")],
)
def test_a_vector_s_name_that_no_field_can_have_is_refused(name: str, reason: str) -> None:
    declared = Collection(NAME, (VectorField(name, 4, "cosine"),))
    (refusal,) = refusals(declared, "documents")
    assert reason in refusal
    assert "with `vectors`" in refusal
    assert not refusals(declared, "vectors")


def test_a_document_index_holds_one_dense_and_one_sparse_vector() -> None:
    two = (VectorField("a", 4, "cosine"), VectorField("b", 4, "cosine"))
    assert "one migration for each index" in " ".join(refusals(Collection(NAME, two), "documents"))
    long = Collection(NAME, (VectorField("a", 20_001, "cosine"),))
    assert "embed with fewer" in " ".join(refusals(long, "documents"))
    same = (VectorField("a", 4, "cosine"), VectorField("a", 0, "dot", "sparse"))
    assert "one name" in " ".join(refusals(Collection(NAME, same), None))


def test_a_bad_document_does_not_take_its_neighbours_with_it(double: Double, connect: Connect) -> None:
    double.limits.metadata_bytes = 300
    connector = connect(NAME, kind="documents")
    connector.create(DECLARED)
    batch = records(KEYS[:3])
    rows = batch.strings("metadata")
    rows[1] = json.dumps({"long": "x" * 400})
    (rejected,) = connector.upsert(NAME, batch.replace("metadata", pa.array(rows)))
    assert rejected.key == KEYS[1]
    assert connector.fetch(NAME, KEYS).keys == [KEYS[0], KEYS[2]]
