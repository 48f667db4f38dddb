"""Weaviate as a Target: each method finds the collection and hands over to the module that knows how."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.client.errors import ERRORS, translated
from vecmig.connectors.weaviate.client.proto import aggregate_pb2
from vecmig.connectors.weaviate.client.session import Session, connected
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.records import mend as mending
from vecmig.connectors.weaviate.records import read, search, write
from vecmig.connectors.weaviate.records import settle as queues
from vecmig.connectors.weaviate.records.metadata import encoding_of
from vecmig.connectors.weaviate.records.read import Reading
from vecmig.connectors.weaviate.records.send import Writing
from vecmig.connectors.weaviate.schema import aliases, names, settings, tenants
from vecmig.connectors.weaviate.schema import collection as schemas
from vecmig.connectors.weaviate.schema import switch as switching
from vecmig.errors import CollectionConflict, CollectionNotFound, ConnectorError, TransientError
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.collection import Collection
from vecmig.model.plan import Fingerprint, Partition
from vecmig.model.state import Cursor
from vecmig.protocols import Capabilities, Counts, Hits, IndexProgress, Search

MAX_BATCH_BYTES = 16 << 20  # of one upsert: several chunks, sent at once


def connect(options: WeaviateOptions) -> "WeaviateConnector":
    """Return a connector that has reached its server. Raises ConnectorError."""
    try:
        return WeaviateConnector(options, connected(options))
    except ERRORS as error:
        found = translated(error, f"weaviate at {options.place}")
        if isinstance(found, TransientError):
            found = TransientError(f"{found}; is the server up, and `url` its address?")
        raise found from error


@dataclass(slots=True)
class WeaviateConnector:
    options: WeaviateOptions
    session: Session
    _opened: dict[str, Writing] = field(default_factory=dict)  # collections as they were met

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(MAX_BATCH_BYTES, switches=self.session.has_aliases)

    def describe(self, collection: str) -> Collection | None:
        self._forget(collection)
        found = self._find(collection)
        return found.layout.collection if found else None

    def count(self, collection: str) -> Counts:
        opened = self._open(collection)
        layout, calls = opened.layout, opened.calls
        if not layout.has_tenants:
            rows = self._counted(opened, None)
            return {"": rows} if rows else {}
        counts = {names.namespace(each): self._counted(opened, each) for each in tenants.each_awake(calls, layout)}
        return {name: rows for name, rows in counts.items() if rows}

    def fingerprint(self, collection: str) -> Fingerprint:
        """Return a digest of the counts: Weaviate shows nothing else that changes with its data, and is cheap."""
        counts = json.dumps(self.count(collection), sort_keys=True)
        return Fingerprint(hashlib.sha256(counts.encode()).hexdigest(), "counts")

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        return read.partitions(collection, self.count(collection), at_most)

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        yield from read.read(self._reading(part.collection), part, after, vectors)

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        return read.fetch(self._reading(collection), keys)

    def search(self, collection: str, wanted: Search) -> list[Hits]:
        return search.search(self._reading(collection), collection, wanted)

    def create(self, collection: Collection) -> None:
        collection = self.options.complete(collection)
        self._forget(collection.name)
        found = self._find(collection.name)
        if found is None:
            schemas.create(Calls(self.session, collection.name), collection, self.session.has_aliases)
            found = self._open(collection.name)
            self._check_settings(collection)
        if not collection.agrees_with(found.layout.collection):
            raise CollectionConflict(
                f"weaviate collection {collection.name!r} exists and differs: it is {found.layout.collection}"
            )

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        return write.upsert(self._open(collection), batch)

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        write.delete(self._open(collection), keys)

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None:
        opened = self._open(collection)
        queues.settle(opened.calls, opened.layout, timeout_s)

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        """Change the settings that may change; yields nothing, for Weaviate indexes as it goes."""
        declared = self.options.complete(collection, self.describe(collection.name))
        opened = self._open(collection.name)
        actual = dict(opened.layout.collection.settings)
        if any(actual.get(key) != value for key, value in declared.settings):
            schemas.change(opened.calls, opened.layout, declared)
            self._forget(collection.name)
            self._check_settings(declared)
        yield from ()

    def mend(self, collection: str) -> Iterator[IndexProgress]:
        if self._open(collection).layout.collection.mark is not None:  # of another's, not all may be read
            yield from mending.mend(self._reading(collection), self._open(collection), self.count(collection))

    def switch(self, serving: str, build: str, kept: str) -> None:
        every = (serving, build, kept)
        for name in every:
            self._forget(name)
        found = (switching.Named(name, each.layout if (each := self._find(name)) else None) for name in every)
        try:
            switching.switch(Calls(self.session, serving), *found)
        finally:
            for name in every:
                self._forget(name)

    def hindrance(self, serving: str, build: str) -> str:
        self._forget(serving)
        found = self._find(serving)
        return switching.hindrance(switching.Named(serving, found.layout if found else None), serving, build)

    def drop(self, collection: str) -> None:
        self._forget(collection)
        found = self._find(collection)
        if found is None:
            aliases.remove_dangling(Calls(self.session, collection), names.class_name(collection))
        else:
            schemas.drop(found.calls, found.layout)
            self._forget(collection)

    def close(self) -> None:
        for name in list(self._opened):
            self._forget(name)
        self.session.close()

    def _check_settings(self, declared: Collection) -> None:
        """Raise ConnectorError for what the server left as it was."""
        if reasons := list(settings.unheeded(declared, self._open(declared.name).layout.collection)):
            raise ConnectorError(f"weaviate collection {declared.name!r}: {'; '.join(reasons)}")

    def _find(self, collection: str) -> Writing | None:
        if collection not in self._opened:
            calls = Calls(self.session, collection)
            layout = schemas.find(calls, collection, self.options.without)
            if layout is None:
                calls.close()
                return None
            self._opened[collection] = Writing(calls, layout, encoding_of(layout))
        return self._opened[collection]

    def _open(self, collection: str) -> Writing:
        found = self._find(collection)
        if found is None:
            raise CollectionNotFound(f"there is no weaviate collection {collection!r}")
        return found

    def _reading(self, collection: str) -> Reading:
        opened = self._open(collection)
        rows = self.options.page_rows or read.page_rows(opened.layout)
        return Reading(opened.calls, opened.layout, opened.encoding, rows)

    def _counted(self, opened: Writing, tenant: str | None) -> int:
        request = aggregate_pb2.AggregateRequest(
            collection=opened.layout.stored, tenant=tenant or None, objects_count=True
        )
        return int(opened.calls.grpc("count", "Aggregate", request).single_result.objects_count)

    def _forget(self, collection: str) -> None:
        found = self._opened.pop(collection, None)
        if found is not None:
            tenants.put_back(found.calls, found.layout, found.woken)
            found.calls.close()
