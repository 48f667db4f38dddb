"""Pinecone as a Target: each method finds the index and hands over to the module that knows how."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from pinecone import Pinecone

from vecmig.connectors.pinecone import index as control_plane
from vecmig.connectors.pinecone import partitions, read, search, visible, write
from vecmig.connectors.pinecone.api import Api
from vecmig.connectors.pinecone.calls import Calls
from vecmig.connectors.pinecone.index import Index
from vecmig.connectors.pinecone.metadata import Encoding
from vecmig.connectors.pinecone.options import CONTROL_PLANE, PineconeOptions
from vecmig.connectors.pinecone.read import Reading
from vecmig.connectors.pinecone.session import control_plane as connected
from vecmig.connectors.pinecone.session import data_plane
from vecmig.connectors.pinecone.vectors import VectorsApi
from vecmig.connectors.pinecone.write import Writing
from vecmig.errors import CollectionConflict, CollectionNotFound
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.collection import Collection
from vecmig.model.plan import Fingerprint, Partition
from vecmig.model.state import Cursor
from vecmig.protocols import Capabilities, Counts, Hits, IndexProgress, Search

MAX_BATCH_BYTES = 16 << 20  # of one upsert: several requests, sent at once
PAGE_BYTES = 8 << 20
METADATA_BYTES = 1_000  # of a record, assumed for the size of a page
PEEKED = 3  # namespaces whose first records show whether an index is hybrid


def connect(options: PineconeOptions) -> "PineconeConnector":
    """Return a connector. Raises ConnectorError for a key that cannot be one."""
    return PineconeConnector(options, connected(options))


@dataclass(slots=True)
class Opened:
    """An index and the way to its data."""

    index: Index
    api: Api
    calls: Calls

    @property
    def encoding(self) -> Encoding:
        times = frozenset(each.name for each in self.index.collection.fields if each.type == "datetime")
        return Encoding(times, self.api.reserved, self.api.leading)


@dataclass(slots=True)
class PineconeConnector:
    options: PineconeOptions
    control: Pinecone
    _opened: dict[str, Opened] = field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(MAX_BATCH_BYTES, rounds_integers=True)

    def describe(self, collection: str) -> Collection | None:
        self._forget(collection)
        opened = self._find(collection)
        return opened.index.collection if opened else None

    def count(self, collection: str) -> Counts:
        opened = self._open(collection)
        chosen = self.options.chosen
        found = opened.calls.send("stats", opened.api.stats)
        return {name: rows for name, rows in found.items() if chosen is None or name in chosen}

    def fingerprint(self, collection: str) -> Fingerprint:
        """Return a digest of the counts: Pinecone shows nothing else that changes with its data."""
        counts = json.dumps(self.count(collection), sort_keys=True)
        return Fingerprint(hashlib.sha256(counts.encode()).hexdigest(), "counts")

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        return partitions.partitions(collection, self.count(collection), self.options.id_prefixes, at_most)

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        yield from read.read(self._reading(part.collection), part, after, vectors)

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        return read.fetch(self._reading(collection), keys)

    def search(self, collection: str, wanted: Search) -> list[Hits]:
        return search.search(self._reading(collection), collection, wanted)

    def create(self, collection: Collection) -> None:
        self._forget(collection.name)
        opened = self._find(collection.name)
        if opened is None:
            control_plane.create(self.control, self._calls(), self.options, collection)
            opened = self._open(collection.name)
        if not collection.agrees_with(opened.index.collection):
            raise CollectionConflict(
                f"pinecone index {collection.name!r} exists and differs: it is {opened.index.collection}"
            )

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        return write.upsert(self._writing(collection), batch)

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        write.delete(self._writing(collection), keys)

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None:
        opened = self._open(collection)
        visible.settle(opened.api, opened.calls, expected, timeout_s)

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        """Yield nothing: Pinecone indexes as it goes."""
        yield from ()

    def drop(self, collection: str) -> None:
        self._forget(collection)
        opened = self._find(collection)
        if opened is not None:
            control_plane.drop(self.control, self._calls(), collection, opened.index)
            self._forget(collection)

    def close(self) -> None:
        for name in list(self._opened):
            self._forget(name)
        self.control.close()

    def _find(self, collection: str) -> Opened | None:
        if collection not in self._opened:
            index = control_plane.find(self.control, self._calls(), collection)
            if index is None:
                return None
            calls = Calls(index.host, collection)
            client = data_plane(self.options, index.host, grpc=self.options.transport == "grpc")
            opened = Opened(index, VectorsApi(client), calls)
            if control_plane.may_be_hybrid(index) and self._is_hybrid(opened):
                opened.index = control_plane.with_sparse(index)
            self._opened[collection] = opened
        return self._opened[collection]

    def _open(self, collection: str) -> Opened:
        opened = self._find(collection)
        if opened is None:
            raise CollectionNotFound(f"there is no pinecone index {collection!r}")
        return opened

    def _is_hybrid(self, opened: Opened) -> bool:
        if self.options.hybrid is not None:
            return self.options.hybrid
        reading = self._reading_of(opened)
        namespaces = sorted(opened.calls.send("stats", opened.api.stats))[:PEEKED]
        return any(each.sparse is not None for name in namespaces for each in read.first_records(reading, name))

    def _calls(self) -> Calls:
        return Calls(self.options.host or CONTROL_PLANE, self.options.index)

    def _reading(self, collection: str) -> Reading:
        return self._reading_of(self._open(collection))

    def _reading_of(self, opened: Opened) -> Reading:
        vectors = opened.index.collection.vectors
        size = METADATA_BYTES + sum(4 * each.dimensions for each in vectors)
        rows = self.options.page_rows or max(100, PAGE_BYTES // size)
        return Reading(opened.api, opened.calls, vectors, opened.encoding, rows)

    def _writing(self, collection: str) -> Writing:
        opened = self._open(collection)
        return Writing(opened.api, opened.calls, opened.index.collection.vectors, opened.encoding)

    def _forget(self, collection: str) -> None:
        opened = self._opened.pop(collection, None)
        if opened is not None:
            opened.calls.close()
            opened.api.close()
