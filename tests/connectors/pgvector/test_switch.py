"""One table takes the place of another, while others read."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.schema.names import MAX_BYTES, beside, parse_table
from vecmig.connectors.pgvector.schema.switch import LOCK_S
from vecmig.errors import CollectionConflict, TransientError, UnsupportedError
from vecmig.model.collection import Collection, Index, VectorField
from vecmig.model.secret import Secret
from vecmig.protocols import Target
from vecmig.testing.contract import KEYS, records

MARK = "vecmig:switch/test:0"
log = logging.getLogger(__name__)


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


def versions(target: Target, *names: str) -> list[int | None]:
    """Return which version of `records` each table holds, None where there is no such table."""
    found = []
    for name in names:
        batch = target.fetch(name, KEYS[:1]) if target.describe(name) else None
        found.append(json.loads(batch.strings("metadata")[0])["n"] if batch else None)
    return found


@pytest.mark.parametrize(
    "table", ["kb", "search.kb", '"a.b"."c.d"', "x" * 63, '"say ""hi"""', '"s"."a""b"', 'a"b', "ü" * 31]
)
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
            "constraint c_n_i_fkey on table c",
        ),
        ("create policy mine on kb for select using (true)", "policy mine"),
        ("alter table kb enable row level security", "row level security"),
        ("create rule quiet as on delete to kb do instead nothing", "rule quiet"),
        ("create table part () inherits (kb)", "table part"),
        (
            'create table whole (id text collate "C" not null); alter table kb inherit whole',
            "table whole, of which it is a part",
        ),
        ("create table c (at kb)", "column at of table c"),
        ("create function f() returns setof kb language sql as 'select * from kb'", r"function f\(\)"),
        ("create function f() returns bigint begin atomic select count(*) from kb; end", r"function f\(\)"),
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
    assert versions(target, "kb", "kb__v2", "kb__v1") == [0, 1, None]


def test_a_publication_that_names_the_table_is_such_a_dependent(target: Target, database: str) -> None:
    name = f"told_{uuid4().hex[:8]}"  # a name of the whole database
    run(database, f"create publication {name} for table kb")
    try:
        with pytest.raises(UnsupportedError, match=f"publication {name}"):
            target.switch("kb", "kb__v2", "kb__v1")
    finally:
        run(database, f"drop publication {name}")
    target.switch("kb", "kb__v2", "kb__v1")


def test_what_depends_on_the_build_alone_does_not_hinder(target: Target, database: str) -> None:
    run(database, "create view preview as select id from kb__v2")
    target.switch("kb", "kb__v2", "kb__v1")
    assert versions(target, "kb", "kb__v1") == [1, 0]


def test_a_table_that_is_in_use_is_waited_for_and_then_given_up(
    target: Target, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecmig.connectors.pgvector.schema.switch.LOCK_S", 1)
    with psycopg.connect(database) as reader:
        reader.execute("select count(*) from kb")  # in a transaction that goes on
        with pytest.raises(TransientError, match="in use"):
            target.switch("kb", "kb__v2", "kb__v1")
    assert versions(target, "kb", "kb__v2", "kb__v1") == [0, 1, None]
    target.switch("kb", "kb__v2", "kb__v1")
    assert versions(target, "kb", "kb__v2", "kb__v1") == [1, None, 0]


@contextmanager
def role(database: str) -> Iterator[str]:
    """A role of an application, which is gone afterwards with all that it was granted."""
    name = f"reader_{uuid4().hex[:8]}"
    run(database, f"create role {name}")
    try:
        yield name
    finally:
        run(database, f"reassign owned by {name} to current_user", f"drop owned by {name}", f"drop role {name}")


@pytest.mark.parametrize(
    ("statement", "may"),
    [
        ("grant select on kb to {}", "has_table_privilege('{}', 'kb', 'select')"),
        ("grant insert on kb to {} with grant option", "has_table_privilege('{}', 'kb', 'insert with grant option')"),
        ("grant select (id) on kb to {}", "has_column_privilege('{}', 'kb', 'id', 'select')"),
        ("grant update on kb to public", "has_table_privilege('{}', 'kb', 'update')"),
        ("grant create on schema {schema} to {}; alter table kb owner to {}", "has_table_privilege('{}', 'kb', 'select')"),
    ],
    ids=["table", "grant option", "column", "everybody", "owner"],
)  # fmt: skip
def test_roles_that_may_use_what_served_may_use_the_build(
    target: Target, database: str, statement: str, may: str
) -> None:
    with role(database) as name, psycopg.connect(database, autocommit=True) as connection:
        schema = connection.execute("select current_schema()").fetchone()
        assert schema
        run(database, *statement.format(*[name] * 2, schema=schema[0]).split("; "))
        for serving in ("kb__v2", "kb__v1"):
            target.switch("kb", serving, "kb__v1" if serving == "kb__v2" else "kb__v2")
            assert connection.execute(sql.SQL("select " + may.format(name))).fetchone() == (True,)


def test_a_build_in_another_schema_of_the_search_path_moves_to_what_serves(
    target: Target, options: PgvectorOptions, database: str
) -> None:
    first = f"first_{uuid4().hex[:8]}"
    run(database, f"create schema {first}", f"alter table kb__v2 set schema {first}")
    try:
        dsn = make_conninfo(database, options=str(conninfo_to_dict(database)["options"]).replace("=", f"={first},"))
        with closing(replace(options, dsn=Secret(dsn)).open()) as connector:
            connector.switch("kb", "kb__v2", "kb__v1")
        assert versions(target, "kb", "kb__v1") == [1, 0]
    finally:
        run(database, f"drop schema {first}")


def test_names_that_others_gave_are_kept_and_none_collides(target: Target, database: str) -> None:
    run(
        database,
        "create index mine on kb (created_at)",
        "create index kb_mine on kb (created_at)",
        "create table kb__v1_pkey (x int)",
        "alter table kb add column n bigint generated always as identity, add constraint kb_odd check (n > 0)",
    )
    target.switch("kb", "kb__v2", "kb__v1")
    target.switch("kb", "kb__v1", "kb__v2")
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select i.relname from pg_index x join pg_class i on i.oid = x.indexrelid where indrelid = 'kb'::regclass"
            " union all select conname from pg_constraint where conrelid = 'kb'::regclass and contype = 'c'"
            " union all select pg_get_serial_sequence('kb', 'n')"
        ).fetchall()
    names = {row[0].rpartition(".")[2] for row in rows}
    assert {"mine", "kb_mine", "kb_pkey", "kb_odd", "kb_n_seq"} <= names


