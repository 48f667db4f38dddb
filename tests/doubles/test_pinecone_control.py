from typing import Any

import httpx
import pytest
from pinecone import Pinecone
from pinecone.errors import ConflictError, ForbiddenError, NotFoundError, UnauthorizedError

from tests.doubles.conftest import Connect
from tests.doubles.pinecone import Double

FIELDS = {"_values": {"type": "dense_vector", "dimension": 8, "metric": "euclidean"}}


def create(client: Pinecone, name: str = "films", **changes: Any) -> Any:
    return client.indexes.create(**{"name": name, "schema": {"fields": FIELDS}, "timeout": -1, **changes})


def test_a_created_index_is_described_as_it_was_asked_for(client: Pinecone) -> None:
    create(client, tags={"team": "search"}, deletion_protection="enabled")
    found = client.indexes.describe("films")
    assert (found.dimension, found.metric, found.vector_type) == (8, "euclidean", "dense")
    assert found.tags == {"team": "search"}
    assert found.deletion_protection == "enabled"
    assert found.status.ready


def test_the_old_way_to_create_makes_a_vector_index(client: Pinecone, double: Double) -> None:
    from pinecone import ServerlessSpec

    client.create_index("films", dimension=8, metric="cosine", spec=ServerlessSpec(cloud="aws", region="us-east-1"))
    assert not double.store.find("films").is_document_index


def test_other_fields_make_a_document_index(client: Pinecone, double: Double) -> None:
    create(client, schema={"fields": {"embedding": FIELDS["_values"]}})
    assert double.store.find("films").is_document_index


def test_indexes_are_listed_by_name(client: Pinecone) -> None:
    create(client, "b")
    create(client, "a")
    assert [index.name for index in client.indexes.list()] == ["a", "b"]


def test_a_name_that_is_taken_is_a_conflict(client: Pinecone) -> None:
    create(client)
    with pytest.raises(ConflictError):
        create(client)


def test_an_index_that_is_not_there_is_not_found(client: Pinecone) -> None:
    with pytest.raises(NotFoundError):
        client.indexes.describe("films")


@pytest.mark.parametrize(("name", "status"), [("a" * 45, 201), ("a" * 46, 400), ("Films", 400), ("-a", 400), ("", 400)])
def test_names_are_checked(double: Double, http: httpx.Client, name: str, status: int) -> None:
    body = {"name": name, "schema": {"fields": FIELDS}}
    assert http.post(f"{double.url}/indexes", json=body).status_code == status


@pytest.mark.parametrize(("dimension", "status"), [(1, 201), (20_000, 201), (20_001, 400), (0, 400)])
def test_dimensions_are_checked(double: Double, http: httpx.Client, dimension: int, status: int) -> None:
    body = {"name": "films", "schema": {"fields": {"_values": {"type": "dense_vector", "dimension": dimension}}}}
    assert http.post(f"{double.url}/indexes", json=body).status_code == status


def test_a_protected_index_is_deleted_only_once_it_is_no_longer_protected(client: Pinecone) -> None:
    create(client, deletion_protection="enabled")
    with pytest.raises(ForbiddenError, match="Deletion protection"):
        client.indexes.delete("films")
    client.indexes.configure("films", deletion_protection="disabled")
    client.indexes.delete("films")
    assert not client.has_index("films")


def test_tags_are_merged_and_an_empty_one_is_removed(client: Pinecone) -> None:
    create(client, tags={"a": "1", "b": "2"})
    client.indexes.configure("films", tags={"a": "", "c": "3"})
    assert client.indexes.describe("films").tags == {"b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({f"k{number}": "v" for number in range(20)}, 202),
        ({f"k{number}": "v" for number in range(21)}, 400),
        ({"k" * 80: "v" * 120}, 202),
        ({"k" * 81: "v"}, 400),
        ({"k": "v" * 121}, 400),
        ({"k": "é"}, 400),
        ({"a b": "v"}, 400),
    ],
)
def test_tags_are_checked(double: Double, http: httpx.Client, tags: dict[str, str], status: int) -> None:
    double.store.plant("films", 8)
    assert http.patch(f"{double.url}/indexes/films", json={"tags": tags}).status_code == status


def test_unknown_changes_are_refused(double: Double, http: httpx.Client) -> None:
    double.store.plant("films", 8)
    assert http.patch(f"{double.url}/indexes/films", json={"dimension": 9}).status_code == 400


def test_beyond_the_quota_no_index_is_created(client: Pinecone, double: Double) -> None:
    double.limits.indexes = 1
    create(client, "a")
    with pytest.raises(ForbiddenError) as caught:
        create(client, "b")
    assert caught.value.error_code == "QUOTA_EXCEEDED"


def test_a_new_index_may_not_be_ready_at_once(client: Pinecone, double: Double) -> None:
    double.store.ready_after_s = 30
    create(client)
    status = client.indexes.describe("films").status
    assert (status.ready, status.state) == (False, "Initializing")


def test_a_pod_index_is_described_but_not_created(client: Pinecone, double: Double, http: httpx.Client) -> None:
    double.store.plant("old", 8, pod=True)
    assert client.indexes.describe("old").deployment.pod_type == "p1.x1"  # type: ignore[union-attr]
    body = {"name": "new", "schema": {"fields": FIELDS}, "deployment": {"deployment_type": "pod"}}
    assert http.post(f"{double.url}/indexes", json=body).status_code == 400


def test_older_versions_of_the_api_see_the_same_index_in_their_shape(double: Double, http: httpx.Client) -> None:
    http.headers["x-pinecone-api-version"] = "2025-10"
    spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
    created = http.post(f"{double.url}/indexes", json={"name": "films", "dimension": 8, "spec": spec})
    assert created.status_code == 201
    shown = created.json()
    assert (shown["dimension"], shown["metric"], shown["vector_type"]) == (8, "cosine", "dense")
    assert shown["spec"]["serverless"]["region"] == "us-east-1"
    assert "schema" not in shown
    http.headers["x-pinecone-api-version"] = "2026-07"
    assert "schema" in http.get(f"{double.url}/indexes/films").json()


def test_errors_have_the_shape_of_the_control_plane(double: Double, http: httpx.Client) -> None:
    assert http.get(f"{double.url}/indexes/films").json() == {
        "error": {"code": "NOT_FOUND", "message": "Resource films not found"},
        "status": 404,
    }


def test_a_key_that_is_not_accepted_is_unauthorized(double: Double, client: Pinecone, connect: Connect) -> None:
    index = double.store.plant("films", 8)
    double.gate.accepted_keys = {"another"}
    with pytest.raises(UnauthorizedError):
        client.indexes.describe("films")
    with pytest.raises(UnauthorizedError):
        connect(index).fetch(ids=["a"])


def test_a_key_may_be_forbidden(double: Double, client: Pinecone, connect: Connect) -> None:
    index = double.store.plant("films", 8)
    double.gate.forbidden_keys = {"test"}
    with pytest.raises(ForbiddenError):
        client.indexes.describe("films")
    with pytest.raises(ForbiddenError):
        connect(index).fetch(ids=["a"])


def test_the_host_of_a_deleted_index_answers_that_it_is_not_found(double: Double, connect: Connect) -> None:
    index = connect(double.store.plant("films", 2))
    index.upsert(vectors=[("a", [1, 2])])
    double.store.delete("films")
    for ask in (lambda: index.fetch(ids=["a"]), index.describe_index_stats, index.list_paginated):
        with pytest.raises(NotFoundError):
            ask()
    with pytest.raises(NotFoundError):
        index.upsert(vectors=[("a", [1, 2])])
