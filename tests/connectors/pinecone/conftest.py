"""A double for every test; the real service where `PINECONE_API_KEY` is set is for test_service.py alone."""

from collections.abc import Iterator

import pytest

from tests.doubles.pinecone.server import Double, running


@pytest.fixture
def double() -> Iterator[Double]:
    with running() as double:
        yield double
