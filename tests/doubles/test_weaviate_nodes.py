"""Readiness, indexing that is late, limits and keys: what a server is asked about itself, and how it is set up."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.exceptions import (
    InsufficientPermissionsError,
    UnexpectedStatusCodeError,
    WeaviateBatchError,
    WeaviateInsertManyAllFailedError,
    WeaviateQueryError,
)

from tests.doubles.conftest import MakeCollection, numbered
from tests.doubles.weaviate import Lag, running
from tests.weaviate_server import WeaviateServer, connected, started_weaviate

Opened = Callable[[], AbstractContextManager[WeaviateServer]]
CAP = 200_000


@contextmanager
def late_double() -> Iterator[WeaviateServer]:
    with running() as double:
        double.store.is_async = True
        double.store.lag = Lag(polls=2)
        yield WeaviateServer.of(double)


@contextmanager
def locked_double() -> Iterator[WeaviateServer]:
    with running() as double:
        double.gate.accepted_keys, double.gate.reading_keys = {"writer", "reader"}, {"reader"}
        double.limits.message_bytes = CAP
        yield WeaviateServer.of(double)


@contextmanager
def late_real() -> Iterator[WeaviateServer]:
    with started_weaviate({"ASYNC_INDEXING": "true"}) as server:
        yield server


@contextmanager
def locked_real() -> Iterator[WeaviateServer]:
    settings = {
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
        "AUTHENTICATION_APIKEY_ALLOWED_KEYS": "writer,reader",
        "AUTHENTICATION_APIKEY_ENABLED": "true",
        "AUTHENTICATION_APIKEY_USERS": "writer,reader",
        "AUTHORIZATION_ADMINLIST_ENABLED": "true",
        "AUTHORIZATION_ADMINLIST_READONLY_USERS": "reader",
        "AUTHORIZATION_ADMINLIST_USERS": "writer",
        "GRPC_MAX_MESSAGE_SIZE": str(CAP),
    }
    with started_weaviate(settings) as server:
        yield server


@pytest.fixture(scope="module", params=[late_double, late_real], ids=["double", "real"])
def late(request: pytest.FixtureRequest) -> Iterator[WeaviateServer]:
    """A server that indexes later."""
    with request.param() as server:
        yield server


@pytest.fixture(scope="module", params=[locked_double, locked_real], ids=["double", "real"])
def locked(request: pytest.FixtureRequest) -> Iterator[WeaviateServer]:
    """A server with the keys `writer` and `reader`, and a small limit of messages."""
    with request.param() as server:
        yield server


def shard(server: WeaviateServer, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of a collection's only shard: what its node says, and what the list of shards does."""
    node = httpx.get(f"{server.url}/v1/nodes/{name}?output=verbose").json()["nodes"][0]["shards"][0]
    return node, httpx.get(f"{server.url}/v1/schema/{name}/shards").json()[0]


def test_a_server_that_is_ready_says_so(weaviate_client: WeaviateClient) -> None:
    assert weaviate_client.is_ready()
    assert weaviate_client.is_live()
    meta = weaviate_client.get_meta()
    assert meta["grpcMaxMessageSize"] == 104_858_000
    assert tuple(map(int, meta["version"].split(".")[:2])) >= (1, 30)


def test_what_the_node_says_of_a_collection(weaviate_server: WeaviateServer, make_collection: MakeCollection) -> None:
    films = make_collection()
    films.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[1.0, 2.0])])
    node, listed = shard(weaviate_server, films.name)
    assert (node["class"], node["vectorIndexingStatus"], node["vectorQueueLength"]) == (films.name, "READY", 0)
    assert (listed["name"], listed["status"], listed["vectorQueueSize"]) == (node["name"], "READY", 0)
    assert node["objectCount"] == 0  # late: never to be relied on
    answer = httpx.get(f"{weaviate_server.url}/v1/nodes/Missing?output=verbose")
    assert (answer.status_code, answer.json()["error"][0]["message"]) == (404, 'class "Missing" not found')


