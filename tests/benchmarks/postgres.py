"""pgvector, to what PostgreSQL can do without vecmig."""

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import LiteralString, TypeVar
from uuid import uuid4

import psycopg
import pyarrow.parquet as pq
import xxhash
from psycopg import sql

from tests.benchmarks.data import DIMENSIONS, snapshot
from tests.benchmarks.running import MIB, endpoint, load, vecmig, write_spec
from tests.benchmarks.timing import compare
from vecmig.comparison.compare import compare as compare_sides
from vecmig.comparison.sides import source_side, target_side
from vecmig.connectors.pgvector.client.embedded import embedded_dsn, release
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.migration import Migration
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Conversion
from vecmig.model.secret import Secret

ROWS = 50_000
T = TypeVar("T")


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """Yield the connection string of a server: `VECMIG_TEST_POSTGRES_URL`, or an embedded one."""
    if url := os.environ.get("VECMIG_TEST_POSTGRES_URL"):
        yield url
        return
    dsn = embedded_dsn(str(directory))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        # as on a server that is set up for loads: checkpoints in the middle of a run make figures jump
        connection.execute("ALTER SYSTEM SET max_wal_size = '16GB'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield dsn
    finally:
        release(str(directory))


def table(dsn: str, name: str) -> PgvectorOptions:
    """Create an empty table as vecmig does, without an index; return its options."""
    options = PgvectorOptions(Secret(dsn), name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
    declared = options.complete(Collection(name, (VectorField("", DIMENSIONS, "cosine"),), mark="vecmig:bench/bench:0"))
    with closing(options.open()) as target:
        target.create(declared)
    return options


def empty(dsn: str, name: str) -> None:
    """Take all rows out, and let the server settle."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(name)))
        connection.execute("CHECKPOINT")


def copy_to_file(dsn: str, name: str, where: LiteralString = "true") -> Path:
    """Have the server write rows of a table to a new binary file, where it may: in its own directory."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        (home,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        path = Path(home, f"{name}-{uuid4()}.copy")
        query = sql.SQL("COPY (SELECT * FROM {} WHERE {}) TO {} (FORMAT binary)")
        connection.execute(query.format(sql.Identifier(name), sql.SQL(where), sql.Literal(str(path))))
    return path


def copy_from_file(dsn: str, name: str, path: Path) -> None:
    """Have the server load such a file: the fastest way in, without any client."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("COPY {} FROM {} (FORMAT binary)").format(sql.Identifier(name), sql.Literal(str(path)))
        )


def send(dsn: str, name: str, data: bytes) -> None:
    """Load what COPY wrote over a connection, in one transaction: the fastest way in for a client."""
    query = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(name))
    with psycopg.connect(dsn) as connection, connection.cursor().copy(query) as rows:
        for start in range(0, len(data), MIB):
            rows.write(memoryview(data)[start : start + MIB])


def copy_out(dsn: str, name: str) -> int:
    """Read a table by bare binary COPY, and throw it away; return the bytes."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        query = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
        with cursor.copy(query) as rows:
            return sum(map(len, rows))


def hash_rows(dsn: str, name: str) -> None:
    query = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
    with psycopg.connect(dsn) as connection, connection.cursor().copy(query) as rows:
        for row in rows:
            xxhash.xxh3_128_digest(row)


def hash_parquet(directory: Path) -> None:
    for path in directory.rglob("*.parquet"):
        for vectors in pq.read_table(path, columns=["vector:"], use_threads=False).column(0).chunks:
            data = memoryview(vectors.flatten().to_numpy()).cast("B")
            for start in range(0, len(data), 4 * DIMENSIONS):
                xxhash.xxh3_128_digest(data[start : start + 4 * DIMENSIONS])


def copy_across(dsn: str, source: str, target: str) -> None:
    """Pipe one table into another: COPY TO STDOUT into COPY FROM STDIN."""
    with psycopg.connect(dsn) as reading, psycopg.connect(dsn) as writing:
        out = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(source))
        into = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(target))
        with reading.cursor().copy(out) as rows, writing.cursor().copy(into) as sink:
            for row in rows:
                sink.write(row)


