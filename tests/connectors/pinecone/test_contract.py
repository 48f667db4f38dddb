from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from tests.doubles.pinecone.server import Double
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.collection import Collection, Metric
from vecmig.model.secret import Secret
from vecmig.testing.contract import COLLECTION, ConnectorContract

NAME = "vecmig-contract"


class PineconeContract(ConnectorContract):
    metrics: tuple[Metric, ...] = ("cosine", "dot", "l2")
    vectors_are_required = True
    given: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def collection(self) -> Collection:
        return replace(COLLECTION, name=NAME)

    @pytest.fixture
    def options(self, double: Double) -> PineconeOptions:
        return PineconeOptions(Secret("test"), NAME, host=double.url, page_rows=2, **self.given)

    @pytest.fixture
    def target(self, options: PineconeOptions) -> Iterator[PineconeConnector]:
        with closing(options.open()) as target:
            yield target


class TestVectorsOverGrpc(PineconeContract): ...


class TestVectorsOverRest(PineconeContract):
    given: ClassVar[dict[str, Any]] = {"transport": "rest"}


class TestDocuments(PineconeContract):
    given: ClassVar[dict[str, Any]] = {"kind": "documents"}
