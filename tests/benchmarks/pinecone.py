"""Pinecone, to what the SDK does without vecmig; with both, the double that is a process of its own."""

import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pinecone import Index, Pinecone, Vector
from pinecone.grpc import GrpcIndex

from tests.benchmarks.data import DIMENSIONS, chunks, snapshot
from tests.benchmarks.postgres import server
from tests.benchmarks.running import MIB, vecmig, write_spec
from tests.benchmarks.timing import compare
from tests.doubles.pinecone.__main__ import DATA_OPERATIONS, INJECTED
from tests.doubles.pinecone.server import running
from vecmig.connectors.pinecone.client.calls import AT_ONCE
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.secret import Secret

Transport = Literal["grpc", "rest"]
Client = Index | GrpcIndex
TRANSPORTS: tuple[Transport, ...] = ("grpc", "rest")
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


def bench_pinecone(directory: Path) -> None:
    """Through the connector, digests included, to a bare loop with the SDK; both to the same double."""
    rows = 20_000
    pages = list(chunks(rows))
    batches = [concat(pages[at : at + 2]) for at in range(0, len(pages), 2)]  # about what the engine hands over
    with double() as url:
        for transport in TRANSPORTS:
            options = index(url, f"bench-{transport}", transport)
            with client(url, options.index, transport) as bare, closing(options.open()) as ours:

                def write(ours: PineconeConnector = ours, name: str = options.index) -> None:
                    for batch in batches:
                        digest_of(batch)
                        assert not ours.upsert(name, batch)

                def read(ours: PineconeConnector = ours, name: str = options.index) -> None:
                    found = 0
                    for part in ours.partitions(name, 1):
                        for batch, _ in ours.read(part, None):
                            digest_of(batch)
                            found += len(batch)
                    assert found == rows

                def bare_writes(bare: Client = bare, transport: Transport = transport) -> None:
                    bare_write(bare, batches, SENT_AT_ONCE[transport])

                def bare_reads(bare: Client = bare, transport: Transport = transport) -> None:
                    assert bare_read(bare, ASKED_AT_ONCE[transport]) == rows

                compare(f"pinecone written over {transport}, to a bare SDK loop", rows, write, bare_writes, 0.8)
                compare(f"pinecone read over {transport}, to a bare SDK loop", rows, read, bare_reads, 0.8)


def bench_storm(directory: Path) -> None:
    """A migration while one request in ten fails: nothing lost, nothing doubled, few requests more."""
    rows, dimensions = 20_000, 256
    place = directory / "storm"
    place.mkdir()
    snapshot(place / "source", rows, dimensions)
    for transport in TRANSPORTS:
        sent = []
        for probability in (0.0, 0.1):
            with running(seed=7) as here:
                for fault in INJECTED:
                    here.faults.add(fault, on=DATA_OPERATIONS, probability=probability / len(INJECTED))
                target = f'{{type: pinecone, api_key: "{{{{ env.BENCH_KEY }}}}", index: storm, host: "{here.url}", transport: {transport}}}'
                name = f"storm-{transport}-{int(100 * probability)}"
                write_spec(place, name, "{type: snapshot, path: source}", target)
                seconds, _ = vecmig(place, "apply", "--auto-approve", environment={"BENCH_KEY": "bench"})
                sent.append(len(here.requests))
                held = len(here.store.find("storm").records())
                print(
                    f"snapshot -> pinecone over {transport}, {rows:,} x {dimensions}, {probability:.0%} of the requests fail:"
                    f" {sent[-1]:,} requests, {held:,} records, verified, {seconds:.0f} s",
                    flush=True,
                )
                assert held == rows, "records were lost, or doubled"
        print(f"requests, to those of a quiet service: {sent[1] / sent[0]:.2f} (wanted at most 1.30)", flush=True)
        assert sent[1] <= 1.3 * sent[0], "too many requests"


def bench_pinecone_memory(directory: Path) -> None:
    """Peak memory of one worker that reads from Pinecone, and of one that writes to it."""
    with server(directory / "pg") as dsn:
        for rows in (10_000, 200_000):
            place = directory / f"pinecone-{rows}"
            place.mkdir()
            with double() as url:
                options = index(url, "source", "grpc")
                with client(url, options.index, "grpc") as bare:
                    for batch in chunks(rows):
                        bare_write(bare, [batch], SENT_AT_ONCE["grpc"])
                ends = {
                    "s": f'{{type: pinecone, api_key: "{{{{ env.BENCH_KEY }}}}", index: source, host: "{url}"}}',
                    "p": f'{{type: pgvector, dsn: "{{{{ env.BENCH_DSN }}}}", table: from_pinecone_{rows}}}',
                    "t": f'{{type: pinecone, api_key: "{{{{ env.BENCH_KEY }}}}", index: target, host: "{url}"}}',
                }
                for name, source, target in (("out", "s", "p"), ("in", "p", "t")):
                    # no search: the double compares every record, which is the double's time and memory
                    write_spec(place, f"{name}-{rows}", ends[source], ends[target], search="null")
                    environment = {"BENCH_KEY": "bench", "BENCH_DSN": dsn}
                    seconds, peak = vecmig(place, "apply", "--auto-approve", environment=environment)
                    what = "pinecone -> pgvector" if name == "out" else "pgvector -> pinecone"
                    print(
                        f"{what}, {rows:,} x {DIMENSIONS}, one worker: {peak / MIB:.0f} MiB at most, {seconds:.0f} s",
                        flush=True,
                    )
