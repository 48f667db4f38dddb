"""Weaviate, to what the client does without vecmig."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np
import orjson
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject

from tests.benchmarks.data import DIMENSIONS, chunks, snapshot
from tests.benchmarks.running import MIB, vecmig, write_spec
from tests.benchmarks.timing import compare
from tests.weaviate_server import WeaviateServer, connected, started_weaviate
from vecmig.connectors.weaviate.client.calls import AT_ONCE
from vecmig.connectors.weaviate.client.proto import search_get_pb2
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.connectors.weaviate.records.write import CHUNK_ROWS
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection, Field, Index, VectorField
from vecmig.model.digest import digest_of

PAGE = 1_000


@contextmanager
def server() -> Iterator[WeaviateServer]:
    """Yield the program named by `VECMIG_TEST_WEAVIATE_BINARY`, or the double, in a process of its own as a server is."""
    if os.environ.get("VECMIG_TEST_WEAVIATE_BINARY"):
        with started_weaviate() as found:
            yield found
        return
    command = [sys.executable, "-m", "tests.doubles.weaviate", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            url, address = process.stdout.readline().split()
            host, _, port = address.rpartition(":")
            yield WeaviateServer(url, host, int(port), is_real=False)
        finally:
            process.terminate()


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


def bench_weaviate(directory: Path) -> None:
    """Through the connector, digests included, to bare loops with the client; all to the same server."""
    rows = 20_000
    pages = list(chunks(rows))
    batches = [concat(pages[at : at + 2]) for at in range(0, len(pages), 2)]
    fields = (Field("n", "int"), Field("lang", "text"), Field("text", "text"))
    with server() as found, connected(found) as client:
        for index in ("flat", "hnsw"):
            asked = options(found, f"Bench_{index}")
            vectors = (VectorField("", DIMENSIONS, "cosine", index=Index(index)),)
            declared = Collection(asked.collection, vectors, fields, mark="vecmig:bench/bench:0", namespaced=False)
            with closing(asked.open()) as ours:
                ours.create(declared)

                def write(ours: WeaviateConnector = ours, name: str = asked.collection) -> None:
                    for batch in batches:
                        digest_of(batch)
                        assert not ours.upsert(name, batch)

                def bare_writes(name: str = asked.collection) -> None:
                    bare_write(client, name, batches)

                compare(
                    f"weaviate ({index}) written, to a bare insert_many loop", rows, write, bare_writes, 0.8, runs=3
                )
                if index == "hnsw":
                    continue

                def read(ours: WeaviateConnector = ours, name: str = asked.collection) -> None:
                    found = 0
                    for part in ours.partitions(name, 1):
                        for batch, _ in ours.read(part, None):
                            digest_of(batch)
                            found += len(batch)
                    assert found == rows

                def bare_reads(name: str = asked.collection) -> None:
                    assert bare_read(client, name) == rows

                def iterates(name: str = asked.collection) -> None:
                    assert iterated(client, name) == rows

                compare("weaviate read, to a bare loop on raw protobuf", rows, read, bare_reads, 0.8, runs=3)
                compare("weaviate read, to the client's iterator", rows, read, iterates, 2.0, runs=3)


def bench_weaviate_memory(directory: Path) -> None:
    """Peak memory of one worker that writes to Weaviate, and of one that reads from it."""
    with server() as found:
        for rows in (10_000, 100_000):
            place = directory / f"weaviate-{rows}"
            place.mkdir()
            snapshot(place / "source", rows)
            address = f'url: "{found.url}", grpc_url: "grpc://{found.grpc_host}:{found.grpc_port}"'
            there = f"{{type: weaviate, collection: Memory_{rows}, {address}}}"
            for name, source, target in (
                ("snapshot -> weaviate", "{type: snapshot, path: source}", there),
                ("weaviate -> snapshot", there, "{type: snapshot, path: back}"),
            ):
                # no search: the double compares every record, which is the double's time and memory
                write_spec(place, name.replace(" -> ", "-"), source, target, search="null")
                seconds, peak = vecmig(place, "apply", "--auto-approve", environment={})
                print(
                    f"{name}, {rows:,} x {DIMENSIONS}, one worker: {peak / MIB:.0f} MiB at most, {seconds:.0f} s",
                    flush=True,
                )
