"""A Pinecone for the benchmarks, a process of its own, and what the SDK does with it without vecmig."""

import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pinecone import Index, Pinecone, Vector
from pinecone.grpc import GrpcIndex

from tests.benchmarks.data import DIMENSIONS
from vecmig.connectors.pinecone.client.calls import AT_ONCE
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection, VectorField
from vecmig.model.secret import Secret

Transport = Literal["grpc", "rest"]
Client = Index | GrpcIndex
ASKED_AT_ONCE: dict[Transport, int] = {"grpc": 250, "rest": 100}  # ids of a fetch, as the connector asks
SENT_AT_ONCE: dict[Transport, int] = {"grpc": 300, "rest": 55}  # records that stay under 2 MB


@contextmanager
def double(*arguments: str) -> Iterator[str]:
    """Yield the address of a double that runs until the end."""
    command = [sys.executable, "-m", "tests.doubles.pinecone", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
        finally:
            process.terminate()


def index(url: str, name: str, transport: Transport) -> PineconeOptions:
    """Create an empty index as vecmig does; return its options."""
    options = PineconeOptions(Secret("bench"), name, host=url, transport=transport)
    declared = options.complete(Collection(name, (VectorField("", DIMENSIONS, "cosine"),), mark="vecmig:bench/bench:0"))
    with closing(options.open()) as target:
        target.create(declared)
    return options


@contextmanager
def client(url: str, name: str, transport: Transport) -> Iterator[Client]:
    with Pinecone(api_key="bench", host=url) as control:
        host = control.indexes.describe(name).host
    assert host is not None
    opened: Client
    opened = (
        GrpcIndex(host=host, api_key="bench", secure=False)
        if transport == "grpc"
        else Index(host=host, api_key="bench")
    )
    with closing(opened):
        yield opened


def bare_write(opened: Client, batches: Sequence[RecordBatch], at_once: int) -> None:
    """Send all records, from float32 arrays, by as many requests at once as the connector has."""

    def send(batch: RecordBatch) -> None:
        vectors = batch.vectors("")
        records = [
            Vector(id, row.tolist(), None, orjson.loads(text))
            for id, row, text in zip(batch.strings("id"), vectors, batch.bytes_of("metadata"), strict=True)
        ]
        opened.upsert(vectors=records)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        pieces = [batch.slice(at, at_once) for batch in batches for at in range(0, len(batch), at_once)]
        for done in [pool.submit(send, piece) for piece in pieces]:
            done.result()


def bare_read(opened: Client, at_once: int) -> int:
    """List and fetch all records into float32 arrays, by as many requests at once as the connector has."""

    def fetch(ids: list[str]) -> NDArray[np.float32]:
        found = opened.fetch(ids=ids).vectors
        return np.array([found[id].values for id in ids], np.float32)

    rows, token, rest = 0, None, []
    waiting: deque[Future[NDArray[np.float32]]] = deque()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            page = opened.list_paginated(pagination_token=token)
            rest += [each.id for each in page.vectors if each.id]
            token = page.pagination.next if page.pagination else None
            while len(rest) >= at_once or (rest and token is None):
                waiting.append(pool.submit(fetch, rest[:at_once]))
                rest = rest[at_once:]
            while len(waiting) >= AT_ONCE or (waiting and token is None):
                rows += len(waiting.popleft().result())
            if token is None:
                return rows
