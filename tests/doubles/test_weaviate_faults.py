import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property
from weaviate.classes.data import DataObject
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateQueryError
from weaviate.proto.v1 import batch_pb2, search_get_pb2, weaviate_pb2_grpc

from tests.doubles.conftest import numbered
from tests.doubles.weaviate import Code, Double, Fault, Lag, running
from tests.weaviate_server import WeaviateServer, connected


@pytest.fixture
def client(weaviate_double: Double) -> Iterator[WeaviateClient]:
    with connected(WeaviateServer.of(weaviate_double)) as client:
        yield client


@pytest.fixture
def films(client: WeaviateClient) -> Any:
    return client.collections.create(
        "Films",
        properties=[Property(name="n", data_type=DataType.INT)],
        vector_config=Configure.Vectors.self_provided(),
    )


@pytest.fixture
def stub(weaviate_double: Double) -> Iterator[Any]:
    """The service without the client's own retries, some of which take seconds."""
    with grpc.insecure_channel(f"127.0.0.1:{weaviate_double.grpc_port}") as channel:
        yield weaviate_pb2_grpc.WeaviateStub(channel)  # type: ignore[no-untyped-call]


def some(count: int, start: int = 0) -> list[DataObject[Any, Any]]:
    return [
        DataObject(properties={"n": number}, uuid=numbered(number), vector=[1.0, float(number)])
        for number in range(start, start + count)
    ]


def batch(count: int) -> Any:
    objects = [batch_pb2.BatchObject(uuid=numbered(number), collection="Films") for number in range(count)]
    return batch_pb2.BatchObjectsRequest(objects=objects)


