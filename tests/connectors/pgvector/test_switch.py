"""One table takes the place of another, while others read."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql

from vecmig.connectors.pgvector.names import MAX_BYTES, beside, parse_table
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.switch import LOCK_S
from vecmig.errors import TransientError, UnsupportedError
from vecmig.model.collection import Collection, Index, VectorField
from vecmig.model.secret import Secret
from vecmig.protocols import Target
from vecmig.testing.contract import KEYS, records

MARK = "vecmig:switch/test:0"


def declared(name: str, m: int = 16) -> Collection:
    return Collection(name, (VectorField("", 4, "cosine", index=Index(m=m, ef_construction=64)),), mark=MARK)


@pytest.fixture
def options(database: str) -> PgvectorOptions:
    return PgvectorOptions(Secret(database), "kb")


@pytest.fixture
def target(options: PgvectorOptions) -> Iterator[Target]:
    with closing(options.open()) as connector:
        for name, version in (("kb", 0), ("kb__v2", 1)):
            connector.create(declared(name))
            connector.upsert(name, records(KEYS, version))
            list(connector.build_index(declared(name)))
        yield connector


def run(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement))


@pytest.mark.parametrize("table", ["kb", "search.kb", '"a.b"."c.d"', "x" * 63, '"say ""hi"""', "ü" * 31])
def test_the_name_beside_is_one_that_postgresql_takes(table: str) -> None:
    name = parse_table(beside(table, 12))
    assert name.schema == parse_table(table).schema
    assert len(name.name.encode()) <= MAX_BYTES
    assert name.name.endswith("__v12")
    assert beside(table, 2) != beside(table, 12)


def test_indexes_and_fingerprint_are_those_of_the_table_and_nothing_is_built_again(
    target: Target, options: PgvectorOptions, database: str
) -> None:
    before = target.fingerprint("kb__v2")
    target.switch("kb", "kb__v2", "kb__v1")
    assert target.fingerprint("kb") == before
    with psycopg.connect(database) as connection:
        rows = connection.execute("select tablename, indexname from pg_indexes where tablename like 'kb%'").fetchall()
    assert all(index.startswith((f"{table}_", f"{table}~")) for table, index in rows)
    oids = "select string_agg(indexrelid::text, ',' order by indexrelid) from pg_index where indrelid = 'kb'::regclass"
    with psycopg.connect(database, autocommit=True) as connection:
        first = connection.execute(oids).fetchone()
        list(target.build_index(declared("kb")))
        assert connection.execute(oids).fetchone() == first
        list(target.build_index(declared("kb", m=24)))
        assert connection.execute(oids).fetchone() != first, "vecmig's own index is still known as that"


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("create view seen as select id from kb", "view seen"),
        ("create materialized view kept as select id from kb", "materialized view kept"),
        (
            "create table c (n text, i text, foreign key (n, i) references kb (namespace, id))",
            "foreign key c_n_i_fkey of c",
        ),
        ("create policy mine on kb for select using (true)", "policy mine"),
        (
            "create function f() returns trigger language plpgsql as 'begin return new; end';"
            "create trigger t after insert on kb for each row execute function f()",
            "trigger t",
        ),
    ],
)
def test_what_depends_on_the_table_is_named_before_anything_is_changed(
    target: Target, database: str, statement: str, what: str
) -> None:
    run(database, statement)
    with pytest.raises(UnsupportedError, match=what):
        target.switch("kb", "kb__v2", "kb__v1")
    assert target.describe("kb__v2") is not None
    assert target.describe("kb__v1") is None


def test_a_table_that_is_in_use_is_waited_for_and_then_given_up(
    target: Target, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecmig.connectors.pgvector.switch.LOCK_S", 1)
    with psycopg.connect(database) as reader:
        reader.execute("select count(*) from kb")  # in a transaction that goes on
        with pytest.raises(TransientError, match="in use"):
            target.switch("kb", "kb__v2", "kb__v1")
    target.switch("kb", "kb__v2", "kb__v1")


def test_roles_that_may_read_what_served_may_read_the_build(target: Target, database: str) -> None:
    run(
        database,
        "drop role if exists vecmig_reader",
        "create role vecmig_reader",
        "grant select on kb to vecmig_reader",
    )
    try:
        target.switch("kb", "kb__v2", "kb__v1")
        with psycopg.connect(database) as connection:
            query = "select has_table_privilege('vecmig_reader', 'kb', 'select')"
            assert connection.execute(query).fetchone() == (True,)
    finally:
        run(database, "drop owned by vecmig_reader", "drop role vecmig_reader")


def test_a_reader_never_fails_while_tables_are_switched_there_and_back(
    target: Target, options: PgvectorOptions, database: str
) -> None:
    stop, failed, pauses = threading.Event(), [], []
    query = str(np.ones(4).tolist())

    def search() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not stop.is_set():
                started = time.monotonic()
                try:
                    rows = connection.execute("select id from kb order by embedding <=> %s limit 3", [query]).fetchall()
                    assert len(rows) == 3
                except Exception as error:  # whatever it is, a reader must not see it
                    failed.append(error)
                pauses.append(time.monotonic() - started)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(10):
        target.switch("kb", "kb__v2", "kb__v1")
        target.switch("kb", "kb__v1", "kb__v2")
    stop.set()
    for reader in readers:
        reader.join()
    assert not failed
    assert max(pauses) < LOCK_S, f"{len(pauses):,} searches, the longest took {max(pauses):.3f} s"
    assert replace(declared("kb"), name="kb").agrees_with(target.describe("kb") or declared("none"))
