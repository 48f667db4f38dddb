"""The rows of a PostgreSQL query as documents, in the order of their keys. A place is [namespace, id], as texts."""

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import pairwise
from typing import Any, LiteralString

from psycopg import sql
from psycopg.pq import TransactionStatus

from vecmig.connectors.documents.document import Document, Place
from vecmig.connectors.documents.options import DocumentsOptions
from vecmig.connectors.documents.rows import check_columns
from vecmig.connectors.documents.session import Session, connected, endpoint, translated
from vecmig.errors import ConnectorError
from vecmig.model.metadata import loads
from vecmig.model.plan import Fingerprint
from vecmig.model.record import Key
from vecmig.model.secret import Secret

_ROWS = 100  # fetched at once: each may hold a long text


class QueryCorpus:
    """A Corpus (see document.py)."""

    def __init__(self, options: DocumentsOptions, query: str, dsn: Secret) -> None:
        self._options, self._dsn = options, dsn
        self._idle: list[Session] = []
        self._connected = self._checked = False
        columns = options.columns
        # the line end: a query may end with a comment
        self._rows = sql.SQL("(\n{}\n) AS documents").format(_as_given(query.strip().rstrip(";")))
        self._id = _column(columns.id)
        self._text = _column(columns.text)
        self._namespace: sql.Composable = sql.SQL("''::text")
        if columns.namespace is not None:
            self._namespace = sql.SQL("coalesce({}::text, '')").format(_column(columns.namespace))
        # in its own type, so that an index serves
        self._key = sql.SQL(", ").join([self._namespace, self._id] if columns.namespace else [self._id])

    @property
    def there(self) -> bool:
        with self._lent():
            return True

    def fingerprint(self) -> Fingerprint:
        """Return two sums of the hashes of all rows, 64 bits each: the server reads them all."""
        hashes = sql.SQL(", ").join(
            sql.SQL("coalesce(sum(hashtextextended(documents::text, {})::numeric), 0)::text").format(seed)
            for seed in (0, 1)
        )
        row = self._one(sql.SQL("SELECT count(*), {} FROM {}").format(hashes, self._rows))
        settings = repr((self._options.columns, self._options.chunk, version("semantic-text-splitter")))
        return Fingerprint(json.dumps([*row, settings]), "exact")

    def partitions(self, at_most: int) -> Sequence[str]:
        """Return ranges of about as many rows each. Raises ConnectorError where ids are missing or stand twice."""
        rows, ids, keys = self._one(
            sql.SQL("SELECT count(*), count({}), count(DISTINCT ({})) FROM {}").format(self._id, self._key, self._rows)
        )
        name = self._options.columns.id
        if ids < rows:
            raise ConnectorError(f"{self._where}: `{name}` is NULL in {rows - ids:,} rows: leave them out with WHERE")
        if keys < rows:
            raise ConnectorError(
                f"{self._where}: `{name}` is the same in several rows, so that documents would be lost: name a column that is"
                " unique in `columns: {id: …}`"
            )
        first_of_each = sql.SQL(
            "SELECT namespace, id::text FROM (SELECT {namespace} AS namespace, {id} AS id,"
            " row_number() OVER (ORDER BY {key}) - 1 AS row, count(*) OVER () AS rows FROM {documents}) AS t"
            " WHERE row > 0 AND (row * {n}) / rows > ((row - 1) * {n}) / rows ORDER BY row"
        ).format(namespace=self._namespace, id=self._id, key=self._key, documents=self._rows, n=at_most)
        with self._lent() as session:
            cuts = session.execute(first_of_each, []).fetchall()
        return [json.dumps(pair) for pair in pairwise([None, *cuts, None])]

    def documents(self, token: str | None, start: Place | None = None) -> Generator[tuple[Place, Document], None, None]:
        low, high = json.loads(token) if token else (None, None)
        for document in self._selected([(">=", start or low), ("<", high)]):
            yield [document.namespace, document.id], document

    def find(self, wanted: Iterable[Key]) -> Generator[Document, None, None]:
        keys = set(wanted)
        # as texts: what is no value of the column's type is no error, and no row
        where = sql.SQL(" WHERE {}::text = ANY(%s::text[])").format(self._id)
        for document in self._found(where, [sorted({key.id for key in keys})]):
            if Key(document.namespace, document.id) in keys:
                yield document

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _selected(self, bounds: Sequence[tuple[LiteralString, Place | None]]) -> Iterator[Document]:
        wheres: list[sql.Composable] = []
        values: list[str | int] = []
        for comparison, place in bounds:
            if place is not None:
                key = place if self._options.columns.namespace else place[1:]
                marks = sql.SQL(", ").join([sql.Placeholder()] * len(key))
                wheres.append(sql.SQL("({}) {} ({})").format(self._key, sql.SQL(comparison), marks))
                values += key
        where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(wheres)) if wheres else sql.SQL("")
        yield from self._found(where, values)

    def _found(self, where: sql.Composable, values: Sequence[object]) -> Iterator[Document]:
        columns = self._options.columns
        used = [columns.id, columns.text, *([columns.namespace] if columns.namespace else [])]
        query = sql.SQL(
            "SELECT {}, {}::text, {}::text, (to_jsonb(documents) - %s::text[])::text FROM {}{} ORDER BY {}"
        ).format(self._namespace, self._id, self._text, self._rows, where, self._key)
        with self._lent() as session, session.cursor("vecmig_documents") as cursor:
            cursor.itersize = _ROWS
            cursor.execute(query, [used, *values])
            for row in cursor:
                yield self._document(*row)

    def _document(self, namespace: str, id: str | None, text: str | None, fields: str) -> Document:
        columns, largest = self._options.columns, self._options.max_document_mib
        if id is None:
            raise ConnectorError(f"{self._where}: `{columns.id}` is NULL in a row: leave such rows out with WHERE")
        if not id or text is None:
            problem = f"it has no `{columns.text if id else columns.id}`"
            return Document(id or "a row without id", namespace, problem=problem)
        if len(text) > largest << 20:
            return Document(id, namespace, problem=f"its text is longer than {largest} MiB")
        found = loads(fields)
        kept = found if columns.metadata is None else {name: found[name] for name in columns.metadata}
        return Document(id, namespace, text, fields=kept)

    @property
    def _where(self) -> str:
        return f"{endpoint(self._dsn)}, the `query` of the documents"

    def _one(self, query: sql.Composed) -> tuple[Any, ...]:
        with self._lent() as session:
            row = session.execute(query, []).fetchone()
        assert row is not None
        return row

    @contextmanager
    def _lent(self) -> Iterator[Session]:
        """Lend a connection for one piece of work. Raises ConnectorError where the query has not the columns."""
        session = self._idle.pop() if self._idle else connected(self._dsn, self._connected)
        self._connected = True
        try:
            with translated(self._dsn):
                if not self._checked:
                    there = session.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._rows), []).description
                    check_columns([column.name for column in there or ()], self._options.columns, self._where)
                    self._checked = True
                yield session
        finally:
            if not session.closed and session.info.transaction_status is not TransactionStatus.UNKNOWN:
                session.rollback()
                self._idle.append(session)


def _column(name: str) -> sql.Composed:
    return sql.SQL("documents.{}").format(sql.Identifier(_escaped(name)))


def _as_given(query: str) -> sql.SQL:
    return sql.SQL(_escaped(query))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # which marks a parameter
