"""Collections in a dict: the reference for connectors, and the fake of every test."""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from msgspec import Meta, Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from vecmig.errors import CollectionConflict, CollectionNotFound
from vecmig.model.batch import Key, RecordBatch, Rejected, column_of, schema_of
from vecmig.model.collection import Collection, Metric
from vecmig.model.filter import matches
from vecmig.model.metadata import loads
from vecmig.model.plan import Cost, Fingerprint, Partition
from vecmig.model.state import Cursor
from vecmig.protocols import Capabilities, Counts, Footprint, Hits, IndexProgress, Search, Work


@dataclass(slots=True)
class Stored:
    collection: Collection
    records: dict[Key, pa.RecordBatch] = field(default_factory=dict)  # of one row each


_databases: dict[str, dict[str, Stored]] = {}  # by name: connections to one reach the same records, as to one server


class MemoryOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Collections that live as long as the process: for tests, and as the reference of connectors."""

    published: ClassVar[bool] = False  # not in schema.json

    collection: Annotated[str, Meta(description="Name of the collection.", examples=["docs"])]
    database: Annotated[str, Meta(description="Name of the dict that holds it.", examples=["test"])] = "default"
    page_rows: Annotated[int, Meta(ge=1, description="Records a page.", examples=[1000])] = 1000

    @property
    def label(self) -> str:
        return self.collection

    @property
    def place(self) -> str:
        return f"database {self.database}"

    def anchored(self, directory: str) -> "MemoryOptions":
        return self

    def beside(self, generation: int) -> "MemoryOptions":
        return replace(self, collection=f"{self.collection}__v{generation}")

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        return replace(declared, vectors=tuple(replace(vector, index=None) for vector in declared.vectors))

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        return ()

    def rewrites(self, declared: Collection, sample: "RecordBatch") -> Sequence[str]:
        return ()

    def rejects(self, declared: Collection, sample: "RecordBatch") -> Sequence[Rejected]:
        return ()

    def search_settings(self, declared: Collection) -> Sequence[str]:
        return ()

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        return Footprint()

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        return ()

    def open(self) -> "MemoryConnector":
        return MemoryConnector(self, _databases.setdefault(self.database, {}))

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        yield "memory", True, f"{len(_databases.get(self.database, {}))} collections"


@dataclass(frozen=True, slots=True)
class MemoryConnector:
    options: MemoryOptions
    database: dict[str, Stored]
    capabilities = Capabilities(max_batch_bytes=1 << 20, searchable=False, switches=True)

    def describe(self, collection: str) -> Collection | None:
        stored = self.database.get(collection)
        return stored.collection if stored else None

    def count(self, collection: str) -> Counts:
        return Counter(key.namespace for key in self._stored(collection).records)

    def fingerprint(self, collection: str) -> Fingerprint:
        stored = self._stored(collection)
        digest = hashlib.sha256()
        for key in sorted(stored.records):
            digest.update(repr((key, stored.records[key].to_pylist())).encode())
        return Fingerprint(digest.hexdigest(), "exact")

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        self._stored(collection)
        return [Partition(collection, f"{n}/{at_most}") for n in range(at_most)]

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        n, parts = map(int, part.token.split("/"))
        last = Key(*json.loads(after)) if after else None
        keys = [key for key in self._stored(part.collection).records if zlib.crc32(repr(key).encode()) % parts == n]
        rest = sorted(key for key in keys if last is None or key > last)
        for start in range(0, len(rest), self.options.page_rows):
            page = rest[start : start + self.options.page_rows]
            yield self._batch(part.collection, page, vectors), Cursor(json.dumps([page[-1].namespace, page[-1].id]))

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        return self._batch(collection, keys, vectors=None)

    def search(self, collection: str, search: Search) -> list[Hits]:
        stored = self._stored(collection)
        column = column_of(stored.collection.vector(search.vector))
        keys = [
            key
            for key, row in stored.records.items()
            if key.namespace == search.namespace
            and row.column(column).null_count == 0
            and (search.filter is None or matches(search.filter, loads(row.column("metadata")[0].as_py())))
        ]
        metric = stored.collection.vector(search.vector).metric
        distances = _distances(metric, search.queries, self.fetch(collection, keys).vectors(search.vector))
        nearest = distances.argsort(axis=1, kind="stable")[:, : search.k]
        return [Hits([keys[n] for n in row], each[row]) for row, each in zip(nearest, distances, strict=True)]

    def close(self) -> None: ...

    def create(self, collection: Collection) -> None:
        actual = self.database.setdefault(collection.name, Stored(collection)).collection
        if not collection.agrees_with(actual):
            raise CollectionConflict(f"{collection.name!r} exists and differs: {actual}")

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        stored = self._stored(collection)
        columns = [name for name in batch.names if name.startswith("vector:")]
        rows = {key: batch.table.slice(n, 1) for n, key in enumerate(batch.keys)}
        good = {key for key, row in rows.items() if all(np.isfinite(row.column(c).flatten()).all() for c in columns)}
        stored.records.update({key: rows[key] for key in rows if key in good})
        return [Rejected(key, "a vector holds NaN or infinity") for key in rows if key not in good]

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        for key in keys:
            self._stored(collection).records.pop(key, None)

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None: ...

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        yield from ()

    def mend(self, collection: str) -> Iterator[IndexProgress]:
        yield from ()

    def switch(self, serving: str, build: str, kept: str) -> None:
        new, old = self.database.get(build), self.database.get(serving)
        if new is None:
            if old is None or kept not in self.database:
                raise CollectionNotFound(f"no collection {build!r} to switch to")
            return  # done before
        if kept in self.database:
            raise CollectionConflict(f"{kept!r} is there, so what serves cannot get that name: drop it first")
        for each in (new, old):
            if each is not None and each.collection.mark is None:
                raise CollectionConflict(f"{each.collection.name!r} was not made by vecmig, so it is not switched")
        if old is not None:
            self.database[kept] = Stored(replace(old.collection, name=kept), old.records)
        self.database[serving] = Stored(replace(new.collection, name=serving), new.records)
        del self.database[build]

    def hindrance(self, serving: str, build: str) -> str:
        old = self.describe(serving)
        return f"{serving!r} was not made by vecmig, so it is not switched" if old and old.mark is None else ""

    def drop(self, collection: str) -> None:
        actual = self.describe(collection)
        if actual and actual.mark is None:
            raise CollectionConflict(f"{collection!r} was not made by vecmig, so it stays")
        self.database.pop(collection, None)

    def _stored(self, collection: str) -> Stored:
        if collection not in self.database:
            raise CollectionNotFound(f"no collection {collection!r}")
        return self.database[collection]

    def _batch(self, collection: str, keys: Sequence[Key], vectors: Sequence[str] | None) -> RecordBatch:
        stored = self._stored(collection)
        schema = schema_of(v for v in stored.collection.vectors if vectors is None or v.name in vectors)
        rows = [stored.records[key].select(schema.names).cast(schema) for key in keys if key in stored.records]
        return RecordBatch(pa.concat_batches([pa.RecordBatch.from_pylist([], schema), *rows]))


def _distances(metric: Metric, queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (q, n) distances of queries (q, d) and vectors (n, d)."""
    distances: NDArray[np.float32] = -queries @ vectors.T
    if metric == "cosine":
        distances = 1 + distances / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(vectors, axis=1)
    elif metric in ("l2", "l1"):
        distances = np.linalg.norm(queries[:, None] - vectors, ord=int(metric[1]), axis=2)
    elif metric == "hamming":
        distances = (queries[:, None] != vectors).sum(axis=2)
    return distances
