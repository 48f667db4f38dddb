import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import grpc as grpc_library
import httpx
import pytest
from pinecone import Pinecone
from pinecone.grpc import GrpcIndex
from weaviate import WeaviateClient
from weaviate.classes.config import Configure
from weaviate.proto.v1 import search_get_pb2, weaviate_pb2_grpc

from tests.doubles.pinecone import Double, Index, running
from tests.weaviate_server import WeaviateServer, connected

Connect = Callable[[Index], Any]


@pytest.fixture
def double() -> Iterator[Double]:
    with running(seed=1) as double:
        yield double


@pytest.fixture
def client(double: Double) -> Iterator[Pinecone]:
    with Pinecone(host=double.url, api_key="test") as client:
        yield client


@pytest.fixture
def rest(client: Pinecone) -> Iterator[Connect]:
    """Opens the SDK's client of an index, over HTTP."""
    with ExitStack() as stack:
        yield lambda index: stack.enter_context(client.index(host=index.host))


@pytest.fixture
def grpc() -> Iterator[Connect]:
    """Opens the SDK's client of an index, over gRPC."""
    with ExitStack() as stack:
        yield lambda index: stack.enter_context(GrpcIndex(host=index.host, api_key="test", secure=False))


@pytest.fixture(params=["rest", "grpc"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens the SDK's client of an index, over each transport in turn."""
    opened: Connect = request.getfixturevalue(request.param)
    return opened


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client without retries and without the SDK's own checks."""
    with httpx.Client(headers={"api-key": "test", "x-pinecone-api-version": "2026-07"}) as client:
        yield client


# Weaviate: the same tests on the double and, where there is one, on a real server


class MakeCollection(Protocol):
    def __call__(self, *, raw: dict[str, Any] | None = None, **config: Any) -> Any:
        """A collection of this test alone, by the client's arguments or, with `raw`, as the REST API takes it."""


@pytest.fixture
def weaviate_client(weaviate_server: WeaviateServer) -> Iterator[WeaviateClient]:
    with connected(weaviate_server) as client:
        yield client


@pytest.fixture
def make_collection(weaviate_client: WeaviateClient) -> Iterator[MakeCollection]:
    made: list[str] = []

    def make(*, raw: dict[str, Any] | None = None, **config: Any) -> Any:
        name = f"Vecmig_{secrets.token_hex(6)}"
        made.append(name)
        if raw is not None:
            weaviate_client.collections.create_from_dict({**raw, "class": name})
            return weaviate_client.collections.use(name)
        config.setdefault("vector_config", Configure.Vectors.self_provided())
        return weaviate_client.collections.create(name, **config)

    yield make
    for name in made:
        weaviate_client.collections.delete(name)


@pytest.fixture
def weaviate_stub(weaviate_server: WeaviateServer) -> Iterator[Any]:
    """The gRPC service without the client's checks."""
    with grpc_library.insecure_channel(f"{weaviate_server.grpc_host}:{weaviate_server.grpc_port}") as channel:
        yield weaviate_pb2_grpc.WeaviateStub(channel)  # type: ignore[no-untyped-call]


@pytest.fixture
def raw_properties(weaviate_stub: Any) -> Callable[[str], Any]:
    """The properties of a collection's first object as they are on the wire."""

    def read(collection: str) -> Any:
        asked = search_get_pb2.SearchRequest(collection=collection, limit=1, uses_127_api=True)
        asked.properties.return_all_nonref_properties = True
        return weaviate_stub.Search(asked).results[0].properties.non_ref_props.fields

    return read


def numbered(number: int) -> str:
    """An id: they are ordered as these numbers are."""
    return str(uuid.UUID(int=number))
