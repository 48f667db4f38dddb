"""A connection that only reads, and psycopg's errors as vecmig's. Never the connection string."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vecmig.errors import ConnectorError, TransientError
from vecmig.model.secret import Secret, redact

Session = Connection[tuple[Any, ...]]
DEFAULTS: dict[str, Any] = {"connect_timeout": 15, "application_name": "vecmig"}
# so that a value has one text, whatever the role's settings are
_SETTINGS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 1; SET statement_timeout = 0"
# OperationalError is also the parent of what stays: a short list
_TRANSIENT = (
    errors.SerializationFailure,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    errors.ConnectionFailure,
    errors.IdleInTransactionSessionTimeout,
)


def connected(dsn: Secret, before: bool) -> Session:
    """Connect. `before`: it worked before, so that it may work again. Raises ConnectorError."""
    parts = _parsed(dsn)
    try:
        session = psycopg.connect(make_conninfo("", **{**DEFAULTS, **parts}), prepare_threshold=None)
        session.execute(_SETTINGS)
        session.commit()
        session.read_only = True
    except psycopg.Error as error:
        text = f"{endpoint(dsn)}: no connection: {_message(error)}"
        if before or isinstance(error, _TRANSIENT):
            raise TransientError(text) from error
        raise ConnectorError(
            f"{text}; check host, port, database, user and password in the `dsn`, and that the server runs"
        ) from error
    return session


@contextmanager
def translated(dsn: Secret) -> Iterator[None]:
    """Raise psycopg's errors of a statement as vecmig's."""
    try:
        yield
    except psycopg.Error as error:
        text = f"{endpoint(dsn)}, the `query` of the documents: {_message(error)}"
        if isinstance(error, _TRANSIENT) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
            raise TransientError(text) from error
        raise ConnectorError(f"{text}. Try the query in psql, as the same user") from error


def endpoint(dsn: Secret) -> str:
    """Return `host:port/database`. Raises ConnectorError where the string is none, SpecError where it is not set."""
    parts = _parsed(dsn)
    host = parts.get("host") or parts.get("hostaddr") or os.environ.get("PGHOST", "localhost")
    port = parts.get("port") or os.environ.get("PGPORT", "5432")
    return f"{host}:{port}/{parts.get('dbname') or os.environ.get('PGDATABASE', '')}"


def _parsed(dsn: Secret) -> dict[str, Any]:
    text = dsn.reveal()
    try:
        parts = {key: value for key, value in conninfo_to_dict(text).items() if value not in (None, "")}
    except psycopg.Error:
        parts = None  # and no cause: the parser's message repeats the string, and with it the password
    # a `/` in the password of a URL makes a port and a database of what follows the user
    port = str(parts.get("port", "")) if parts is not None else "-"
    if parts is None or (port and not port.replace(",", "").isdecimal()) or "@" in str(parts.get("dbname")):
        raise ConnectorError(
            "the `dsn` is no connection string: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special"
            " characters of the password in percent encoding"
        )
    return parts


def _message(error: psycopg.Error) -> str:
    """Return the server's primary message without what may hold values of a row: details, and what is quoted of them."""
    if isinstance(error, errors.RaiseException):
        return "a function of the database raised an error, whose text is not shown"
    text = " ".join((error.diag.message_primary or str(error) or type(error).__name__).split())
    return redact(re.sub('".*"', '"…"', text) if isinstance(error, errors.DataError) else text)
