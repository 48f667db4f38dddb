"""`make bench`: what vecmig reaches, as ratios to what the store reaches by itself in the same run."""

import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

from tests.benchmarks.data import DIMENSIONS, chunks, snapshot
from tests.benchmarks.pinecone import (
    ASKED_AT_ONCE,
    SENT_AT_ONCE,
    Client,
    Transport,
    bare_read,
    bare_write,
    client,
    double,
    index,
)
from tests.benchmarks.postgres import copy_across, copy_from_file, copy_out, copy_to_file, empty, server, table, vecmig
from tests.benchmarks.timing import compare
from vecmig.comparison.compare import compare as compare_sides
from vecmig.comparison.sides import source_side, target_side
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.execution.local import LocalExecutor
from vecmig.migration import Endpoint, Migration
from vecmig.model.batch import concat
from vecmig.model.digest import digest_of
from vecmig.model.plan import Conversion, LoadRecords
from vecmig.model.settings import Execution, Limits
from vecmig.model.state import Progress, State
from vecmig.protocols import ConnectorOptions

ROWS = 50_000
MIB = 1 << 20
TRANSPORTS: tuple[Transport, ...] = ("grpc", "rest")


def main(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="vmb", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        for title, bench in BENCHES.items():
            if not chosen or title in chosen:
                print(f"\n{title}", flush=True)
                bench(directory)


def endpoint(name: str, options: ConnectorOptions) -> Endpoint:
    return Endpoint(name, name, options)


def load(source: ConnectorOptions, target: ConnectorOptions, workers: int) -> Callable[[], None]:
    """Return a call that moves all records as apply does: read, convert, hash, write, acknowledge."""
    migration = Migration("bench", endpoint("source", source), endpoint("target", target))
    executor = LocalExecutor({"bench": migration}, Execution(workers), Limits(), Path(), Event())
    with closing(source.open()) as opened:
        parts = tuple(opened.partitions(source.collection, 4 * workers))
    action = LoadRecords("bench", source.collection, target.collection, parts, Conversion(), ROWS)

    def run() -> None:
        events = executor.run(action, State("b", "b", "l"))
        assert sum(event.rows for event in events if isinstance(event, Progress)) == ROWS

    return run


def bench_load(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        target = table(dsn, "loaded")
        once = load(source, target, 2)
        once()
        prepared = copy_to_file(dsn, "loaded")

        def bare() -> None:
            copy_from_file(dsn, "loaded", prepared)

        for workers, wanted in ((1, 0.9), (2, 1.0)):
            name = f"snapshot -> pgvector, {workers} worker(s), to a server-side COPY"
            compare(name, ROWS, load(source, target, workers), bare, wanted, before=lambda: empty(dsn, "loaded"))


def bench_across(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        there = table(dsn, "there")
        load(source, there, 2)()
        here = table(dsn, "here")
        for workers in (1, 2):
            name = f"pgvector -> pgvector, {workers} worker(s), to COPY piped to COPY"
            compare(
                name,
                ROWS,
                load(there, here, workers),
                lambda: copy_across(dsn, "there", "here"),
                0.7,
                before=lambda: empty(dsn, "here"),
            )


def bench_verify(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        first, second = table(dsn, "one"), table(dsn, "two")
        load(source, first, 2)()
        load(source, second, 2)()

        def bare() -> None:
            copy_out(dsn, "one")

        def two() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda name: copy_out(dsn, name), ("one", "two")))

        # what no comparison of two tables can go beyond
        compare("two bare COPY out at once, to one", ROWS, two, bare, at_least=None)
        for name, left in (("snapshot", source), ("pgvector", second)):
            migration = Migration("bench", endpoint("source", left), endpoint("target", first))

            def ours(migration: Migration = migration) -> None:
                stop = Event()
                with closing(migration.source.open_source()) as opened:
                    parts = opened.partitions(migration.source.options.collection, 8)
                side = source_side(migration, parts, Conversion(), 2, lambda *_: None, stop)
                assert compare_sides(side, target_side(migration, 2, stop)).equal

            compare(f"{name} = pgvector compared, to a bare COPY out", ROWS, ours, bare, 0.7)


def bench_memory(directory: Path) -> None:
    """Peak memory of one worker, and a second apply."""
    with server(directory / "pg") as dsn:
        for rows in (10_000, 200_000):
            place = directory / str(rows)
            place.mkdir()
            snapshot(place / "source", rows)
            spec(place, f"rows_{rows}")
            seconds, peak = vecmig(place, "apply", "--auto-approve", environment={"BENCH_DSN": dsn})
            print(
                f"apply of {rows:,} x {DIMENSIONS}, one worker: {peak / MIB:.0f} MiB at most, {seconds:.0f} s",
                flush=True,
            )
        again = [vecmig(place, "apply", "--auto-approve", environment={"BENCH_DSN": dsn})[0] for _ in range(5)]
        print(f"second apply on {rows:,} unchanged rows: {statistics.median(again):.2f} s (wanted under 3)")


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


def spec(place: Path, name: str) -> None:
    (place / "vecmig.yaml").write_text(
        f"""
version: 1
name: {name.replace("_", "-")}
sources: {{s: {{type: snapshot, path: source}}}}
targets: {{t: {{type: pgvector, dsn: "{{{{ env.BENCH_DSN }}}}", table: {name}}}}}
index: {{type: flat}}
verification: {{search: {{queries: {{sample: 10}}}}}}
migrations: [{{name: m, source: s, target: t}}]
execution: {{workers: 1}}
"""
    )


def bench_startup(directory: Path) -> None:
    place = directory / "startup"
    place.mkdir()
    spec(place, "startup")
    for arguments, wanted in ((["--help"], 0.2), (["validate"], 0.5)):
        found = [vecmig(place, *arguments, environment={})[0] for _ in range(11)]
        print(
            f"vecmig {arguments[0]:<10} {statistics.median(found):.3f} s ({min(found):.3f}-{max(found):.3f}), wanted under {wanted}"
        )


BENCHES: dict[str, Callable[[Path], None]] = {
    "load": bench_load,
    "across": bench_across,
    "verify": bench_verify,
    "pinecone": bench_pinecone,
    "memory": bench_memory,
    "startup": bench_startup,
}

if __name__ == "__main__":
    main(sys.argv[1:])
