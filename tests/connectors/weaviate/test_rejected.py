"""What a collection cannot hold is refused before it is sent, each record by name and without its values."""

from typing import Any

import pytest

from tests.connectors.weaviate.places import batch, opened
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.model.batch import Key
from vecmig.model.collection import Collection, VectorField

BODY, TITLE = VectorField("body", 2, "cosine"), VectorField("title", 3, "cosine")
GOOD: dict[str, Any] = {"id": "good", "vector:body": [1.0, 2.0], "vector:title": [1.0, 2.0, 3.0]}
TWIN = stored("", "twin")


@pytest.mark.parametrize(
    ("row", "vectors", "reason"),
    [
        ({"vector:body": [1.0, float("nan")]}, (BODY, TITLE), "vector `body` holds NaN or infinity"),
        ({"vector:title": [1.0, float("inf"), 2.0]}, (BODY, TITLE), "vector `title` holds NaN or infinity"),
        ({"vector:title": [1.0, float("-inf"), 2.0]}, (BODY, TITLE), "vector `title` holds NaN or infinity"),
        (
            {"vector:other": [1.0]},
            (BODY, TITLE, VectorField("other", 1, "dot")),
            "it has a vector `other`, and the collection no place for it",
        ),
        ({"id": ""}, (BODY, TITLE), "its id is empty"),
        ({"namespace": "de"}, (BODY, TITLE), "it has a namespace, and the collection no tenants"),
        ({"id": TWIN}, (BODY, TITLE), "another record of the batch has the same UUID"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_record_is_refused_and_the_rest_of_its_batch_is_stored(
    weaviate_server: WeaviateServer, row: dict[str, Any], vectors: tuple[VectorField, ...], reason: str
) -> None:
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        connector.create(
            connector.options.complete(Collection(name, (BODY, TITLE), mark="vecmig:test", namespaced=False))
        )
        rows = [{**GOOD, "id": "twin"}, {**GOOD, "id": "bad", **row}, GOOD]
        (rejected,) = connector.upsert(name, batch(rows, vectors))
        assert rejected.key == Key(row.get("namespace", ""), row.get("id", "bad"))
        assert rejected.reason.startswith(reason)
        declared = Collection(name, (BODY, TITLE), mark="vecmig:test", namespaced=False)
        assert connector.options.rejects(connector.options.complete(declared), batch(rows, vectors)) == [rejected], (
            "the plan says so of a sample"
        )
        assert connector.fetch(name, [Key("", "good"), Key("", "twin"), Key("", "bad")]).keys == [
            Key("", "good"),
            Key("", "twin"),
        ]


def test_vectors_of_other_dimensions_are_refused_in_each_tenant(weaviate_server: WeaviateServer) -> None:
    """The server itself would take them in a tenant that has none yet."""
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        declared = Collection(name, (VectorField("", 2, "cosine"),), mark="vecmig:test", namespaced=True)
        connector.create(connector.options.complete(declared))
        rows = [{"id": "a", "namespace": namespace, "vector:": [1.0, 2.0, 3.0]} for namespace in ("one", "two")]
        rejected = connector.upsert(name, batch(rows, (VectorField("", 3, "cosine"),)))
        assert [each.key for each in rejected] == [Key("one", "a"), Key("two", "a")]
        assert all(each.reason == "its vector has 3 dimensions, the collection's 2" for each in rejected)
        assert connector.count(name) == {}


def test_a_namespace_that_is_too_long_for_a_tenant_is_refused_by_plan_and_write(
    weaviate_server: WeaviateServer,
) -> None:
    with opened(weaviate_server) as connector:
        name, vectors = connector.options.collection, (VectorField("", 2, "cosine"),)
        declared = connector.options.complete(Collection(name, vectors, mark="vecmig:test", namespaced=True))
        connector.create(declared)
        rows = batch([{"id": "a", "namespace": each, "vector:": [1.0, 2.0]} for each in ("ü" * 60, "de")], vectors)
        (rejected,) = connector.upsert(name, rows)
        assert rejected.reason.startswith("its namespace has 120 bytes, and a tenant's name 64 characters")
        assert connector.options.rejects(declared, rows) == [rejected]
        assert connector.count(name) == {"de": 1}
