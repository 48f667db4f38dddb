"""psycopg's errors as vecmig's: what happened, where, what next. Never the connection string, never a value."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pyarrow as pa
from psycopg import errors

from vecmig.errors import CollectionNotFound, ConnectorError, TransientError
from vecmig.model.secret import redact

# A short list on purpose: OperationalError is also the parent of InvalidPassword and DiskFull.
TRANSIENT = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    errors.ConnectionFailure,
    errors.ConnectionDoesNotExist,
    errors.ProtocolViolation,  # what a pooler says of a server that it lost
    errors.IdleInTransactionSessionTimeout,
)
# While connecting, the server's answer comes as text only.
_TRANSIENT_TEXTS = (
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting connections",
    "too many clients",
    "connection slots",
    "too many connections",
)
# Errors of one record, though they do not name it: data, constraints, program limits. A repeated key is found earlier.
OF_A_RECORD = (
    errors.DataError,
    errors.IntegrityError,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
    errors.RaiseException,  # a trigger's rule
    errors.AssertFailure,
)
# The lines of a context that name a function of the database, such as "PL/pgSQL function checked() line 3 at RAISE".
_FUNCTION = re.compile(r'^(?:PL/\w+|SQL) function "?([\w.$]+)', re.MULTILINE)

EXTENSION_WAY_OUT = (
    "ask an administrator to run `CREATE EXTENSION vector` in this database (pgvector must be installed on the server)"
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise psycopg's errors as vecmig's."""
    try:
        yield
    except psycopg.Error as error:
        raise of_statement(error, where) from error
    except pa.ArrowInvalid as error:
        raise ConnectorError(f"{where}: the server sent what cannot be read: {error}") from error


def of_statement(error: psycopg.Error, where: str) -> ConnectorError:
    """Return the error of a statement on a connection that was open."""
    said = message(error)
    if isinstance(error, TRANSIENT):
        return TransientError(f"{where}: {said}")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None:
        return TransientError(f"{where}: the connection was lost: {said}")
    if isinstance(error, errors.UndefinedTable):
        return CollectionNotFound(f"{where}: there is no such table (any more); run `vecmig plan` to see what is there")
    return ConnectorError(f"{where}: {said}{_way_out(error)}")


def of_connecting(error: psycopg.Error, where: str, connected_before: bool) -> ConnectorError:
    """Return the error of an attempt to connect: where it worked before, it may work again."""
    said = message(error)
    if any(text in said for text in _TRANSIENT_TEXTS):
        return TransientError(f"{where}: {said}")
    for text, way_out in (
        ("authentication failed", "check user and password in the `dsn`"),
        ("no password supplied", "give the password in the `dsn`, or in PGPASSWORD"),
        ("pg_hba.conf", "the server does not let this user in from this host: see its pg_hba.conf, or `sslmode`"),
        ("does not exist", "check database and user in the `dsn`"),
    ):
        if text in said:
            return ConnectorError(f"{where}: {said}; {way_out}")
    if connected_before:
        return TransientError(f"{where}: no connection any more: {said}")
    return ConnectorError(f"{where}: no connection: {said}; check host and port in the `dsn`, and that the server runs")


def message(error: psycopg.Error) -> str:
    """Return the server's primary message: details and hints may hold values of a record.

    So may what a function of the database raised, and the quoted part of what is wrong with a value.
    """
    if function := _FUNCTION.search(error.diag.context or ""):
        return (
            f"{_kind(error)} in function `{function[1]}`, whose text is not shown, for it may hold values of a record"
        )
    text = " ".join((error.diag.message_primary or str(error) or type(error).__name__).split())
    return redact(re.sub('".*"', '"…"', text) if isinstance(error, errors.DataError) else text)


def refusal(error: psycopg.Error) -> str:
    """Return why the server refuses a record, in the standard's words and names: its own may quote a value.

    Reasons are kept in the state, where no value of a record may be.
    """
    function = _FUNCTION.search(error.diag.context or "")
    names = {"constraint": error.diag.constraint_name, "column": error.diag.column_name}
    of = "".join(f" of {kind} `{name}`" for kind, name in names.items() if name)
    return f"PostgreSQL refuses it: {_kind(error)}{of}" + (f" in function `{function[1]}`" if function else "")


def _kind(error: psycopg.Error) -> str:
    """Return `check violation (SQLSTATE 23514)`."""
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{words} (SQLSTATE {error.sqlstate})"


def _way_out(error: psycopg.Error) -> str:
    match error:
        case errors.DiskFull():
            return "; free space on the server's disk, then run it again: it goes on where it stopped"
        case errors.InsufficientPrivilege():
            return (
                "; grant the right to the role of the `dsn`, or use another role (`vecmig doctor` lists what it needs)"
            )
        case errors.ReadOnlySqlTransaction():
            return "; the server is a read-only standby: give the `dsn` of the primary"
        case errors.UndefinedObject() | errors.UndefinedFile() | errors.FeatureNotSupported() if "vector" in str(error):
            return f"; {EXTENSION_WAY_OUT}"
        case errors.UndefinedColumn():
            return "; the table changed: run `vecmig plan` again"
        case errors.OutOfMemory():
            return "; the server ran out of memory: lower its memory settings or give it more"
        case errors.QueryCanceled():
            return "; raise the server's limits for this role, or run it again: it goes on where it stopped"
    return ""
