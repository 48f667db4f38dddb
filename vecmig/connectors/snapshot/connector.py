"""The snapshot connector: a directory of Parquet files as a source and a target."""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

import msgspec
import numpy as np
import pyarrow as pa

from vecmig.connectors.snapshot import dataset, finish, foreign, native, parts
from vecmig.connectors.snapshot import manifest as manifests
from vecmig.connectors.snapshot.options import MIB, SnapshotOptions
from vecmig.connectors.snapshot.store import TEMPORARY, Store, listed, matching, open_store, put, remove
from vecmig.errors import CollectionConflict, CollectionNotFound, UnsupportedError
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection
from vecmig.model.metadata import canonical
from vecmig.model.plan import Fingerprint, Partition
from vecmig.model.record import Key, Rejected
from vecmig.model.state import Cursor
from vecmig.nearest import nearest
from vecmig.protocols import Capabilities, Counts, Hits, IndexProgress, Search


class SnapshotConnector:
    """A Target (see protocols.py). `collection` is the path."""

    def __init__(self, options: SnapshotOptions) -> None:
        self._options = options
        self._known: dict[str, native.Native] = {}

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self._options.part_mib * MIB, searchable=False, keeps_cursors=False)

    def describe(self, collection: str) -> Collection | None:
        store = open_store(collection)
        manifest = manifests.load(store)
        if manifest is not None:
            return manifest.collection(collection)
        base, files = matching(store)
        return foreign.load(base, collection, files, self._options).collection if files else None

    def count(self, collection: str) -> Counts:
        return self._dataset(collection).counts()

    def fingerprint(self, collection: str) -> Fingerprint:
        data = self._dataset(collection)
        entries = [*data.files, *(data.deletions if isinstance(data, native.Native) else ())]
        seen = hashlib.sha256(repr((data.collection, entries)).encode()).hexdigest()
        return Fingerprint(seen, "exact" if all(entry.exact for entry in entries) else "counters")

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        return dataset.partitions(self._dataset(collection), at_most)

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        data = self._dataset(part.collection)
        yield from dataset.read(data, part.token, after, vectors, self._options.page_rows)

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        return dataset.fetch(self._dataset(collection), keys)

    def search(self, collection: str, search: Search) -> list[Hits]:
        data = self._dataset(collection)
        pages = dataset.read(data, dataset.whole(data), None, [search.vector], None)
        return nearest((page for page, _ in pages), data.collection.vector(search.vector), search)

    def close(self) -> None:
        self._known.clear()

    def create(self, collection: Collection) -> None:
        store = open_store(collection.name)
        manifest = manifests.load(store)
        if manifest is not None:
            actual = manifest.collection(collection.name)
            if not collection.agrees_with(actual):
                raise CollectionConflict(f"{collection.name!r} exists and differs: {actual}")
            return
        others = [entry.name for entry in listed(store) or () if not entry.name.startswith(TEMPORARY)]
        if others or matching(store)[1]:
            raise CollectionConflict(
                f"{collection.name!r} holds {', '.join(others[:3]) or 'files'}, which vecmig did not make: give the path "
                "of an empty directory, or of none"
            )
        manifests.save(store, manifests.manifest_of(collection))

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        store, manifest = self._writable(collection)
        batch = RecordBatch(parts.as_schema(batch.table, schema_of(manifest.vectors)))
        number = self._next(store, manifest)
        rejected = _not_finite(batch)
        try:
            part, content = parts.part_of(_without(batch, rejected), number)
        except ValueError:  # looked at one by one only now: checking costs as much as hashing
            rejected = [*rejected, *_not_json(_without(batch, rejected))]
            part, content = parts.part_of(_without(batch, rejected), number)
        if part.rows:
            put(store, part.name, content)
        return rejected

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        store, manifest = self._writable(collection)
        if not keys:
            return
        table = pa.record_batch(
            {
                "id": pa.array([key.id for key in keys], pa.string()),
                "namespace": pa.array([key.namespace for key in keys], pa.string()),
            }
        )
        content = hashlib.sha256(msgspec.json.encode(sorted(keys))).hexdigest()[:32]
        name = parts.part_name(self._next(store, manifest), content, deletion=True)
        put(store, name, parts.encoded(table, {"rows": len(keys)}))

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None:
        self._finish(collection)

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        self._finish(collection.name)
        yield from ()

    def mend(self, collection: str) -> Iterator[IndexProgress]:
        yield from ()

    def switch(self, serving: str, build: str, kept: str) -> None:
        raise UnsupportedError(self.hindrance(serving, build))

    def hindrance(self, serving: str, build: str) -> str:
        return f"two directories cannot change their names in one step: let the application read {build} instead of {serving}"

    def drop(self, collection: str) -> None:
        store = open_store(collection)
        manifest = manifests.load(store)
        if manifest is None:
            if matching(store)[1]:
                raise CollectionConflict(f"{collection!r} was not made by vecmig, so it stays")
            return
        if manifest.mark is None:
            raise CollectionConflict(f"{collection!r} was not made by vecmig, so it stays")
        for entry in listed(store, parts.DIRECTORY) or ():
            if parts.is_part(entry.name) or parts.is_deletion(entry.name):
                remove(store, entry.name)
        remove(store, manifests.NAME)  # last: a drop that was cut short can be repeated
        for directory in (parts.DIRECTORY, ""):
            with suppress(OSError):  # it holds something else, which stays
                store.fs.rmdir(store.path(directory))

    def _dataset(self, collection: str) -> native.Native | foreign.Foreign:
        store = open_store(collection)
        manifest = manifests.load(store)
        if manifest is not None:
            data = native.load(store, collection, manifest, self._known.get(collection))
            self._known[collection] = data
            return data
        base, files = matching(store)
        if not files:
            raise CollectionNotFound(f"{collection!r} holds no snapshot and no Parquet files")
        return foreign.load(base, collection, files, self._options)

    def _writable(self, collection: str) -> tuple[Store, manifests.Manifest]:
        store = open_store(collection)
        manifest = manifests.load(store)
        if manifest is None:
            if matching(store)[1]:
                raise CollectionConflict(f"{collection!r} was not made by vecmig: it is only read")
            raise CollectionNotFound(f"{collection!r} holds no snapshot")
        return store, manifest

    def _next(self, store: Store, manifest: manifests.Manifest) -> int:
        """Return a number above that of every file: what is written now replaces what was written before."""
        names = [*(entry.name for entry in listed(store, parts.DIRECTORY) or ()), *manifest.replaced]
        return max(map(parts.generation, names), default=0) + 1

    def _finish(self, collection: str) -> None:
        data = self._dataset(collection)
        if isinstance(data, native.Native):
            finish.sweep(data)
            if not data.finished:
                finish.finish(data)


def _without(batch: RecordBatch, rejected: Sequence[Rejected]) -> RecordBatch:
    bad = {each.key for each in rejected}
    return batch.take([row for row, key in enumerate(batch.keys) if key not in bad]) if bad else batch


def _not_finite(batch: RecordBatch) -> list[Rejected]:
    bad: set[int] = set()
    for name in (each.removeprefix("vector:") for each in batch.names if each.startswith("vector:")):
        rows, vectors = batch.present_vectors(name)
        # in doubles the sum of finite floats cannot overflow, so one pass tells
        bad.update(rows[~np.isfinite(vectors.sum(axis=1, dtype=np.float64))].tolist())
    return [Rejected(key, "a vector holds NaN or infinity") for key in batch.take(sorted(bad)).keys] if bad else []


def _not_json(batch: RecordBatch) -> list[Rejected]:
    rejected = []
    for row, text in enumerate(batch.bytes_of("metadata")):
        try:
            canonical(text)
        except ValueError as error:
            (key,) = batch.slice(row, 1).keys
            rejected.append(Rejected(key, f"the metadata cannot be stored: {error}"))
    return rejected
