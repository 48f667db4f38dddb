from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.weaviate_server import WeaviateServer
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.model.collection import Collection
from vecmig.testing.contract import COLLECTION, ConnectorContract


class TestTenants(ConnectorContract):
    given: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def options(self, weaviate_server: WeaviateServer) -> WeaviateOptions:
        return WeaviateOptions(
            f"Contract_{uuid4().hex[:8]}",
            url=weaviate_server.url,
            grpc_url=f"grpc://{weaviate_server.grpc_host}:{weaviate_server.grpc_port}",
            page_rows=2,
            **self.given,
        )

    @pytest.fixture
    def collection(self, options: WeaviateOptions) -> Collection:
        return replace(options.complete(COLLECTION), name=options.collection)

    @pytest.fixture
    def target(self, options: WeaviateOptions) -> Iterator[WeaviateConnector]:
        with closing(options.open()) as target:
            yield target
