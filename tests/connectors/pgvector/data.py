"""Small collections and batches for the tests."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.metadata import loads

PLAIN = Collection("docs", (VectorField("", 3, "cosine"),), mark="vecmig:test")


def with_fields(*fields: Field) -> Collection:
    return Collection("docs", PLAIN.vectors, fields, "vecmig:test")


def batch(rows: Sequence[Mapping[str, Any]], collection: Collection = PLAIN) -> RecordBatch:
    """Return records; what a row leaves out is filled in, metadata may be an object or text."""
    filled = []
    for n, row in enumerate(rows):
        metadata = row.get("metadata", {})
        vectors = {f"vector:{v.name}": [1.0] * v.dimensions for v in collection.vectors if v.kind != "sparse"}
        defaults = {"id": f"r{n}", "namespace": ""} | vectors
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        filled.append(defaults | dict(row) | {"metadata": text})
    return RecordBatch(pa.RecordBatch.from_pylist(filled, schema_of(collection.vectors)))


def read_all(connector: PgvectorConnector, table: str, at_most: int = 1) -> dict[str, dict[str, Any]]:
    """Return the metadata of each record by id; a record with a problem has that instead."""
    found = {}
    for part in connector.partitions(table, at_most):
        for page, _ in connector.read(part, None):
            problems = page.strings("problem") if "problem" in page.names else [None] * len(page)
            for key, text, problem in zip(page.keys, page.strings("metadata"), problems, strict=True):
                assert key.id not in found, "read twice"
                found[key.id] = {"problem": problem} if problem else loads(text)
    return found


def vectors_of(connector: PgvectorConnector, table: str, name: str = "") -> np.ndarray[Any, Any]:
    (part,) = connector.partitions(table, 1)
    return np.concatenate([page.vectors(name) for page, _ in connector.read(part, None)])
