"""What a collection of others has that is not read, or read as something else, is named: never absent in silence."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import pytest
from weaviate.classes.data import DataObject
from weaviate.proto.v1 import batch_pb2

from tests.connectors.weaviate.places import make, options, read, remove
from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.schema.unread import findings
from vecmig.errors import UnsupportedError
from vecmig.model.record import Key

NAME, AUTHORS = "BooksOfOthers", "AuthorsOfOthers"
COVER = base64.b64encode(bytes(range(256))).decode()


@contextmanager
def books_of_others(server: WeaviateServer) -> Iterator[None]:
    """A collection with two references, a blob, a blob inside an object, and two vectors of which one can be read."""
    for name in (NAME, AUTHORS):
        remove(server, name)
    make(server, {"class": AUTHORS, "vectorizer": "none", "vectorIndexType": "hnsw"})
    make(
        server,
        {
            "class": NAME,
            "properties": [
                {"name": "title", "dataType": ["text"]},
                {"name": "hasAuthor", "dataType": [AUTHORS]},
                {"name": "hasEditor", "dataType": [AUTHORS]},
                {"name": "cover", "dataType": ["blob"]},
                {
                    "name": "back",
                    "dataType": ["object"],
                    "nestedProperties": [
                        {"name": "image", "dataType": ["blob"]},
                        {"name": "text", "dataType": ["text"]},
                    ],
                },
            ],
            "vectorConfig": {
                "plain": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"},
                "words": {
                    "vectorizer": {"none": {}},
                    "vectorIndexType": "hnsw",
                    "vectorIndexConfig": {"multivector": {"enabled": True}},
                },
            },
        },
    )
    properties: dict[str, Any] = {"title": "a", "cover": COVER, "back": {"image": COVER, "text": "b"}}
    with connected(server) as client:
        added = client.collections.use(NAME).data.insert_many(
            [DataObject(properties=properties, vector={"plain": [1.0, 2.0]})]
        )
        assert not added.errors
    yield
    for name in (NAME, AUTHORS):
        remove(server, name)


@pytest.fixture
def books(weaviate_server: WeaviateServer) -> Iterator[WeaviateServer]:
    with books_of_others(weaviate_server):
        yield weaviate_server


WITHOUT = ("hasAuthor", "hasEditor", "words")
FINDINGS = (
    f"hasAuthor is a reference to {AUTHORS}, so it is left out",
    f"hasEditor is a reference to {AUTHORS}, so it is left out",
    "words is a vector of several rows a record, so it is left out",
    "cover holds blobs, which are moved as text in base64",
    "back.image holds blobs, which are moved as text in base64",
)


def opened(server: WeaviateServer, *without: str) -> WeaviateConnector:
    return options(server, NAME, without=without).open()


def test_what_cannot_be_moved_is_refused_all_at_once_with_the_way_out(books: WeaviateServer) -> None:
    connector = opened(books)
    with pytest.raises(UnsupportedError) as refused:
        connector.describe(NAME)
    connector.close()
    said = str(refused.value)
    for each in FINDINGS[:3]:
        assert each.removesuffix(", so it is left out") in said
    assert "say `without: [hasAuthor, hasEditor, words]` to leave it out" in said


def test_a_reference_that_the_spec_leaves_out_is_named_and_all_else_is_read(books: WeaviateServer) -> None:
    connector = opened(books, *WITHOUT)
    found = connector.describe(NAME)
    assert found
    assert found.findings == FINDINGS
    assert [each.name for each in found.vectors] == ["plain"]
    (part,) = connector.partitions(NAME, 1)
    ((batch, _),) = connector.read(part, None)
    assert json.loads(batch.strings("metadata")[0]) == {
        "title": "a",
        "cover": COVER,
        "back": {"image": COVER, "text": "b"},
    }
    connector.close()


def test_other_names_that_the_spec_leaves_out_are_told_too(books: WeaviateServer) -> None:
    connector = opened(books, *WITHOUT, "title", "titel", "cover")
    found = connector.describe(NAME)
    assert found
    assert "title is left out, as `without` says" in found.findings
    assert "`without` names titel, which is not there" in found.findings
    assert not any("cover holds blobs" in each for each in found.findings)
    connector.close()


def test_an_object_that_can_be_given_neither_whole_nor_in_parts_is_refused_by_name() -> None:
    nested = [{"name": "Text", "dataType": ["text"]}, {"name": "image", "dataType": ["blob"]}]
    schema = {
        "properties": [
            {"name": "cover", "dataType": ["object"], "nestedProperties": nested},
            {"name": "plain", "dataType": ["object"], "nestedProperties": nested[:1]},
        ]
    }
    with pytest.raises(UnsupportedError) as refused:
        findings(NAME, schema, [], ())
    assert "cover holds a blob, beside which Weaviate does not give cover.Text, for the capital" in str(refused.value)
    assert "plain" not in str(refused.value)


def test_a_distance_and_a_type_of_later_servers_are_refused_by_name() -> None:
    schema = {
        "properties": [{"name": "place", "dataType": ["polygon"]}],
        "vectorConfig": {"bits": {"vectorIndexType": "hnsw", "vectorIndexConfig": {"distance": "jaccard"}}},
    }
    with pytest.raises(UnsupportedError) as refused:
        findings(NAME, schema, ["bits"], ())
    assert "place is of type polygon, which vecmig does not know" in str(refused.value)
    assert "bits is a vector that is compared by jaccard, which vecmig does not know" in str(refused.value)


def test_objects_of_others_whose_ids_were_sent_in_capitals_are_read_fetched_and_deleted(
    weaviate_server: WeaviateServer,
) -> None:
    name, sent = "CapitalsOfOthers", "ABCDEFAB-1234-4ABC-8DEF-ABCDEF012345"
    remove(weaviate_server, name)
    make(weaviate_server, {"class": name, "vectorizer": "none", "vectorIndexType": "hnsw"})
    try:
        with connected(weaviate_server) as client, closing(options(weaviate_server, name).open()) as connector:
            one = batch_pb2.BatchObject(uuid=sent, collection=name)  # the client makes small letters of them
            stub: Any = client._connection.grpc_stub
            stub.BatchObjects(batch_pb2.BatchObjectsRequest(objects=[one]))
            key = Key("", sent.lower())
            assert read(connector) == [key]
            assert connector.fetch(name, [key]).keys == [key]
            connector.delete(name, [key])
            assert not connector.count(name)
    finally:
        remove(weaviate_server, name)


def test_a_vector_that_the_first_records_lack_has_the_dimensions_of_a_later_one(
    weaviate_server: WeaviateServer,
) -> None:
    name = "RareOfOthers"
    remove(weaviate_server, name)
    named = {each: {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"} for each in ("title", "rare")}
    make(weaviate_server, {"class": name, "vectorConfig": named})
    try:
        with connected(weaviate_server) as client, closing(options(weaviate_server, name).open()) as connector:
            for n in range(1, 50):
                vectors = {"title": [1.0, n]} | ({"rare": [1.0, 2.0, 3.0]} if n == 41 else {})
                client.collections.use(name).data.insert({}, uuid=str(UUID(int=n)), vector=vectors)
            found = connector.describe(name)
        assert found
        assert {each.name: each.dimensions for each in found.vectors} == {"title": 2, "rare": 3}
    finally:
        remove(weaviate_server, name)
