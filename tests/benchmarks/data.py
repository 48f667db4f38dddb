"""Records made on the spot, and the stores that the benchmarks move them between."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import Collection, VectorField

DIMENSIONS = 1536
CHUNK = 1_000


def chunks(rows: int, dimensions: int = DIMENSIONS) -> Iterator[RecordBatch]:
    """Yield records with unit vectors and about 250 bytes of metadata each; the same ones every time."""
    random = np.random.default_rng(7)
    text = "the quick brown fox jumps over the lazy dog and goes on to say so " * 3
    for start in range(0, rows, CHUNK):
        numbers = range(start, min(start + CHUNK, rows))
        vectors = random.standard_normal((len(numbers), dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        columns = {
            "id": pa.array([f"doc-{n:08d}" for n in numbers], pa.string()),
            "namespace": pa.array([""] * len(numbers), pa.string()),
            "metadata": pa.array([f'{{"n": {n}, "lang": "en", "text": "{text}"}}' for n in numbers], pa.string()),
            "vector:": vector_column(vectors),
        }
        yield RecordBatch(pa.RecordBatch.from_pydict(columns))


def snapshot(path: Path, rows: int, dimensions: int = DIMENSIONS) -> SnapshotOptions:
    """Write a snapshot of that many records, in parts of some 50 MB, if it is not there; return its options."""
    options = SnapshotOptions(str(path))
    if (path / "manifest.json").exists():
        return options
    collection = Collection(options.collection, (VectorField("", dimensions, "cosine"),), mark="benchmark")
    with closing(options.open()) as store:
        store.create(collection)
        pages: list[pa.RecordBatch] = []
        for batch in chunks(rows, dimensions):
            pages.append(batch.table)
            if len(pages) == 8:
                store.upsert(collection.name, RecordBatch(pa.concat_batches(pages)))
                pages = []
        if pages:
            store.upsert(collection.name, RecordBatch(pa.concat_batches(pages)))
        list(store.build_index(collection))
    return options
