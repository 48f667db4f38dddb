"""A double for every test; the real service where `PINECONE_API_KEY` is set is for test_service.py alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.doubles.pinecone.server import Double, running
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.secret import Secret

Connect = Callable[..., PineconeConnector]


@pytest.fixture
def double() -> Iterator[Double]:
    with running() as double:
        yield double


@pytest.fixture
def connect(double: Double) -> Iterator[Connect]:
    """A connector to an index of the double; what the spec says of it as keywords."""
    with ExitStack() as stack:

        def connect(index: str, **given: Any) -> PineconeConnector:
            options = PineconeOptions(Secret("test"), index, host=double.url, **given)
            return stack.enter_context(closing(options.open()))

        yield connect
