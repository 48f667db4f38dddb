"""The documents connector: texts as a source of records without vectors."""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecmig.connectors.documents import reading
from vecmig.connectors.documents.chunks import Chunker
from vecmig.connectors.documents.document import Corpus
from vecmig.connectors.documents.folder import FolderCorpus
from vecmig.connectors.documents.options import DocumentsOptions
from vecmig.errors import UnsupportedError
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection
from vecmig.model.plan import Fingerprint, Partition
from vecmig.model.record import Key
from vecmig.model.state import Cursor
from vecmig.protocols import Capabilities, Counts, Hits, Search

if TYPE_CHECKING:
    from vecmig.connectors.documents.query import QueryCorpus


@dataclass(frozen=True, slots=True)
class DocumentsConnector:
    """A Source (see protocols.py). `collection` is the path, or stands for the query."""

    options: DocumentsOptions
    chunker: Chunker
    query: "QueryCorpus | None"  # None: files

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(max_batch_bytes=reading.PAGE_BYTES, searchable=False, keeps_cursors=False)

    def describe(self, collection: str) -> Collection | None:
        namespaced = self.options.columns.namespace is not None
        return Collection(collection, (), namespaced=namespaced) if self._of(collection).there else None

    def count(self, collection: str) -> Counts:
        """Return the chunks, and the documents that cannot be given: to know them, all is read and cut."""
        records = reading.all_records(self._of(collection), self.chunker)
        return Counter(record.key.namespace for record in records)

    def fingerprint(self, collection: str) -> Fingerprint:
        return self._of(collection).fingerprint()

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        return [Partition(collection, token) for token in self._of(collection).partitions(at_most)]

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        corpus = self._of(part.collection)
        yield from reading.read(corpus, part.token, after, self.chunker, self.options.page_rows)

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        return reading.fetch(self._of(collection), keys, self.chunker)

    def search(self, collection: str, search: Search) -> list[Hits]:
        raise UnsupportedError("documents have no vectors, so there is nothing to search: search the target")

    def close(self) -> None:
        if self.query is not None:
            self.query.close()

    def _of(self, collection: str) -> Corpus:
        return self.query or FolderCorpus(self.options, collection)


def connect(options: DocumentsOptions) -> DocumentsConnector:
    """Open what the options say; files are opened when they are read. Raises ConnectorError."""
    query = None
    if options.query is not None and options.dsn is not None:
        from vecmig.connectors.documents.query import QueryCorpus  # who reads files needs no client of a database

        query = QueryCorpus(options, options.query, options.dsn)
    return DocumentsConnector(options, Chunker(options.chunk), query)
