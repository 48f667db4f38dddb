"""What searches by the serving name notice of a cutover and of a rollback."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psycopg
from weaviate import WeaviateClient

from tests.benchmarks import weaviate
from tests.benchmarks.data import DIMENSIONS, snapshot
from tests.benchmarks.postgres import server
from tests.benchmarks.running import vecmig, write_spec
from tests.weaviate_server import WeaviateServer, connected

FOUND = 10  # each search must find so many
Search = Callable[[], int]


@dataclass(slots=True)
class Watched:
    """The searches of all readers while a block ran. For several threads."""

    seconds: list[float] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)

    def __str__(self) -> str:
        longest, median = max(self.seconds) * 1000, statistics.median(self.seconds) * 1000
        return f"{len(self.seconds):,} searches, {len(self.failed)} failed, longest {longest:.0f} ms, median {median:.1f} ms"


@contextmanager
def watching(readers: list[Search]) -> Iterator[Watched]:
    """Search without a pause, by each of the readers in a thread of its own, while the block runs."""
    watched, stop = Watched(), threading.Event()

    def read(search: Search) -> None:
        while not stop.is_set():
            started = time.perf_counter()
            try:
                if (found := search()) != FOUND:
                    raise AssertionError(f"a search found {found} of {FOUND}")
            except Exception as error:  # whatever it is, a reader must not see it
                watched.failed.append(error)
            watched.seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=read, args=[search]) for search in readers]
    for thread in threads:
        thread.start()
    try:
        yield watched
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def of_postgres(dsn: str, table: str) -> Iterator[list[Search]]:
    """Yield two readers: one that has the server keep its statement, and one that sends it anew each time."""
    query = f"SELECT id FROM {table} ORDER BY embedding <=> %s::vector LIMIT {FOUND}"
    question = str(np.ones(DIMENSIONS).tolist())

    def reader(connection: "psycopg.Connection[tuple[str]]", prepare: bool) -> Search:
        return lambda: len(connection.execute(query, [question], prepare=prepare).fetchall())

    with psycopg.connect(dsn, autocommit=True) as first, psycopg.connect(dsn, autocommit=True) as second:
        yield [reader(first, True), reader(second, False)]


@contextmanager
def of_weaviate(server: WeaviateServer, collection: str) -> Iterator[list[Search]]:
    """Yield two readers, of the official client."""
    question = [1.0] * DIMENSIONS

    def reader(client: WeaviateClient) -> Search:
        serving = client.collections.use(collection)
        return lambda: len(serving.query.near_vector(question, limit=FOUND).objects)

    with connected(server) as first, connected(server) as second:
        yield [reader(first), reader(second)]


def bench_switch(directory: Path) -> None:
    """Readers of the serving name all through cutovers and rollbacks: none may fail, and the longest pause is shown."""
    rows, times = 5_000, 5
    place = directory / "switch"
    place.mkdir()
    snapshot(place / "source", rows)

    def watch(what: str, name: str, target: str, readers: AbstractContextManager[list[Search]]) -> None:
        environment = {"BENCH_DSN": dsn}
        for metric in ("cosine", "dot"):  # of unit vectors: both find the same
            kind = f"{{type: hnsw, metric: {metric}}}"
            write_spec(place, name, "{type: snapshot, path: source}", target, "null", kind)
            vecmig(place, "apply", "--auto-approve", environment=environment)
        with readers as searches:
            with watching(searches) as quiet:
                time.sleep(5)
            with watching(searches) as watched:
                for _ in range(times):
                    for command in ("cutover", "rollback"):
                        vecmig(place, command, environment=environment)
        print(f"{what}, nothing switched: {quiet}", flush=True)
        print(f"{what}, {times} cutovers and {times} rollbacks: {watched}, wanted 0 failed", flush=True)
        assert not watched.failed, watched.failed[0]

    with server(directory / "pg") as dsn, weaviate.server() as found:
        table = '{type: pgvector, dsn: "{{ env.BENCH_DSN }}", table: serving}'
        watch("pgvector", "switch-table", table, of_postgres(dsn, "serving"))
        options = weaviate.options(found, f"Serving{time.time_ns()}")
        there = f'{{type: weaviate, url: "{options.url}", grpc_url: "{options.grpc_url}", collection: {options.collection}}}'
        what = "weaviate" if found.is_real else "weaviate (the double)"
        watch(what, "switch-alias", there, of_weaviate(found, options.collection))
