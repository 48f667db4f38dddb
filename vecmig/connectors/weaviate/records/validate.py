"""What a collection cannot hold, found before it is sent: the server takes NaN, and drops what it has no place for."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecmig.connectors.weaviate.limits import MAX_DIMENSIONS
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.connectors.weaviate.schema.names import tenant
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import VectorField

Reasons = dict[int, str]  # by row


def problems(vectors: Iterable[VectorField], batch: RecordBatch, *, has_tenants: bool, has_id: bool) -> Reasons:
    """Return why rows cannot be held; the first reason of each. `has_id`: there is a property for ids that are no UUIDs."""
    reasons: Reasons = {}
    for found in (_ids(batch, has_id), _namespaces(batch, has_tenants), _vectors(vectors, batch)):
        for row, reason in found.items():
            reasons.setdefault(row, reason)
    return reasons


def _ids(batch: RecordBatch, has_id: bool) -> Reasons:
    reasons: Reasons = {}
    seen: dict[tuple[str, str], str] = {}
    for row, (namespace, id) in enumerate(zip(batch.strings("namespace"), batch.strings("id"), strict=True)):
        uuid = stored(namespace, id)
        if not id:
            reasons[row] = "its id is empty"
        elif uuid != id and not has_id:
            reasons[row] = "its id is no UUID, and the collection, which vecmig did not make, has no property for it"
        elif seen.setdefault((namespace, uuid), id) != id:
            reasons[row] = "another record of the batch has the same UUID"
    return reasons


def _namespaces(batch: RecordBatch, has_tenants: bool) -> Reasons:
    bad: dict[str, str] = {}
    for name in pc.unique(batch.table.column("namespace")).to_pylist():
        if not has_tenants:
            if name:
                bad[name] = "it has a namespace, and the collection no tenants: say `tenants: true` for a new one"
            continue
        try:
            tenant(name)
        except ValueError as error:
            bad[name] = str(error)
    if not bad:
        return {}
    return {row: bad[name] for row, name in enumerate(batch.strings("namespace")) if name in bad}


def _vectors(vectors: Iterable[VectorField], batch: RecordBatch) -> Reasons:
    reasons: Reasons = {}
    known = {f"vector:{field.name}": field for field in vectors}
    for name in batch.names:
        if not name.startswith(("vector:", "sparse:")):
            continue
        column: pa.Array = batch.table.column(name)
        label = name.partition(":")[2]
        what = f"vector `{label}`" if label else "its vector"
        field = known.get(name)
        if field is None:
            unknown = f"a vector `{label}`" if label else "a vector"
            for row in pc.indices_nonzero(column.is_valid()).to_pylist():
                reasons.setdefault(row, f"it has {unknown}, and the collection no place for it")
            continue
        rows, matrix = batch.present_vectors(label)
        wrong = ""
        if matrix.shape[1] > MAX_DIMENSIONS:
            wrong = f"{what} has {matrix.shape[1]:,} dimensions, Weaviate takes {MAX_DIMENSIONS:,}"
        elif field.dimensions and matrix.shape[1] != field.dimensions:
            wrong = f"{what} has {matrix.shape[1]:,} dimensions, the collection's {field.dimensions:,}"
        if wrong:
            for row in rows.tolist():
                reasons.setdefault(row, wrong)
            continue
        for row in rows[~np.isfinite(matrix).all(axis=1)].tolist():
            reasons.setdefault(row, f"{what} holds NaN or infinity")
    return reasons
