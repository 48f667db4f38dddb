"""Small indexes and batches for the tests."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from tests.doubles.pinecone.server import Double
from tests.doubles.pinecone.store import Index, Record
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.session import data_plane
from vecmig.connectors.pinecone.client.vectors import VectorsApi
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.connectors.pinecone.records.metadata import Encoding
from vecmig.connectors.pinecone.records.write import Writing
from vecmig.model.batch import Key, RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.secret import Secret
from vecmig.model.state import Cursor

PLAIN = Collection("docs", (VectorField("", 3, "cosine"),), mark="vecmig:test")
TRANSPORTS = ("grpc", "rest")


def plant(
    double: Double,
    ids: Iterable[str],
    namespace: str = "",
    name: str = "docs",
    metadata: Mapping[str, Any] | None = None,
) -> Index:
    """Put records that nobody checked into an index, which is made if it is not there."""
    index = double.store.indexes.get(name) or double.store.plant(name, 3)
    vector = np.array([1, 2, 3], np.float32)
    index.put([Record(id, vector, metadata=dict(metadata or {})) for id in ids], namespace)
    return index


def batch(rows: Sequence[Mapping[str, Any]], collection: Collection = PLAIN) -> RecordBatch:
    """Return records; what a row leaves out is filled in, metadata may be an object or text."""
    filled = []
    for n, row in enumerate(rows):
        metadata = row.get("metadata", {})
        vectors = {f"vector:{v.name}": [1.0] * v.dimensions for v in collection.vectors if v.kind != "sparse"}
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        filled.append({"id": f"r{n}", "namespace": ""} | vectors | dict(row) | {"metadata": text})
    return RecordBatch(pa.RecordBatch.from_pylist(filled, schema_of(collection.vectors)))


@contextmanager
def impatient(double: Double, transport: str, patience_s: float = 1.0, timeout_s: float = 20.0) -> Iterator[Writing]:
    """Writing to an index of three dimensions, that gives up soon."""
    index = double.store.indexes.get("docs") or double.store.plant("docs", 3)
    options = PineconeOptions(Secret("test"), "docs")
    api = VectorsApi(data_plane(options, index.host, transport == "grpc", timeout_s))
    calls = Calls(index.host, "docs", patience_s)
    yield Writing(api, calls, PLAIN.vectors, Encoding())
    calls.close()
    api.close()


def pages(
    connector: PineconeConnector, index: str = "docs", at_most: int = 1, after: Cursor | None = None
) -> list[tuple[RecordBatch, Cursor]]:
    """Return what reading gives: all pages of all partitions; behind `after`, of which there is one."""
    return [page for part in connector.partitions(index, at_most) for page in connector.read(part, after)]


def keys(found: Iterable[tuple[RecordBatch, Cursor]]) -> list[Key]:
    return [key for page, _ in found for key in page.keys]


def ids(found: Iterable[tuple[RecordBatch, Cursor]]) -> list[str]:
    return [key.id for key in keys(found)]


def problems(found: Iterable[tuple[RecordBatch, Cursor]]) -> dict[str, str]:
    """Return the reasons of records that cannot be given whole, by id."""
    return {
        id: reason
        for page, _ in found
        if "problem" in page.names
        for id, reason in zip(page.strings("id"), page.table.column("problem").to_pylist(), strict=True)
        if reason is not None
    }


def asked(double: Double, *operations: str) -> int:
    """Return how many requests of these kinds there were; of none named: all."""
    return sum(each.operation in operations or not operations for each in double.requests)