def code(call: Any, *asked: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(*asked)
    status: grpc.StatusCode = caught.value.code()
    return status


def stored(weaviate_double: Double) -> int:
    return len(weaviate_double.store.find("Films").objects())


def test_a_status_is_answered_as_often_as_asked(weaviate_double: Double, films: Any, stub: Any) -> None:
    weaviate_double.faults.add(Fault.status(Code.RESOURCE_EXHAUSTED), on="search", skip=1, times=2)
    search = search_get_pb2.SearchRequest(collection="Films")
    stub.Search(search)
    assert [code(stub.Search, search) for _ in range(2)] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
    stub.Search(search)
    assert [r.status for r in weaviate_double.requests if r.operation == "search"] == [200, 429, 429, 200]


def test_the_client_tries_again_where_the_server_is_unavailable_and_nowhere_else(
    weaviate_double: Double, films: Any
) -> None:
    weaviate_double.faults.add(Fault.status(Code.UNAVAILABLE), on=["search", "batch_objects"], times=1)
    films.data.insert_many(some(3))
    assert stored(weaviate_double) == 3
    weaviate_double.faults.add(Fault.status(Code.UNKNOWN, "shard is read-only"), on="search", times=1)
    with pytest.raises(WeaviateQueryError, match="shard is read-only"):
        films.query.fetch_objects()


def test_only_the_calls_meant_are_hit(weaviate_double: Double, client: WeaviateClient, films: Any) -> None:
    client.collections.create("Books")
    weaviate_double.faults.add(Fault.status(Code.INTERNAL), on="search", collection="films")
    with pytest.raises(WeaviateQueryError):
        films.query.fetch_objects()
    assert client.collections.use("Books").query.fetch_objects().objects == []
    assert len(films) == 0


@pytest.mark.parametrize("is_applied", [False, True])
def test_a_reset_comes_before_or_after_a_batch_is_stored(
    weaviate_double: Double, films: Any, stub: Any, is_applied: bool
) -> None:
    weaviate_double.faults.add(Fault.reset(applied=is_applied), on="batch_objects", times=1)
    assert code(stub.BatchObjects, batch(3)) is grpc.StatusCode.UNAVAILABLE
    assert stored(weaviate_double) == (3 if is_applied else 0)
    assert weaviate_double.requests[-1].status == 0
    stub.BatchObjects(batch(4), wait_for_ready=True)
    assert stored(weaviate_double) == 4


def test_a_reset_may_come_in_the_middle_of_a_batch(weaviate_double: Double, films: Any, stub: Any) -> None:
    weaviate_double.faults.add(Fault.reset(applied_objects=2), on="batch_objects", times=1)
    assert code(stub.BatchObjects, batch(5)) is grpc.StatusCode.UNAVAILABLE
    assert stored(weaviate_double) == 2


@pytest.mark.parametrize("is_applied", [False, True])
def test_a_reset_breaks_rest_calls_too(weaviate_double: Double, is_applied: bool) -> None:
    weaviate_double.faults.add(Fault.reset(applied=is_applied), on="create_collection", times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        httpx.post(f"{weaviate_double.url}/v1/schema", json={"class": "Books"})
    assert ("Books" in weaviate_double.store.collections) == is_applied


def test_a_rest_call_fails_with_a_status(weaviate_double: Double, client: WeaviateClient) -> None:
    weaviate_double.faults.add(Fault.status(Code.UNAVAILABLE, "no leader", http=503), on="create_collection", times=1)
    with pytest.raises(UnexpectedStatusCodeError, match="no leader"):
        client.collections.create("Books")
    client.collections.create("Books")


def test_single_objects_are_refused_or_lost(weaviate_double: Double, films: Any) -> None:
    weaviate_double.faults.add(Fault.refused_objects({numbered(1): "disk is full"}), on="batch_objects", times=1)
    weaviate_double.faults.add(Fault.lost_objects([numbered(2)]), on="batch_objects", times=1)
    result = films.data.insert_many(some(4))
    assert {row: error.message for row, error in result.errors.items()} == {1: "disk is full"}
    assert len(result.uuids) == 3
    assert stored(weaviate_double) == 2


def test_a_page_may_be_slow_or_too_large(weaviate_double: Double, films: Any) -> None:
    weaviate_double.faults.add(Fault.slow(0.2), on="search", times=1)
    began = time.monotonic()
    films.query.fetch_objects()
    assert time.monotonic() - began >= 0.2
    weaviate_double.faults.add(Fault.oversize(), on="search", times=1)
    with pytest.raises(WeaviateQueryError, match="trying to send message larger than max"):
        films.query.fetch_objects()


def test_one_write_may_be_indexed_late(weaviate_double: Double, films: Any) -> None:
    films.data.insert_many(some(1))
    weaviate_double.faults.add(Fault.late(polls=1), on="batch_objects", times=1)
    films.data.insert_many(some(1, start=5))

    def found() -> list[int]:
        return [o.uuid.int for o in films.query.near_vector([1.0, 5.0]).objects]

    assert found() == [0]
    assert films.shards()[0].vector_queue_length == 1
    assert found() == [5, 0]


def test_late_writes_may_wait_for_a_time(weaviate_double: Double, films: Any) -> None:
    weaviate_double.store.lag = Lag(seconds=0.2)
    films.data.insert_many(some(1))
    assert films.query.near_vector([1.0, 0.0]).objects == []
    time.sleep(0.25)
    assert len(films.query.near_vector([1.0, 0.0]).objects) == 1


def test_a_tenant_becomes_inactive_in_the_middle(weaviate_double: Double, client: WeaviateClient) -> None:
    books = client.collections.create("Books", multi_tenancy_config=Configure.multi_tenancy())
    books.tenants.create("a")
    weaviate_double.faults.add(Fault.tenant_inactive("a"), on="search", skip=1, times=1)
    books.with_tenant("a").query.fetch_objects()
    with pytest.raises(WeaviateQueryError, match="tenant not active: 'a'"):
        books.with_tenant("a").query.fetch_objects()


def test_an_offloaded_tenant_is_not_activated_by_itself(weaviate_double: Double, client: WeaviateClient) -> None:
    books = client.collections.create(
        "Books", multi_tenancy_config=Configure.multi_tenancy(auto_tenant_activation=True)
    )
    books.tenants.create("a")
    books.tenants.offload("a")
    with pytest.raises(WeaviateQueryError, match="tenant not active: 'a'"):
        books.with_tenant("a").query.fetch_objects()
    assert books.tenants.get()["a"].activity_status.value == "OFFLOADED"


def test_a_collection_may_be_deleted_in_the_middle(weaviate_double: Double, films: Any) -> None:
    weaviate_double.faults.add(Fault.collection_deleted(), on="search")
    with pytest.raises(WeaviateQueryError, match="could not find class Films"):
        films.query.fetch_objects()


def test_a_server_may_be_gone_and_come_back_with_what_it_had(weaviate_double: Double, films: Any, stub: Any) -> None:
    films.data.insert_many(some(3))
    weaviate_double.stop()
    assert code(stub.Search, search_get_pb2.SearchRequest(collection="Films")) is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{weaviate_double.url}/v1/meta")
    weaviate_double.start()
    found = stub.Search(search_get_pb2.SearchRequest(collection="Films"), wait_for_ready=True, timeout=20)
    assert len(found.results) == 3


def test_a_server_may_not_be_ready(weaviate_double: Double, client: WeaviateClient) -> None:
    weaviate_double.store.is_ready = False
    assert not client.is_ready()


def test_chance_repeats_itself_with_the_same_seed() -> None:
    def statuses(seed: int) -> list[int]:
        with running(seed=seed) as double, httpx.Client(base_url=double.url) as http:
            double.faults.add(Fault.status(Code.INTERNAL), probability=0.5)
            return [http.get("/v1/meta").status_code for _ in range(40)]

    assert statuses(7) == statuses(7) != statuses(8)
    assert 8 < statuses(7).count(500) < 32


def test_every_call_is_written_down(weaviate_double: Double, films: Any) -> None:
    weaviate_double.requests.clear()
    films.data.insert_many(some(3))
    len(films)
    seen = [(r.operation, r.transport, r.collection, r.status, r.objects) for r in weaviate_double.requests]
    assert seen == [("batch_objects", "grpc", "Films", 200, 3), ("aggregate", "grpc", "Films", 200, 3)]
    assert weaviate_double.requests[0].bytes > 0
