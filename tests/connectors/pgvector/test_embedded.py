"""The embedded server: there while somebody uses it, gone afterwards, whole after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.servers import stop_embedded, wait_until_stopped
from vecmig.connectors.pgvector.client.embedded import embedded_dsn
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.errors import CollectionNotFound, ConnectorError
from vecmig.model.secret import Secret

USE = """
import sys, time
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.model.secret import Secret
connector = PgvectorOptions(Secret("embedded:" + sys.argv[1]), "docs").open()
with connector.sessions.writing("docs") as session:
    session.execute("CREATE TABLE IF NOT EXISTS seen (n int)")
    session.execute("INSERT INTO seen VALUES (1)")
    print(session.execute("SELECT count(*) FROM seen").fetchone()[0], flush=True)
time.sleep(float(sys.argv[2]))
connector.close()
"""


def use(directory: Path, seconds: float = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", USE, str(directory), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def server_pid(directory: Path) -> int:
    return int((directory / "postmaster.pid").read_text().split("\n")[0])


def test_a_process_leaves_no_server_behind_and_prints_nothing(short_directory: Path) -> None:
    directory = short_directory / "new" / "pg"
    for n in (1, 2):
        output, errors = use(directory).communicate(timeout=60)
        assert (output, errors) == (f"{n}\n", "")
        wait_until_stopped(directory)
    assert [path.name for path in directory.parent.iterdir()] == ["pg"]


def test_two_processes_use_it_and_the_last_one_stops_it(short_directory: Path) -> None:
    directory = short_directory / "pg"
    one, two = use(directory, 1), use(directory, 3)
    assert one.stdout
    assert two.stdout
    assert "2\n" in {one.stdout.readline(), two.stdout.readline()} <= {"1\n", "2\n"}
    pid = server_pid(directory)
    one.communicate(timeout=60)
    time.sleep(0.5)
    assert two.poll() is None
    assert server_pid(directory) == pid
    os.kill(pid, 0)
    assert two.communicate(timeout=60)[1] == ""
    wait_until_stopped(directory)


def test_a_killed_process_leaves_no_server_and_no_damage(short_directory: Path) -> None:
    directory = short_directory / "pg"
    for n in range(1, 4):
        process = use(directory, 60)
        assert process.stdout
        assert process.stdout.readline() == f"{n}\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if n == 2:
            wait_until_stopped(directory)  # else the next one starts while it stops
    dsn = embedded_dsn(str(directory))
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM seen").fetchone() == (3,)
    stop_embedded(directory)


def test_a_process_killed_while_it_starts_does_not_spoil_the_directory(short_directory: Path) -> None:
    directory = short_directory / "pg"
    for delay in (0.2, 0.5, 0.8, 1.1):
        process = use(directory, 60)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    output, errors = use(directory).communicate(timeout=60)
    assert int(output) >= 1
    assert errors == ""
    wait_until_stopped(directory)


def test_a_directory_with_a_long_name_works(short_directory: Path) -> None:
    directory = short_directory / ("long" * 30) / ("name " * 10) / "pg"
    output, errors = use(directory).communicate(timeout=60)
    assert (output, errors) == ("1\n", "")
    wait_until_stopped(directory)


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(ConnectorError, match="not empty and holds no PostgreSQL"):
        PgvectorOptions(Secret(f"embedded:{tmp_path}"), "docs").open()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_stale_pid_file_of_another_process_is_no_obstacle(short_directory: Path) -> None:
    directory = short_directory / "pg"
    embedded_dsn(str(directory))
    lines = (directory / "postmaster.pid").read_text().split("\n")
    stop_embedded(directory)
    (directory / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with psycopg.connect(embedded_dsn(str(directory))) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    stop_embedded(directory)


def test_to_look_where_there_is_none_makes_none(tmp_path: Path) -> None:
    options = PgvectorOptions(Secret(f"embedded:{tmp_path}/mistyped"), "docs")
    connector = options.open()
    assert connector.describe("docs") is None
    with pytest.raises(CollectionNotFound, match="no PostgreSQL in this directory"):
        connector.count("docs")
    assert [each for each, well, _ in options.diagnose() if not well] == []
    assert not list(tmp_path.iterdir())
