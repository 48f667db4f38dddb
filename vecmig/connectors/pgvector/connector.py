"""PostgreSQL with pgvector as a Target: each method borrows a connection and hands over to the module that knows how."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from vecmig.connectors.pgvector.client.session import Session, Sessions
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.records import fingerprint as versions
from vecmig.connectors.pgvector.records import partitions, read, write
from vecmig.connectors.pgvector.records import search as nearest
from vecmig.connectors.pgvector.records.columns import check_writable
from vecmig.connectors.pgvector.records.keys import check_told_apart
from vecmig.connectors.pgvector.records.write import Memory
from vecmig.connectors.pgvector.schema import ddl, index, switch
from vecmig.connectors.pgvector.schema.describe import find, require
from vecmig.connectors.pgvector.schema.table import Table
from vecmig.errors import UnsupportedError
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.collection import Collection
from vecmig.model.plan import Fingerprint, Partition
from vecmig.model.state import Cursor
from vecmig.protocols import Capabilities, Counts, Hits, IndexProgress, Search

MAX_BATCH_BYTES = 16 << 20  # each ends with a flush of the server's log: smaller ones spend their time on that


def connect(options: PgvectorOptions) -> "PgvectorConnector":
    """Return a connector that has reached its server. Raises ConnectorError."""
    connector = PgvectorConnector(options, Sessions(options))
    if connector.sessions.there:
        with connector.sessions.reading(options.table):
            pass
    return connector


@dataclass(slots=True)
class PgvectorConnector:
    options: PgvectorOptions
    sessions: Sessions
    _writable: dict[str, Table] = field(default_factory=dict)  # tables as the first batch met them
    _memory: Memory = field(default_factory=Memory)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(MAX_BATCH_BYTES, switches=True)

    def describe(self, collection: str) -> Collection | None:
        if not self.sessions.there:
            return None
        with self.sessions.reading(collection) as session:
            table = find(session, self.options, collection)
            return replace(table.declaration, unwritable=_unwritable(table)) if table else None

    def count(self, collection: str) -> Counts:
        with self.sessions.reading(collection) as session:
            return versions.count(session, self._table(session, collection))

    def fingerprint(self, collection: str) -> Fingerprint:
        with self.sessions.reading(collection) as session:
            return versions.fingerprint(session, self._table(session, collection))

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        with self.sessions.reading(collection) as session:
            return partitions.partitions(session, self._table(session, collection), at_most)

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        with self.sessions.reading(part.collection) as session:
            table = self._table(session, part.collection)
            yield from read.read(session, table, part, after, vectors, self.options.page_rows)

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        with self.sessions.reading(collection) as session:
            return read.fetch(session, self._table(session, collection), keys)

    def search(self, collection: str, search: Search) -> list[Hits]:
        with self.sessions.reading(collection) as session:
            return nearest.search(session, self._table(session, collection), search)

    def create(self, collection: Collection) -> None:
        self._writable.pop(collection.name, None)
        with self.sessions.writing(collection.name) as session:
            ddl.create(session, self.options, collection)
            check_writable(self._table(session, collection.name))

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        with self.sessions.writing(collection) as session:
            if collection not in self._writable:
                table = self._table(session, collection)
                check_told_apart(table)
                check_writable(table)
                self._writable[collection] = table
            try:
                return write.upsert(session, self._writable[collection], batch, self._memory)
            except BaseException:
                del self._writable[collection]  # whatever happened, look again
                raise

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        with self.sessions.writing(collection) as session:
            write.delete(session, self._table(session, collection), keys)

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None:
        """Do nothing: what is committed is visible, in the indexes, too."""

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        """Build what is missing, then drop vecmig's own that it replaces; a build that was broken off is made anew."""
        declared = self.options.complete(collection)
        with self.sessions.reading(collection.name) as watcher, self.sessions.building(collection.name) as worker:
            table = self._table(worker, collection.name)
            concurrently = not index.is_new(table)
            for name in index.leftovers(table):
                index.drop_index(worker, table, name, concurrently)
            rows = sum(versions.count(watcher, table).values())
            for build in index.wanted(table, declared, rows):
                yield from index.build(worker, watcher, table, build, concurrently)
            for name in index.outdated(table, declared):
                index.drop_index(worker, table, name, concurrently)
            worker.execute(index.analyze(table))

    def mend(self, collection: str) -> Iterator[IndexProgress]:
        yield from ()

    def switch(self, serving: str, build: str, kept: str) -> None:
        self._writable.clear()
        with self.sessions.writing(serving) as session:
            switch.switch(session, self.options, serving, build, kept)

    def hindrance(self, serving: str, build: str) -> str:
        with self.sessions.reading(serving) as session:
            return switch.hindrance(session, self.options, serving, build)

    def drop(self, collection: str) -> None:
        self._writable.pop(collection, None)
        with self.sessions.writing(collection) as session:
            ddl.drop(session, self.options, collection)

    def close(self) -> None:
        self.sessions.close()

    def _table(self, session: Session, collection: str) -> Table:
        return require(session, self.options, collection)


def _unwritable(table: Table) -> str:
    """Return why records cannot be put into a table, "" where they can."""
    try:
        check_told_apart(table)
        check_writable(table)
    except UnsupportedError as error:
        return str(error)
    return ""
