"""A PostgreSQL for the benchmarks, and what it can do without vecmig."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.benchmarks.data import DIMENSIONS
from vecmig.connectors.pgvector.client.embedded import embedded_dsn, release
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.model.collection import Collection, VectorField
from vecmig.model.secret import Secret


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


def copy_out(dsn: str, name: str) -> int:
    """Read a table by bare binary COPY, and throw it away; return the bytes."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        query = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
        with cursor.copy(query) as rows:
            return sum(map(len, rows))


def copy_across(dsn: str, source: str, target: str) -> None:
    """Pipe one table into another: COPY TO STDOUT into COPY FROM STDIN."""
    with psycopg.connect(dsn) as reading, psycopg.connect(dsn) as writing:
        out = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(source))
        into = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(target))
        with reading.cursor().copy(out) as rows, writing.cursor().copy(into) as sink:
            for row in rows:
                sink.write(row)


def vecmig(directory: Path, *arguments: str, environment: dict[str, str]) -> tuple[float, int]:
    """Run vecmig as a process of its own; return (seconds, peak resident memory in bytes)."""
    started, peak = time.perf_counter(), 0
    with (directory / "complaint").open("w+") as complaint:
        process = subprocess.Popen(
            [sys.executable, "-m", "vecmig", *arguments],
            cwd=directory,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=complaint,
        )
        while process.poll() is None:
            # not getrusage: its figure for a child starts with what the parent had when it was forked
            peak = max(peak, _high_water(process.pid))
            time.sleep(0.005)
        taken = time.perf_counter() - started
        complaint.seek(0)
        assert process.returncode == 0, complaint.read()
    return taken, peak


def _high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(line[1]) * 1024 for line in lines), 0)
