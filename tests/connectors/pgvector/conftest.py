"""Fixtures of the pgvector tests: connectors, and a connection of the test's own."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.connectors.pgvector.options import Columns, PgvectorOptions
from vecmig.model.secret import Secret

Connect = Callable[..., PgvectorConnector]


@pytest.fixture
def connect(database: str) -> Iterator[Connect]:
    """Opens connectors to the test's schema: connect("table", id=…, vector=…) maps columns, page_rows=… sets pages."""
    opened: list[PgvectorConnector] = []

    def open_(table: str, page_rows: int = 20_000, dsn: str = database, **columns: Any) -> PgvectorConnector:
        mapping = Columns(**columns) if columns else None
        opened.append(PgvectorOptions(Secret(dsn), table, mapping, page_rows=page_rows).open())
        return opened[-1]

    yield open_
    for connector in opened:
        connector.close()


@pytest.fixture
def sql(database: str) -> Iterator[Connection[tuple[Any, ...]]]:
    """A connection beside vecmig's, as an application or an administrator has one."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def docs(connect: Connect) -> PgvectorConnector:
    """A connector to table docs, which is not there yet."""
    return connect("docs")
