"""A Weaviate for the benchmarks, and what the client does with it without vecmig."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import numpy as np
import orjson
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject

from tests.doubles.weaviate import running
from tests.weaviate_server import WeaviateServer, started_weaviate
from vecmig.connectors.weaviate.client.calls import AT_ONCE
from vecmig.connectors.weaviate.client.proto import search_get_pb2
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.connectors.weaviate.records.write import CHUNK_ROWS
from vecmig.model.batch import RecordBatch

PAGE = 1_000


@contextmanager
def server() -> Iterator[WeaviateServer]:
    """Yield the program named by `VECMIG_TEST_WEAVIATE_BINARY`, or the double."""
    if os.environ.get("VECMIG_TEST_WEAVIATE_BINARY"):
        with started_weaviate() as found:
            yield found
    else:
        with running() as double:
            yield WeaviateServer.of(double)


def options(found: WeaviateServer, collection: str) -> WeaviateOptions:
    return WeaviateOptions(collection, url=found.url, grpc_url=f"grpc://{found.grpc_host}:{found.grpc_port}")


def bare_write(client: WeaviateClient, collection: str, batches: Sequence[RecordBatch]) -> None:
    """`insert_many`, from float32 arrays, by as many threads and in such chunks as the connector has."""
    target = client.collections.use(collection)

    def send(batch: RecordBatch) -> None:
        objects = [
            DataObject(properties=orjson.loads(text), uuid=stored("", id), vector={"default": row})
            for id, row, text in zip(batch.strings("id"), batch.vectors(""), batch.bytes_of("metadata"), strict=True)
        ]
        assert not target.data.insert_many(objects).errors

    with ThreadPoolExecutor(AT_ONCE) as pool:
        pieces = [batch.slice(at, CHUNK_ROWS) for batch in batches for at in range(0, len(batch), CHUNK_ROWS)]
        waiting: deque[Future[None]] = deque(pool.submit(send, piece) for piece in pieces)
        for done in waiting:
            done.result()


def bare_read(client: WeaviateClient, collection: str) -> int:
    """A cursor loop on raw protobuf that ends in float32 arrays."""
    connection, rows, after = client._connection, 0, ""
    while True:
        request = search_get_pb2.SearchRequest(
            collection=collection,
            limit=PAGE,
            after=after,
            uses_123_api=True,
            uses_125_api=True,
            uses_127_api=True,
            metadata=search_get_pb2.MetadataRequest(uuid=True, vectors=["default"]),
            properties=search_get_pb2.PropertiesRequest(return_all_nonref_properties=True),
        )
        answer = connection.grpc_stub.Search(request, metadata=connection.grpc_headers())  # type: ignore[union-attr]
        for each in answer.results:
            np.frombuffer(each.metadata.vectors[0].vector_bytes, "<f4")
        rows += len(answer.results)
        if len(answer.results) < PAGE:
            return rows
        after = str(UUID(bytes=answer.results[-1].metadata.id_as_bytes))


def iterated(client: WeaviateClient, collection: str) -> int:
    """The client's own iterator, to float32 arrays."""
    found = client.collections.use(collection).iterator(include_vector=True)
    return sum(1 for each in found if len(np.array(each.vector["default"], np.float32)))
