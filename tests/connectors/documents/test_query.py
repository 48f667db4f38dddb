"""Rows of a query on PostgreSQL as documents."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.connectors.documents.data import read, unpacked
from vecmig.connectors.documents.connector import DocumentsConnector
from vecmig.connectors.documents.options import Chunk, Columns, DocumentsOptions
from vecmig.errors import ConnectorError, SpecError, TransientError
from vecmig.model.record import Key
from vecmig.model.secret import Secret

ARTICLES = "SELECT id, title, body AS text, tags, at, price FROM articles"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE articles (id int PRIMARY KEY, title text, body text, tags text[], at timestamptz, price numeric)"
        )
        connection.execute(
            "INSERT INTO articles SELECT n, 'Title ' || n, repeat('Text ' || n || E'.\\n\\n', 3), '{a,b}',"
            " '2026-01-02 03:04:05+02', 12345678901234567.50 FROM generate_series(1, 30) AS n"
        )
        yield connection


@pytest.fixture
def opened(database: str, connection: psycopg.Connection[Any]) -> Iterator[Any]:
    """Open a query; what is opened is closed when the test ends."""
    sources: list[DocumentsConnector] = []

    def open(query: str = ARTICLES, dsn: str = database, **options: Any) -> DocumentsConnector:
        sources.append(DocumentsOptions(query=query, dsn=Secret(dsn), **options).open())
        return sources[-1]

    yield open
    for each in sources:
        each.close()


def test_rows_become_chunks_with_their_columns_as_metadata(opened: Any) -> None:
    found = read(opened(chunk=Chunk(9)))
    assert len(found) == 90
    assert found[0]["id"] == "1#0"
    assert found[:3] == [
        {**found[0], "id": f"1#{n}", "chunk": n, "text": "Text 1.", "start": n * 9, "end": n * 9 + 7} for n in range(3)
    ]
    assert (found[0]["title"], found[0]["tags"]) == ("Title 1", ["a", "b"])
    assert found[0]["at"] == "2026-01-02T01:04:05+00:00"
    assert str(found[0]["price"]) == "12345678901234567.50"


def test_ids_are_ordered_as_numbers_are_and_every_range_is_read_once(opened: Any) -> None:
    for at_most in (1, 3, 7, 100):
        connector = opened(page_rows=4)
        assert len(connector.partitions(connector.options.collection, at_most)) == min(at_most, 30)
        assert [each["id"] for each in read(connector, at_most)] == [f"{n}#0" for n in range(1, 31)]


def test_namespaces_may_be_null_and_ids_repeat_among_them(opened: Any) -> None:
    query = "SELECT n % 10 AS id, nullif(n / 10, 1) AS tenant, 'text' AS text FROM generate_series(0, 29) AS n"
    connector = opened(query, columns=Columns(namespace="tenant"), page_rows=4)
    found = read(connector, 4)
    assert connector.count("") == {"": 10, "0": 10, "2": 10}
    assert len({(each["namespace"], each["id"]) for each in found}) == len(found) == 30
    asked = [Key("2", "3#0"), Key("", "9#0"), Key("1", "3#0"), Key("", "x#0")]
    assert connector.fetch("", asked).keys == asked[:2]


@pytest.mark.parametrize(
    "query",
    [
        f"{ARTICLES};",
        f"{ARTICLES} -- all of them",
        f"  WITH chosen AS ({ARTICLES} WHERE title LIKE 'Title%')\nSELECT * FROM chosen ORDER BY at LIMIT 30 ;\n",
        f"{ARTICLES} WHERE 7 % 2 = 1 AND title <> '%s'",
    ],
)
def test_a_query_may_be_any_select(opened: Any, query: str) -> None:
    assert len(read(opened(query), 2)) == 30


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM articles RETURNING id, body AS text",
        "WITH gone AS (DELETE FROM articles RETURNING id, body AS text) SELECT * FROM gone",
        "SELECT 1 AS id, 'x' AS text) AS x; DROP TABLE articles; SELECT * FROM (SELECT 1 AS id, 'x' AS text",
        "SELECT id, body AS text FROM articles WHERE setval('counter', 7) > 0",
        "SELECT 1 AS id, set_config('transaction_read_only', 'off', true) AS text; DROP TABLE articles",
    ],
)
def test_no_query_can_write(opened: Any, connection: psycopg.Connection[Any], query: str) -> None:
    connection.execute("CREATE SEQUENCE counter")
    with pytest.raises(ConnectorError, match="the `query` of the documents: "):
        read(opened(query))
    row = connection.execute("SELECT count(*), (SELECT last_value FROM counter) FROM articles").fetchone()
    assert row == (30, 1)


def test_a_fingerprint_changes_with_any_value(opened: Any, connection: psycopg.Connection[Any]) -> None:
    connector = opened()
    seen = [connector.fingerprint("")]
    assert connector.fingerprint("") == seen[0]
    assert seen[0].strength == "exact"
    for statement in (
        "UPDATE articles SET body = 'another' WHERE id = 3",
        "UPDATE articles SET tags = '{a,c}' WHERE id = 3",
        "UPDATE articles SET title = CASE id WHEN 1 THEN 'Title 2' ELSE 'Title 1' END WHERE id IN (1, 2)",
        "DELETE FROM articles WHERE id = 4",
    ):
        connection.execute(statement)
        seen.append(connector.fingerprint(""))
    assert len(set(seen)) == 5
    connection.execute("VACUUM FULL articles")
    assert connector.fingerprint("") == seen[-1]


def test_a_cursor_goes_on_behind_its_row_unless_that_changed(opened: Any, connection: psycopg.Connection[Any]) -> None:
    connector = opened(chunk=Chunk(9), page_rows=4)
    (part,) = connector.partitions("", 1)
    with closing(connector.read(part, None)) as pages:
        _, cursor = next(pages)
    rest = [each["id"] for each in unpacked([batch for batch, _ in connector.read(part, cursor)])]
    assert rest[:3] == ["2#1", "2#2", "3#0"]
    connection.execute("UPDATE articles SET body = 'another' WHERE id = 2")
    with pytest.raises(ConnectorError, match="was changed since it was read: run again"):
        next(connector.read(part, cursor))


def test_rows_that_cannot_be_given_are_told(opened: Any, connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE articles SET body = NULL WHERE id = 3")
    connection.execute("UPDATE articles SET body = ' ' WHERE id = 4")
    connection.execute("UPDATE articles SET body = repeat('x', 2000000) WHERE id = 5")
    found = {each["id"]: each["problem"] for each in read(opened(max_document_mib=1)) if each["problem"]}
    assert found == {"3": "it has no `text`", "4": "it holds no text", "5": "its text is longer than 1 MiB"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nullif(id, 3) AS id, body AS text FROM articles", "`id` is NULL in 1 rows"),
        ("SELECT id / 2 AS id, body AS text FROM articles", "`id` is the same in several rows"),
        ("SELECT id AS key, body AS text FROM articles", r"has no column 'id'; it has 'key', 'text'"),
        ("SELECT * FROM nothing", 'relation "nothing" does not exist. Try the query in psql'),
        ("SELEC", "the `query` of the documents: "),
        ("SELECT 1 / (id - 3) AS id, body AS text FROM articles", "division by zero"),
        ("SELECT title::int AS id, body AS text FROM articles", 'invalid input syntax for type integer: "…"'),
    ],
)
def test_a_query_that_does_not_fit_is_told_before_anything_is_moved(opened: Any, query: str, message: str) -> None:
    with pytest.raises(ConnectorError, match=message):
        opened(query).partitions("", 1)


def test_a_lost_connection_is_transient_and_the_next_read_goes_on(
    opened: Any, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("INSERT INTO articles SELECT n, 't', 'text', '{}', now(), 1 FROM generate_series(31, 5000) AS n")
    connector = opened(page_rows=4)
    (part,) = connector.partitions("", 1)
    pages = connector.read(part, None)
    first, cursor = next(pages)
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vecmig' AND datname ="
        " current_database() AND query LIKE '%%vecmig_documents%%'"
    )
    with pytest.raises(TransientError):
        list(pages)
    rest = [key.id for batch, _ in connector.read(part, cursor) for key in batch.keys]
    assert len(rest) == 5000 - len(first)


def test_errors_of_connecting_name_the_place_and_no_password(opened: Any) -> None:
    connector = opened(dsn="postgresql://me:hunter2secret@127.0.0.1:1/db")
    with pytest.raises(ConnectorError, match=r"127\.0\.0\.1:1/db: no connection: ") as caught:
        connector.count("")
    assert "hunter2" not in str(caught.value)
    assert connector.options.place == "127.0.0.1:1/db"
    ((what, well, detail),) = connector.options.diagnose()
    assert (what, well) == ("query", False)
    assert "hunter2" not in detail


@pytest.mark.parametrize("dsn", ["embedded:data", "postgresql://me:a/b@host/db", "no string"])
def test_what_is_no_connection_string_is_told_without_repeating_it(opened: Any, dsn: str) -> None:
    with pytest.raises(ConnectorError, match="the `dsn` is no connection string: write") as caught:
        opened(dsn=dsn).describe("")
    assert dsn not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(opened: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="NO_SUCH_DATABASE"):
        opened(dsn="{{ env.NO_SUCH_DATABASE }}").describe("")


def test_doctor_says_that_the_query_answers(opened: Any) -> None:
    ((what, well, detail),) = opened().options.diagnose()
    assert (what, well) == ("query", True)
    assert "has the columns" in detail
