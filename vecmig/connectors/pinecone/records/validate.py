"""What an index cannot hold, found before it is sent: the service refuses a request, and names no record of it."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.connectors.pinecone.client.api import Slots
from vecmig.connectors.pinecone.limits import MAX_ID, MAX_NAMESPACE, MAX_NONZERO
from vecmig.connectors.pinecone.records.ids import stored
from vecmig.model.batch import RecordBatch, column_of
from vecmig.model.collection import VectorField

Reasons = dict[int, str]  # by row
DEFAULT = "__default__"


def problems(slots: Slots, batch: RecordBatch) -> Reasons:
    """Return why rows cannot be held; the first reason of each."""
    reasons: Reasons = {}
    for found in (_ids(batch), _namespaces(batch), _vectors(slots, batch)):
        for row, reason in found.items():
            reasons.setdefault(row, reason)
    return reasons


def _ids(batch: RecordBatch) -> Mapping[int, str]:
    reasons: Reasons = {}
    for row, id in enumerate(batch.strings("id")):
        if not id:
            reasons[row] = "its id is empty"
        elif len(name := stored(id)) > MAX_ID:
            as_ascii = "" if name == id else " when it is written in ASCII"
            reasons[row] = f"its id has {len(name):,} characters{as_ascii}, Pinecone takes {MAX_ID}"
    return reasons


def _namespaces(batch: RecordBatch) -> Mapping[int, str]:
    column = batch.table.column("namespace")
    bad: dict[str, str] = {}
    for name in pc.unique(column).to_pylist():
        if name == DEFAULT:
            bad[name] = f"its namespace is {DEFAULT!r}, and Pinecone means the default one, '', by that"
        elif name and not name.strip():
            bad[name] = "its namespace is blank, which Pinecone's SDK refuses: choose another with `namespace_from`"
        elif len(name) > MAX_NAMESPACE:
            bad[name] = f"its namespace has {len(name):,} characters, Pinecone takes {MAX_NAMESPACE}"
        elif not name.isascii() or "\0" in name:
            bad[name] = (
                "its namespace is not ASCII, and Pinecone takes nothing else: choose another with `namespace_from`"
            )
    if not bad:
        return {}
    return {row: bad[name] for row, name in enumerate(batch.strings("namespace")) if name in bad}


def _vectors(slots: Slots, batch: RecordBatch) -> Mapping[int, str]:
    reasons: Reasons = {}
    known = [vector for vector in (slots.dense, slots.sparse) if vector is not None]
    names = {column_of(vector) for vector in known}
    for name in batch.names:
        if name.startswith(("vector:", "sparse:")) and name not in names:
            for row in _rows(batch.table.column(name).is_valid()):
                reasons[row] = f"it has a vector `{name.partition(':')[2]}`, and the index no place for it"
    if slots.dense is not None:
        reasons |= _dense(slots.dense, batch)
    if slots.sparse is not None:
        reasons |= _sparse(slots.sparse, batch, required=slots.dense is None)
    return reasons


def _dense(vector: VectorField, batch: RecordBatch) -> Reasons:
    what = f"vector `{vector.name}`" if vector.name else "its vector"
    if column_of(vector) not in batch.names:
        return dict.fromkeys(range(len(batch)), f"it has no vector{f' `{vector.name}`' * bool(vector.name)}")
    missing = pc.invert(batch.table.column(column_of(vector)).is_valid())
    reasons = dict.fromkeys(_rows(missing), "it has no vector, and Pinecone holds no record without one")
    rows, vectors = batch.present_vectors(vector.name)
    if vectors.shape[1] != vector.dimensions:
        wrong = f"{what} has {vectors.shape[1]:,} dimensions, the index's {vector.dimensions:,}"
        return reasons | dict.fromkeys(rows.tolist(), wrong)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.abs(vectors).sum(axis=1)
    _at(reasons, rows, sums == 0, f"{what} is zero, and Pinecone takes none without a direction")
    odd = ~np.isfinite(sums)
    if odd.any():  # a sum may overflow though each component is finite
        odd[odd] = ~np.isfinite(vectors[odd]).all(axis=1)
        _at(reasons, rows, odd, f"{what} holds NaN or infinity")
    return reasons


def _sparse(vector: VectorField, batch: RecordBatch, required: bool) -> Reasons:
    what = f"sparse vector `{vector.name}`" if vector.name else "its sparse vector"
    empty = f"{what} has no value other than 0, and Pinecone takes none without one"
    if column_of(vector) not in batch.names:
        return dict.fromkeys(range(len(batch)), "it has no sparse vector") if required else {}
    column: pa.StructArray = batch.table.column(column_of(vector))
    valid = column.is_valid()
    reasons: Reasons = {}
    if required:
        reasons |= dict.fromkeys(
            _rows(pc.invert(valid)), "it has no sparse vector, and Pinecone holds no record without one"
        )
    rows = np.flatnonzero(valid.to_numpy(zero_copy_only=False))
    kept = column.filter(valid)
    counts = pc.list_value_length(kept.field("indices")).to_numpy(zero_copy_only=False)
    values = kept.field("values").flatten().to_numpy(zero_copy_only=False)
    _at(reasons, rows, counts == 0, empty)
    _at(reasons, rows, counts > MAX_NONZERO, f"{what} has more than {MAX_NONZERO:,} values other than 0")
    of_row = np.repeat(np.arange(len(rows)), counts)
    for row in rows[np.unique(of_row[~np.isfinite(values)])].tolist():
        reasons.setdefault(row, f"{what} holds NaN or infinity")
    return reasons


def _at(reasons: Reasons, rows: NDArray[np.intp], bad: NDArray[np.bool_], reason: str) -> None:
    for row in rows[bad].tolist():
        reasons.setdefault(row, reason)


def _rows(where: pa.BooleanArray) -> list[int]:
    rows: list[int] = pc.indices_nonzero(where).to_pylist()
    return rows
