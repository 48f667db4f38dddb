"""Pinecone as a Target: each method finds the index and hands over to the module that knows how."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from pinecone import Pinecone

from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.opening import Opened, opened
from vecmig.connectors.pinecone.client.session import control_plane as connected
from vecmig.connectors.pinecone.options import CONTROL_PLANE, PineconeOptions
from vecmig.connectors.pinecone.records import partitions, read, search, visible, write
from vecmig.connectors.pinecone.records.read import Reading
from vecmig.connectors.pinecone.schema import index as control_plane
from vecmig.connectors.pinecone.schema import probe
from vecmig.connectors.pinecone.schema.fields import DENSE, SPARSE
from vecmig.errors import CollectionConflict, CollectionNotFound, UnsupportedError
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.collection import Collection
from vecmig.model.filter import fields_of
from vecmig.model.plan import Fingerprint, Partition
from vecmig.model.state import Cursor
from vecmig.protocols import Capabilities, Counts, Hits, IndexProgress, Search

MAX_BATCH_BYTES = 8 << 20  # of one upsert: as many requests as are sent at once


def connect(options: PineconeOptions) -> "PineconeConnector":
    """Return a connector. Raises ConnectorError for a key that cannot be one."""
    return PineconeConnector(options, connected(options))


@dataclass(slots=True)
class PineconeConnector:
    options: PineconeOptions
    control: Pinecone
    _opened: dict[str, Opened] = field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(MAX_BATCH_BYTES, rounds_integers=True, shows_late=True)

    def describe(self, collection: str) -> Collection | None:
        self._forget(collection)
        found = self._find(collection)
        if found is None:
            return None
        self._check_kind(found)
        return found.index.collection

    def count(self, collection: str) -> Counts:
        found = self._open(collection)
        chosen = self.options.chosen
        # a namespace that was written just now may be in one of both only; one that is asked for, and is in none, is shown
        known = found.calls.send("namespaces", found.api.namespaces) | found.calls.send("stats", found.api.stats)
        return known if chosen is None else {name: known.get(name, 0) for name in sorted(chosen)}

    def fingerprint(self, collection: str) -> Fingerprint:
        """Return a digest of the counts: Pinecone shows nothing else that changes with its data."""
        counts = json.dumps(self.count(collection), sort_keys=True)
        return Fingerprint(hashlib.sha256(counts.encode()).hexdigest(), "counts")

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        counts, prefixes = self.count(collection), self.options.id_prefixes
        read.check_prefixes(self._reading(collection), counts, prefixes)
        return partitions.partitions(collection, counts, prefixes, at_most)

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        yield from read.read(self._reading(part.collection), part, after, vectors)

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        return read.fetch(self._reading(collection), keys)

    def search(self, collection: str, wanted: Search) -> list[Hits]:
        fields = self._open(collection).index.collection.fields
        texts = {each.name for each in fields if each.search}
        if wanted.filter is not None and not wanted.exact and (found := fields_of(wanted.filter) & texts):
            raise UnsupportedError(
                f"`{min(found)}` is indexed for full-text search, and Pinecone filters by no such field: filter by another"
            )
        return search.search(self._reading(collection), collection, wanted)

    def create(self, collection: Collection) -> None:
        self._forget(collection.name)
        found = self._find(collection.name)
        if found is None:
            control_plane.create(self.control, self._calls(), self.options, collection)
            found = self._open(collection.name)
        self._check_kind(found)
        if not collection.agrees_with(found.index.collection):
            raise CollectionConflict(
                f"pinecone index {collection.name!r} exists and differs: it is {found.index.collection}"
            )
        self._probe(found)

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        return write.upsert(self._open(collection).writing, batch)

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        write.delete(self._open(collection).writing, keys)

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None:
        found = self._open(collection)
        visible.settle(found.api, found.calls, expected, timeout_s)

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        """Yield nothing: Pinecone indexes as it goes."""
        yield from ()

    def mend(self, collection: str) -> Iterator[IndexProgress]:
        yield from ()

    def switch(self, serving: str, build: str, kept: str) -> None:
        raise UnsupportedError(self.hindrance(serving, build))

    def hindrance(self, serving: str, build: str) -> str:
        return (
            f"Pinecone has no name that could be given to another index: let the application read {build!r} instead of"
            f" {serving!r}"
        )

    def drop(self, collection: str) -> None:
        self._forget(collection)
        found = self._find(collection)
        if found is not None:
            control_plane.drop(self.control, self._calls(), collection, found.index)
            self._forget(collection)

    def close(self) -> None:
        for name in list(self._opened):
            self._forget(name)
        self.control.close()

    def _find(self, collection: str) -> Opened | None:
        if collection not in self._opened:
            found = opened(self.options, self.control, self._calls(), collection)
            if found is None:
                return None
            self._opened[collection] = found
        return self._opened[collection]

    def _open(self, collection: str) -> Opened:
        found = self._find(collection)
        if found is None:
            raise CollectionNotFound(f"there is no pinecone index {collection!r}")
        return found

    def _check_kind(self, found: Opened) -> None:
        if self.options.kind not in (None, found.index.kind):
            raise CollectionConflict(
                f"pinecone index {found.index.collection.name!r} exists and is one of `kind: {found.index.kind}`, which"
                " cannot be changed: leave `kind` out, or name another index"
            )

    def _probe(self, found: Opened) -> None:
        """Raise UnsupportedError where a new hybrid vector index keeps no sparse values; remove it, for it holds none."""
        index, name = found.index, found.index.collection.name
        if index.kind != "vectors" or not index.made_by_vecmig or not index.fields.keys() >= {DENSE, SPARSE}:
            return
        if not probe.is_needed(found.api, found.calls) or probe.keeps_sparse(
            found.api, found.calls, index.fields[DENSE].dimensions
        ):
            return
        if not index.deletion_protected:
            control_plane.remove(self.control, self._calls(), name)
            self._forget(name)
        kept = " (it is still there, empty and protected: delete it in Pinecone)" if index.deletion_protected else ""
        raise UnsupportedError(
            f"pinecone index {name!r} was made with `kind: vectors` and keeps no sparse values beside the dense vector:"
            f" say `kind: documents`, or choose one of both with `vectors`{kept}"
        )

    def _calls(self) -> Calls:
        return Calls(self.options.host or CONTROL_PLANE, self.options.index)

    def _reading(self, collection: str) -> Reading:
        return self._open(collection).reading(self.options.page_rows)

    def _forget(self, collection: str) -> None:
        found = self._opened.pop(collection, None)
        if found is not None:
            found.close()
