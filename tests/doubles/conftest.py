from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pinecone import Pinecone
from pinecone.grpc import GrpcIndex

from tests.doubles.pinecone import Double, Index, running

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
