"""The contract on Pinecone itself: costs units, and takes minutes, for each test makes an index and removes it.

Against a double instead, where what is written shows late: `python -m tests.doubles.pinecone --lag 2 --ready-after 2`,
then these with PINECONE_API_KEY=any PINECONE_CONTROLLER_HOST=http://localhost:5080.
"""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from msgspec.structs import replace
from pinecone import NotFoundError

from tests.connectors.pinecone.test_contract import PineconeContract
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.collection import Collection
from vecmig.model.secret import Secret
from vecmig.testing.contract import COLLECTION

pytestmark = [
    pytest.mark.skipif("PINECONE_API_KEY" not in os.environ, reason="PINECONE_API_KEY is not set: no service to ask"),
    pytest.mark.timeout(900),
]


class ServiceContract(PineconeContract):
    @pytest.fixture
    def options(self) -> PineconeOptions:
        name = f"vecmig-contract-{uuid4().hex[:12]}"
        return PineconeOptions(Secret("{{ env.PINECONE_API_KEY }}"), name, page_rows=2, **self.given)

    @pytest.fixture
    def collection(self, options: PineconeOptions) -> Collection:
        return replace(COLLECTION, name=options.index)

    @pytest.fixture
    def target(self, options: PineconeOptions) -> Iterator[PineconeConnector]:
        with closing(options.open()) as target:
            try:
                yield target
            finally:
                for name in (options.index, *(options.beside(n).index for n in (1, 2))):  # all that a test may leave
                    with suppress(NotFoundError):
                        target.control.indexes.delete(name)


class TestServiceOverGrpc(ServiceContract): ...


class TestServiceOverRest(ServiceContract):
    given: ClassVar[dict[str, Any]] = {"transport": "rest"}


class TestServiceDocuments(ServiceContract):
    given: ClassVar[dict[str, Any]] = {"kind": "documents"}