def test_a_vector_in_the_queue_is_not_found_and_only_the_node_tells(late: WeaviateServer) -> None:
    vectors = np.random.default_rng(3).normal(size=(1000, 64)).astype(np.float32)
    with connected(late) as client:
        films = client.collections.create("Late", vector_config=Configure.Vectors.self_provided())
        films.data.insert_many(
            [
                DataObject(properties={}, uuid=numbered(row), vector=vector.tolist())
                for row, vector in enumerate(vectors)
            ]
        )
        assert films.query.near_vector(vectors[7].tolist(), limit=1).objects == []
        node, listed = shard(late, "Late")
        assert (node["vectorIndexingStatus"], node["vectorQueueLength"]) == ("INDEXING", 1000)
        assert (listed["status"], listed["vectorQueueSize"]) == ("INDEXING", 0)
        assert len(films) == 1000
        deadline = time.monotonic() + 30
        while shard(late, "Late")[0]["vectorIndexingStatus"] != "READY":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (found,) = films.query.near_vector(vectors[7].tolist(), limit=1).objects
        assert found.uuid.int == 7


def test_a_server_that_indexes_later_has_dynamic_indexes(late: WeaviateServer) -> None:
    with connected(late) as client:
        dynamic = Configure.VectorIndex.dynamic(threshold=5)
        client.collections.create("Dynamic", vector_config=Configure.Vectors.self_provided(vector_index_config=dynamic))
        config = client.collections.use("Dynamic").config.get()
        index: Any = (config.vector_config or {})["default"].vector_index_config
        assert (index.threshold, index.hnsw.ef_construction) == (5, 128)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_a_key_that_it_knows_a_server_answers_nothing(locked: WeaviateServer, key: str | None) -> None:
    with pytest.raises(UnexpectedStatusCodeError, match="401"), connected(locked, key):
        pass
    assert httpx.get(f"{locked.url}/v1/.well-known/ready").status_code == 200


def test_who_may_only_read_is_told_so_for_each_object(locked: WeaviateServer) -> None:
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties={}, uuid=numbered(number), vector=[1.0]) for number in range(2)
    ]
    with connected(locked, "writer") as writer, connected(locked, "reader") as reader:
        films = writer.collections.create("Films", vector_config=Configure.Vectors.self_provided())
        films.data.insert_many(objects)
        read = reader.collections.use("Films")
        assert len(read) == 2
        with pytest.raises(WeaviateInsertManyAllFailedError, match="forbidden action"):
            read.data.insert_many(objects)
        with pytest.raises(InsufficientPermissionsError):
            read.data.delete_many(Filter.by_id().equal(numbered(1)))
        with pytest.raises(InsufficientPermissionsError):
            reader.collections.create("Other")
        with pytest.raises(InsufficientPermissionsError):
            reader.collections.delete("Films")
        writer.collections.delete("Films")


def test_a_message_over_the_limit_is_refused_whole_and_a_smaller_one_is_not(locked: WeaviateServer) -> None:
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties={}, uuid=numbered(number), vector=[0.5] * 300) for number in range(240)
    ]
    with connected(locked, "writer") as client:
        films = client.collections.create("Big", vector_config=Configure.Vectors.self_provided())
        with pytest.raises(WeaviateBatchError, match="message larger than max"):
            films.data.insert_many(objects)
        for start in range(0, 240, 120):
            films.data.insert_many(objects[start : start + 120])
        with pytest.raises(WeaviateQueryError, match=r"trying to send message larger than max \(\d+ vs. 200000\)"):
            films.query.fetch_objects(limit=240, include_vector=True)
        assert len(films.query.fetch_objects(limit=120, include_vector=True).objects) == 120
        client.collections.delete("Big")


def test_the_address_of_a_server_is_taken_apart() -> None:
    server = WeaviateServer("http://h:1", "g", 2, is_real=False)
    assert [(s.host, s.port) for s in (server, replace(server, url="https://h"))] == [("h", 1), ("h", 443)]
