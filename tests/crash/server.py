"""A PostgreSQL of one's own that can be killed with all its processes, and started again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.crash.scenario import wait_until
from tests.servers import stop_embedded
from vecmig.connectors.pgvector.client.embedded import embedded_dsn


@dataclass(frozen=True, slots=True)
class Server:
    directory: Path

    def start(self) -> str:
        """Start it, or find it running; return its connection string once it answers."""
        dsn = embedded_dsn(str(self.directory))
        wait_until(lambda: _answers(dsn))
        return dsn

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut does to a machine."""
        first = int((self.directory / "postmaster.pid").read_text().split()[0])
        listed = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)
        processes = [first, *map(int, listed.stdout.split())]
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(_lives, processes)))


@contextmanager
def server_in(directory: Path) -> Iterator[Server]:
    """Give a server whose data is in this directory, and stop it at the end."""
    server = Server(directory)
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    try:
        yield server
    finally:
        stop_embedded(directory)


def guarded(server: Server) -> str:
    """Make a role `guarded` with the password `right`, which the server asks for; return the connection string."""
    dsn = server.start()
    rules = server.directory / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right'")
        connection.execute("SELECT pg_reload_conf()")
    return dsn


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip().startswith("Z")
