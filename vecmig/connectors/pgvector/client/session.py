"""Connections: those that read cannot write. Each is lent for one piece of work, and replaced once it broke."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from vecmig.connectors.pgvector.client.embedded import embedded_dsn, is_made
from vecmig.connectors.pgvector.client.errors import of_connecting, translated
from vecmig.connectors.pgvector.options import EMBEDDED, PgvectorOptions
from vecmig.errors import CollectionNotFound, ConnectorError

Session = Connection[tuple[Any, ...]]
Purpose = Literal["read", "write"]
DEFAULTS: dict[str, Any] = {"connect_timeout": 15, "application_name": "vecmig"}
# UTC so that times have one text; no timeout, for a load or an index may well take hours; compiled expressions do
# not pay for themselves in a COPY.
_SETTINGS = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1;"
    " SET bytea_output = 'hex'; SET statement_timeout = 0; SET jit = off"
)


@dataclass(slots=True)
class Sessions:
    """The connections of one connector, which serves one thread."""

    options: PgvectorOptions
    _idle: dict[Purpose, list[Session]] = field(default_factory=lambda: {"read": [], "write": []})
    _connected: bool = False

    @property
    def there(self) -> bool:
        """Whether there is a server; an embedded one is made by the first write."""
        dsn = self.options.dsn.reveal()
        return not dsn.startswith(EMBEDDED) or is_made(dsn.removeprefix(EMBEDDED))

    @contextmanager
    def reading(self, collection: str) -> Iterator[Session]:
        """Lend a connection whose every transaction is read-only."""
        with self._lent("read", collection) as session:
            yield session

    @contextmanager
    def writing(self, collection: str) -> Iterator[Session]:
        """Lend a connection that may write; the first is opened when something is to be written."""
        with self._lent("write", collection) as session:
            yield session

    @contextmanager
    def building(self, collection: str) -> Iterator[Session]:
        """Lend a connection of its own, whose settings may be changed: it is closed afterwards."""
        session = self._connect("write", collection)
        try:
            with translated(self.where(collection)):
                yield session
        finally:
            session.close()

    def close(self) -> None:
        """Close what is idle; may be repeated."""
        for sessions in self._idle.values():
            while sessions:
                sessions.pop().close()

    def where(self, collection: str) -> str:
        """Return host, port, database and table for a message."""
        return f"pgvector {endpoint(self.options)}, table {collection}"

    @contextmanager
    def _lent(self, purpose: Purpose, collection: str) -> Iterator[Session]:
        session = self._idle[purpose].pop() if self._idle[purpose] else self._connect(purpose, collection)
        try:
            with translated(self.where(collection)):
                yield session
        finally:
            if session.closed:
                self.close()  # one lost connection seldom comes alone
            elif session.info.transaction_status is TransactionStatus.IDLE:
                self._idle[purpose].append(session)
            else:
                session.close()

    def _connect(self, purpose: Purpose, collection: str) -> Session:
        where = self.where(collection)
        if purpose == "read" and not self.there:
            raise CollectionNotFound(f"{where}: there is no PostgreSQL in this directory yet")
        try:
            session = psycopg.connect(conninfo(self.options), autocommit=True, prepare_threshold=None)
            session.execute(_SETTINGS)
            if purpose == "read":
                session.execute("SET default_transaction_read_only = on")
        except psycopg.Error as error:
            raise of_connecting(error, where, self._connected) from error
        self._connected = True
        return session


def conninfo(options: PgvectorOptions) -> str:
    """Return the connection string, which holds secrets: it goes to psycopg only."""
    dsn = options.dsn.reveal()
    if dsn.startswith(EMBEDDED):
        dsn = embedded_dsn(dsn.removeprefix(EMBEDDED))
    return make_conninfo("", **{**DEFAULTS, **_parsed(dsn)})


def endpoint(options: PgvectorOptions) -> str:
    """Return `host:port/database`, or the directory of an embedded server."""
    dsn = options.dsn.reveal()
    if dsn.startswith(EMBEDDED):
        return dsn
    parts = _parsed(dsn)
    host = parts.get("host") or parts.get("hostaddr") or os.environ.get("PGHOST", "localhost")
    port = parts.get("port") or os.environ.get("PGPORT", "5432")
    return f"{host}:{port}/{parts.get('dbname') or os.environ.get('PGDATABASE', '')}"


def _parsed(dsn: str) -> dict[str, Any]:
    try:
        parts = {key: value for key, value in conninfo_to_dict(dsn).items() if value not in (None, "")}
    except psycopg.Error:
        parts = None  # and no cause: the parser's message repeats the string, and with it the password
    # a `/` in the password of a URL makes a port and a database of what follows the user
    if parts is None or not _is_port(parts.get("port")) or ("://" in dsn and "@" in str(parts.get("dbname"))):
        raise ConnectorError(
            "the `dsn` is no connection string: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special"
            " characters of the password in percent encoding, or `embedded:PATH`"
        )
    return parts


def _is_port(text: object) -> bool:
    return text is None or all(not each or each.isdecimal() for each in str(text).split(","))  # several hosts: several


def is_local(session: Session) -> bool:
    """Return whether the server runs on this machine, so that its memory is this machine's."""
    host = session.info.host
    return host.startswith(("/", "@")) or host in ("", "localhost", "127.0.0.1", "::1")


def setting(session: Session, name: str) -> str | None:
    """Return a setting of the server, or None where it does not know it."""
    row = session.execute("SELECT current_setting(%s, true)", [name]).fetchone()
    return row[0] if row else None


def set_local(session: Session, name: str, value: object) -> None:
    """Change a setting until the transaction ends."""
    session.execute(sql.SQL("SELECT set_config(%s, %s, true)"), [name, str(value)])
