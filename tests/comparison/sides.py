"""Two collections in memory, and what lies about them."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

import numpy as np
import pyarrow as pa

from vecmig.comparison.reading import Pages, Side, stored
from vecmig.connectors.memory import MemoryOptions
from vecmig.model.batch import RecordBatch, schema_of, vector_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Partition
from vecmig.model.record import Key
from vecmig.protocols import Source

DIMENSIONS = 4
COLLECTION = Collection("docs", (VectorField("", DIMENSIONS, "l2"),), mark="vecmig:test")


def records(count: int, namespace: str = "", start: int = 0, metadata: str = '{{"n": {n}}}') -> RecordBatch:
    """Return records d0, d1, …; vectors differ, and two lie the closer the nearer their numbers."""
    numbers = np.arange(start, start + count)
    vectors = np.random.default_rng(7).normal(size=(start + count, DIMENSIONS)).astype(np.float32)[start:]
    vectors[:, 0] = numbers
    columns = {
        "id": pa.array([f"d{n}" for n in numbers], pa.string()),
        "namespace": pa.array([namespace] * count, pa.string()),
        "metadata": pa.array([metadata.format(n=n) for n in numbers], pa.string()),
        "vector:": vector_column(vectors),
    }
    return RecordBatch(pa.RecordBatch.from_pydict(columns, schema=schema_of(COLLECTION.vectors)))


def database(*batches: RecordBatch, page_rows: int = 7) -> MemoryOptions:
    """Return a collection that holds these records."""
    options = MemoryOptions(COLLECTION.name, database=uuid4().hex, page_rows=page_rows)
    connector = options.open()
    connector.create(COLLECTION)
    for batch in batches:
        assert not connector.upsert(COLLECTION.name, batch)
    return options


def sides(
    source: MemoryOptions,
    target: MemoryOptions,
    workers: int = 2,
    source_pages: Pages = stored,
    target_pages: Pages = stored,
    fetch: bool = False,
) -> tuple[Side, Side]:
    def parts(options: MemoryOptions) -> tuple[Partition, ...]:
        return tuple(options.open().partitions(COLLECTION.name, 3))

    def by_key(store: Source, keys: Sequence[Key]) -> RecordBatch:
        return store.fetch(COLLECTION.name, keys)

    first = Side(
        "source", COLLECTION.name, source.open, parts(source), source_pages, by_key if fetch else None, workers
    )
    return first, Side("target", COLLECTION.name, target.open, parts(target), target_pages, None, workers)


def twice(source: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
    """Give each first page of a partition a second time, as a source with broken paging does."""
    first = True
    for page in stored(source, part, vectors):
        yield page
        if first:
            yield page.slice(0, 1)
            first = False