def test_a_kept_name_that_is_taken_is_a_conflict(target: Target) -> None:
    target.create(declared("kb__v1"))
    with pytest.raises(CollectionConflict, match="drop it first"):
        target.switch("kb", "kb__v2", "kb__v1")


def test_an_unmarked_table_is_not_renamed_and_by_hand_it_is_done(target: Target, database: str) -> None:
    run(database, "comment on table kb is null")
    with pytest.raises(CollectionConflict, match="by hand"):
        target.switch("kb", "kb__v2", "kb__v1")
    run(database, "alter table kb rename to kb__v1; alter table kb__v2 rename to kb")
    target.switch("kb", "kb__v2", "kb__v1")
    assert versions(target, "kb", "kb__v1") == [1, 0]


def test_a_switch_whose_connection_is_killed_half_way_has_changed_nothing(target: Target, database: str) -> None:
    name = f"kill_{uuid4().hex[:8]}"
    run(
        database,
        f"""create function {name}() returns event_trigger language plpgsql as $$ begin
            if to_regclass('kb__v1') is not null then perform pg_terminate_backend(pg_backend_pid()); end if;
            end $$""",
        f"create event trigger {name} on ddl_command_end when tag in ('ALTER TABLE') execute function {name}()",
    )
    try:
        with pytest.raises(TransientError):
            target.switch("kb", "kb__v2", "kb__v1")
        assert versions(target, "kb", "kb__v2", "kb__v1") == [0, 1, None]
    finally:
        run(database, f"drop event trigger {name}")
    target.switch("kb", "kb__v2", "kb__v1")
    assert versions(target, "kb", "kb__v2", "kb__v1") == [1, None, 0]


def test_no_search_fails_while_tables_are_switched_there_and_back(target: Target, database: str) -> None:
    """Two readers, one of which lets the server prepare its statement: what it prepared follows the name."""
    stop, failed, pauses = threading.Event(), list[Exception](), list[float]()
    seen: set[str] = set()
    query = "select metadata->>'n' from kb order by embedding <=> %s::vector limit 3"

    def search(prepare: bool) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not stop.is_set() and not failed:
                started = time.monotonic()
                try:
                    rows = connection.execute(query, [str(np.ones(4).tolist())], prepare=prepare).fetchall()
                    assert len(rows) == 3
                    assert len(set(rows)) == 1, "an answer is of one table"
                    seen.add(rows[0][0])
                except Exception as error:  # whatever it is, a reader must not see it
                    failed.append(error)
                pauses.append(time.monotonic() - started)

    readers = [threading.Thread(target=search, args=[prepare]) for prepare in (False, True)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(10):
            target.switch("kb", "kb__v2", "kb__v1")
            target.switch("kb", "kb__v1", "kb__v2")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not failed
    assert seen == {"0", "1"}
    log.info("%s searches during 20 switches, the longest took %.0f ms", f"{len(pauses):,}", max(pauses) * 1000)
    assert max(pauses) < LOCK_S
