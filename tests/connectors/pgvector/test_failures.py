"""Servers that are away, full of rights that one does not have, or killed: one clear error, and nothing half done."""

import os
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import errors
from psycopg import sql as compose
from psycopg.conninfo import make_conninfo

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import PLAIN, batch, read_all
from tests.servers import stop_embedded
from vecmig.connectors.pgvector.client.errors import of_statement
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.errors import CollectionNotFound, ConnectorError, TransientError, VecmigError
from vecmig.model.secret import Secret

MANY = [{"id": f"{n:05}", "metadata": {"x": "y" * 500}} for n in range(5_000)]


def final(error: pytest.ExceptionInfo[VecmigError]) -> str:
    assert not isinstance(error.value, TransientError)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    return str(error.value)


def test_a_source_is_opened_read_only(docs: PgvectorConnector) -> None:
    with pytest.raises(ConnectorError, match="read-only"), docs.sessions.reading("docs") as session:
        session.execute("CREATE TABLE nope (id int)")


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("postgresql://u:canary@127.0.0.1:1/db", ["127.0.0.1:1/db", "refused", "check host and port"]),
        ("host=/nowhere/at/all password=canary dbname=db", ["/nowhere/at/all", "db"]),
        ("postgresql//u:canary@host/db", ["no connection string"]),
        ("postgresql://u:can%ary@host/db", ["no connection string", "percent"]),
    ],
)
def test_a_server_that_cannot_be_reached_is_named_without_the_password(dsn: str, words: list[str]) -> None:
    with pytest.raises(ConnectorError) as error:
        PgvectorOptions(Secret(dsn), "docs").open()
    text = final(error)
    assert all(word in text for word in words), text
    assert "canary" not in text
    assert "can%ary" not in text
    checks = list(PgvectorOptions(Secret(dsn), "docs").diagnose())
    assert [(what, well) for what, well, _ in checks] == [("connection", False)]
    assert "canary" not in str(checks)


def test_a_database_that_does_not_exist_is_named(database: str) -> None:
    with pytest.raises(ConnectorError) as error:
        PgvectorOptions(Secret(make_conninfo(database, dbname="nope")), "docs").open()
    assert 'database "nope" does not exist; check database and user' in final(error)


@pytest.fixture
def role(sql: Any, database: str) -> Any:
    """A role without any rights, and a connection string for it."""
    name = f"vecmig_role_{os.getpid()}"
    sql.execute(compose.SQL("CREATE ROLE {} LOGIN PASSWORD 'canary'").format(compose.Identifier(name)))
    yield name, make_conninfo(database, user=name, password="canary")
    sql.execute(compose.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(compose.Identifier(name)))


def test_a_missing_right_is_named_with_the_way_out(
    connect: Connect, docs: PgvectorConnector, role: tuple[str, str], sql: Any
) -> None:
    name, dsn = role
    schema = sql.execute("SELECT current_schema()").fetchone()[0]
    sql.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO "{name}"')
    weak = connect("docs", dsn=dsn)
    with pytest.raises(ConnectorError, match=r"permission denied for schema.*grant") as error:
        weak.create(PLAIN)
    final(error)
    docs.create(PLAIN)
    docs.upsert("docs", batch([{}]))
    for call in (
        lambda: weak.count("docs"),
        lambda: weak.upsert("docs", batch([{}])),
        lambda: weak.fingerprint("docs"),
    ):
        with pytest.raises(ConnectorError, match=r"permission denied for table docs.*grant") as error:
            call()
        final(error)
    sql.execute(f'GRANT SELECT, INSERT, UPDATE ON docs TO "{name}"')
    weak.upsert("docs", batch([{}, {}]))
    with pytest.raises(ConnectorError, match="must be owner"):
        list(weak.build_index(PLAIN))
    checks = {what: (well, detail) for what, well, detail in weak.options.diagnose()}
    assert checks["read the table"][0]
    assert "only its owner" in checks["as a target"][1]


def test_a_missing_extension_and_the_right_to_create_it_are_named(
    connect: Connect, bare_database: str, role: tuple[str, str]
) -> None:
    name, dsn = role
    with psycopg.connect(bare_database, autocommit=True) as admin:
        dbname = admin.info.dbname
        admin.execute("UPDATE pg_database SET datacl = NULL WHERE datname = %s", [dbname])
        admin.execute(f'GRANT CREATE ON SCHEMA public TO "{name}"')
    weak = connect("docs", dsn=make_conninfo(dsn, dbname=dbname, options=""))
    assert weak.describe("docs") is None
    with pytest.raises(ConnectorError, match="CREATE EXTENSION vector") as error:
        weak.create(PLAIN)
    assert dbname in final(error)
    checks = {what: well for what, well, _ in weak.options.diagnose()}
    assert checks["connection"]
    assert not checks["pgvector"]
    strong = connect("docs", dsn=bare_database)
    strong.create(PLAIN)  # installs it
    assert strong.describe("docs")
    checks = {what: well for what, well, _ in strong.options.diagnose()}
    assert all(checks.values())
    with psycopg.connect(bare_database, autocommit=True) as admin:
        admin.execute(f'DROP OWNED BY "{name}"')