def bench_load(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        target = table(dsn, "loaded")
        once = load(source, target, 2, ROWS)
        once()
        prepared = copy_to_file(dsn, "loaded")

        def bare() -> None:
            copy_from_file(dsn, "loaded", prepared)

        halves = [copy_to_file(dsn, "loaded", "right(id, 1) < '5'"), copy_to_file(dsn, "loaded", "right(id, 1) >= '5'")]
        whole, parts = prepared.read_bytes(), [half.read_bytes() for half in halves]

        def at_once(do: Callable[[str, str, T], None], each: Sequence[T]) -> None:
            with ThreadPoolExecutor(len(each)) as pool:
                list(pool.map(lambda part: do(dsn, "loaded", part), each))

        # what one worker and two cannot go beyond, though reading, converting, encoding and hashing took no time at all
        for name, ours in (
            ("two server-side COPY of a half each, to one", lambda: at_once(copy_from_file, halves)),
            ("one COPY FROM STDIN of bytes made before, to a server-side COPY", lambda: send(dsn, "loaded", whole)),
            ("two COPY FROM STDIN of a half each, to a server-side COPY", lambda: at_once(send, parts)),
        ):
            compare(name, ROWS, ours, bare, None, before=lambda: empty(dsn, "loaded"))
        for workers, wanted in ((1, 0.9), (2, 1.0)):
            name = f"snapshot -> pgvector, {workers} worker(s), to a server-side COPY"
            compare(name, ROWS, load(source, target, workers, ROWS), bare, wanted, before=lambda: empty(dsn, "loaded"))


def bench_across(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        there = table(dsn, "there")
        load(source, there, 2, ROWS)()
        here = table(dsn, "here")
        for workers in (1, 2):
            name = f"pgvector -> pgvector, {workers} worker(s), to COPY piped to COPY"
            compare(
                name,
                ROWS,
                load(there, here, workers, ROWS),
                lambda: copy_across(dsn, "there", "here"),
                0.7,
                before=lambda: empty(dsn, "here"),
            )


def bench_verify(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        first, second = table(dsn, "one"), table(dsn, "two")
        load(source, first, 2, ROWS)()
        load(source, second, 2, ROWS)()

        def bare() -> None:
            copy_out(dsn, "one")

        def two() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda name: copy_out(dsn, name), ("one", "two")))

        # what no comparison of two tables can go beyond
        compare("two bare COPY out at once, to one", ROWS, two, bare, at_least=None)

        def hashed() -> None:
            """Read both sides at once and hash their bytes: nothing is decoded, converted or held against the other."""
            with ThreadPoolExecutor(2) as pool:
                for side in [pool.submit(hash_parquet, directory / "snapshot"), pool.submit(hash_rows, dsn, "one")]:
                    side.result()

        compare("a snapshot and a table hashed as they come, to a bare COPY out", ROWS, hashed, bare, at_least=None)
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


def spec(place: Path, name: str) -> None:
    target = f'{{type: pgvector, dsn: "{{{{ env.BENCH_DSN }}}}", table: {name}}}'
    write_spec(place, name.replace("_", "-"), "{type: snapshot, path: source}", target)


def bench_startup(directory: Path) -> None:
    place = directory / "startup"
    place.mkdir()
    spec(place, "startup")
    for arguments, wanted in ((["--help"], 0.2), (["validate"], 0.5)):
        found = [vecmig(place, *arguments, environment={})[0] for _ in range(11)]
        print(
            f"vecmig {arguments[0]:<10} {statistics.median(found):.3f} s ({min(found):.3f}-{max(found):.3f}), wanted under {wanted}"
        )
