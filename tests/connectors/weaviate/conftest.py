"""A connector to a double of the test's own, whose faults and limits may be changed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.doubles.weaviate import Double
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions

Connect = Callable[..., WeaviateConnector]


@pytest.fixture
def connect(weaviate_double: Double) -> Iterator[Connect]:
    """Connects to a collection; what the spec says of it as keywords."""
    server = WeaviateServer.of(weaviate_double)
    with ExitStack() as stack:

        def connect(collection: str, **given: Any) -> WeaviateConnector:
            grpc = f"grpc://{server.grpc_host}:{server.grpc_port}"
            options = WeaviateOptions(collection, url=server.url, grpc_url=grpc, **given)
            return stack.enter_context(closing(options.open()))

        yield connect
