"""Reading in pages and ranges, and writing in chunks, on servers whose shards and messages set limits."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

import numpy as np
import pytest

from tests.connectors.weaviate.places import batch, opened, read
from tests.doubles.weaviate import running
from tests.weaviate_server import WeaviateServer, started_weaviate
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.model.batch import Key, RecordBatch
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of

CAP = 100_000  # bytes of a message


def filled(connector: WeaviateConnector, rows: int, size: int) -> RecordBatch:
    vectors = (VectorField("", size, "cosine"),)
    name = connector.options.collection
    connector.create(connector.options.complete(Collection(name, vectors, mark="vecmig:test", namespaced=False)))
    matrix = np.random.default_rng(1).standard_normal((rows, size)).astype(np.float32)
    made = batch([{"id": f"id-{n}", "vector:": row} for n, row in enumerate(matrix.tolist())], vectors)
    assert not connector.upsert(name, made)
    return made


def uuid(key: Key) -> int:
    return UUID(stored(key.namespace, key.id)).int


@pytest.mark.parametrize("parts", [1, 4])
def test_several_shards_are_read_as_one_in_the_order_of_the_uuids(weaviate_server: WeaviateServer, parts: int) -> None:
    with opened(weaviate_server, shards=3, page_rows=7) as connector:
        made = filled(connector, 100, 3)
        name = connector.options.collection
        assert connector.count(name) == {"": 100}
        keys = read(connector, parts)
        assert keys == sorted(made.keys, key=uuid)
        for part in connector.partitions(name, parts):
            pages = list(connector.read(part, None))
            for number, (_, cursor) in enumerate(pages):
                rest = [key for page, _ in connector.read(part, cursor) for key in page.keys]
                assert rest == [key for page, _ in pages[number + 1 :] for key in page.keys]


@contextmanager
def narrow_double() -> Iterator[WeaviateServer]:
    with running() as double:
        double.limits.message_bytes = CAP
        yield WeaviateServer.of(double)


def narrow_program() -> AbstractContextManager[WeaviateServer]:
    return started_weaviate({"GRPC_MAX_MESSAGE_SIZE": str(CAP)})


@pytest.mark.parametrize("narrow", [narrow_double, narrow_program], ids=["double", "real"])
def test_chunks_and_pages_over_the_size_of_a_message_are_halved_until_they_fit(
    narrow: Callable[[], AbstractContextManager[WeaviateServer]],
) -> None:
    with narrow() as server, opened(server) as connector:
        made = filled(connector, 100, 1_000)
        name = connector.options.collection
        assert sorted(read(connector)) == sorted(made.keys)
        assert digest_of(connector.fetch(name, made.keys)) == digest_of(made)


def test_a_record_that_is_larger_than_a_message_is_refused_by_name_and_all_others_are_stored() -> None:
    with narrow_double() as server, opened(server) as connector:
        name, vectors = connector.options.collection, (VectorField("", 2, "cosine"),)
        connector.create(connector.options.complete(Collection(name, vectors, mark="vecmig:test", namespaced=False)))
        rows = [
            {"id": str(n), "vector:": [1.0, n], "metadata": {"text": "x" * (2 * CAP if n == 3 else 5)}}
            for n in range(9)
        ]
        (rejected,) = connector.upsert(name, batch(rows, vectors))
        assert rejected.key == Key("", "3")
        assert "more than Weaviate takes" in rejected.reason
        assert connector.count(name) == {"": 8}