def test_a_schema_that_is_not_there_is_named(connect: Connect) -> None:
    with pytest.raises(ConnectorError, match="CREATE SCHEMA"):
        connect("nowhere.docs").create(replace(PLAIN, name="nowhere.docs"))


def test_a_table_that_vanishes_is_not_found(docs: PgvectorConnector, sql: Any) -> None:
    docs.create(PLAIN)
    docs.upsert("docs", batch([{}]))
    sql.execute("DROP TABLE docs")
    with pytest.raises(CollectionNotFound, match="docs"):
        docs.upsert("docs", batch([{}]))
    with pytest.raises(CollectionNotFound, match="docs"):
        docs.upsert("docs", batch([{}]))
    with pytest.raises(CollectionNotFound):
        docs.delete("docs", batch([{}]).keys)
    docs.create(PLAIN)
    assert not docs.upsert("docs", batch([{}]))


def test_a_lost_connection_is_transient_and_the_next_call_has_a_new_one(docs: PgvectorConnector, sql: Any) -> None:
    docs.create(PLAIN)
    docs.upsert("docs", batch([{}]))
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vecmig' AND datname = current_database()"
    sql.execute(kill)
    time.sleep(0.1)
    with pytest.raises(TransientError):
        docs.upsert("docs", batch([{}]))
    assert not docs.upsert("docs", batch([{}, {}]))
    assert docs.count("docs") == {"": 2}


def test_a_connection_that_is_lost_while_reading_is_transient_and_the_cursor_goes_on(
    connect: Connect, docs: PgvectorConnector, sql: Any
) -> None:
    docs.create(PLAIN)
    docs.upsert("docs", batch(MANY))
    reader = connect("docs", page_rows=100)
    (part,) = reader.partitions("docs", 1)
    pages = reader.read(part, None)
    got = [next(pages)]
    sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%' AND pid <> pg_backend_pid()"
    )
    with pytest.raises(TransientError):
        got.extend(pages)  # what was sent before the end is still read
    assert len(got) < 50
    rest = [key.id for page, _ in reader.read(part, got[-1][1]) for key in page.keys]
    read = [key.id for page, _ in got for key in page.keys]
    assert read + rest == [row["id"] for row in MANY]


def test_a_lock_that_is_not_given_in_time_is_transient(docs: PgvectorConnector, database: str) -> None:
    docs.create(PLAIN)
    impatient = PgvectorOptions(Secret(make_conninfo(database) + " options='-c lock_timeout=50ms'"), "docs").open()
    schema = docs.sessions.options.dsn.reveal().split("search_path=")[1].split(",")[0]
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE docs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TransientError, match="lock timeout"):
            impatient.count(f"{schema}.docs")
    impatient.close()


@pytest.fixture
def own_server(short_directory: Path) -> Any:
    """A server of this test alone, which it may kill."""
    yield short_directory / "pg"
    stop_embedded(short_directory / "pg")


def kill_server(directory: Path) -> None:
    pid = int((directory / "postmaster.pid").read_text().split("\n")[0])
    os.kill(pid, signal.SIGKILL)


def test_a_server_that_is_killed_during_a_copy_loses_nothing_that_was_acknowledged(own_server: Path) -> None:
    connector = PgvectorOptions(Secret(f"embedded:{own_server}"), "docs").open()
    connector.create(PLAIN)
    killed = threading.Timer(0.4, kill_server, [own_server])
    killed.start()
    acknowledged = 0
    failures = 0
    while failures == 0 or acknowledged < 8:
        rows = [{**row, "id": f"{acknowledged:03}-{row['id']}"} for row in MANY]
        try:
            assert not connector.upsert("docs", batch(rows))
            acknowledged += 1
        except TransientError:
            failures += 1
            assert failures < 50
            time.sleep(0.1)
    assert connector.count("docs") == {"": acknowledged * len(MANY)}, "the next call started the server again"
    assert len(read_all(connector, "docs", at_most=3)) == acknowledged * len(MANY)
    connector.close()


def test_a_wrong_password_is_named(own_server: Path) -> None:
    dsn = f"embedded:{own_server}"
    connector = PgvectorOptions(Secret(dsn), "docs").open()
    with connector.sessions.writing("docs") as session:
        uri = f"host={session.info.host} dbname={session.info.dbname} user=guarded"
        session.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        file = Path(session.execute("SHOW hba_file").fetchone()[0])  # type: ignore[index]
        file.write_text("local all guarded scram-sha-256\n" + file.read_text())
        session.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)
    for given, words in (("password=canary", "check user and password"), ("", "give the password")):
        with pytest.raises(ConnectorError, match=words) as error:
            PgvectorOptions(Secret(f"{uri} {given}"), "docs").open()
        assert "canary" not in final(error)
    PgvectorOptions(Secret(f"{uri} password=right"), "docs").open().close()
    connector.close()


def test_a_full_disk_is_final_and_says_what_to_do() -> None:
    error = of_statement(errors.DiskFull('could not extend file "base/1": No space left on device'), "pgvector h:1/d")
    assert not isinstance(error, TransientError)
    assert "free space" in str(error)
