"""What a table cannot hold, found before it is sent: a server names no row of a COPY."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.connectors.pgvector.limits import MAX_NONZERO
from vecmig.connectors.pgvector.records.columns import Reasons
from vecmig.connectors.pgvector.records.encode import MAX_SPARSE_DIMENSIONS
from vecmig.connectors.pgvector.records.keys import TEXTS, fits, id_parts
from vecmig.connectors.pgvector.schema.table import Table, Vector
from vecmig.model.batch import RecordBatch, column_of

MAX_KEY_BYTES = 2_600  # an entry of a B-tree: 2,704 bytes, with its header and the lengths of both texts
MAX_METADATA_BYTES = 250_000_000  # jsonb keeps lengths and offsets in 28 bits
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE = re.compile(rb"(?<!\\)(?:\\\\)*\\u([dD][89a-fA-F][0-9a-fA-F]{2})")


def problems(table: Table, batch: RecordBatch) -> Reasons:
    """Return why rows cannot be held; the first reason of each."""
    reasons: Reasons = {}
    vectors = (_vectors(vector, batch) for vector in table.vectors)
    for found in (_keys(table, batch), _metadata(batch), *vectors, _without_column(table, batch)):
        for row, reason in found.items():
            reasons.setdefault(row, reason)
    return reasons


def _keys(table: Table, batch: RecordBatch) -> Reasons:
    id, namespace = (batch.table.column(name) for name in ("id", "namespace"))
    reasons: Reasons = {}
    size = pc.add(pc.binary_length(id), pc.binary_length(namespace))
    _mark(reasons, pc.equal(pc.binary_length(id), 0), "its id is empty")
    for row in _rows(pc.greater(size, MAX_KEY_BYTES)):
        reasons[row] = f"id and namespace have {size[row].as_py():,} bytes, an index entry holds {MAX_KEY_BYTES:,}"
    for name, column in (("id", id), ("namespace", namespace)):
        _mark(
            reasons,
            pc.match_substring(column, "\0"),
            f"its {name} holds a NUL character, which PostgreSQL cannot store",
        )
    if table.namespace is None:
        _mark(
            reasons,
            pc.not_equal(namespace, ""),
            "it has a namespace, and the table no column for it (`columns.namespace`)",
        )
    elif table.namespace.type not in TEXTS:
        for row, text in enumerate(batch.strings("namespace")):
            if not fits(table.namespace, text):
                reasons[row] = f"its namespace is no {table.namespace.type}, as column `{table.namespace.name}` holds"
    if len(table.id) > 1 or table.id[0].type not in TEXTS:
        types = ", ".join(f"`{column.name}` {column.type}" for column in table.id)
        for row, text in enumerate(batch.strings("id")):
            if id_parts(table, text) is None:
                reasons[row] = f"its id does not fit the key of the table: {types}"
    return reasons


def _metadata(batch: RecordBatch) -> Reasons:
    column = batch.table.column("metadata")
    reasons: Reasons = {}
    size = pc.binary_length(column)
    _mark(
        reasons,
        pc.greater(size, MAX_METADATA_BYTES),
        f"its metadata has more than {MAX_METADATA_BYTES:,} bytes, more than jsonb holds",
    )
    # all texts at once, for nearly always there is nothing to be found
    whole, starts = _bytes(column)
    if (np.frombuffer(whole, np.uint8)[starts] != ord("{")).any():
        no_object = pc.invert(pc.starts_with(pc.utf8_ltrim_whitespace(column), "{"))
        _mark(reasons, no_object, "its metadata is no JSON object")
    if b"\0" in whole:
        _mark(
            reasons,
            pc.match_substring(column, "\0"),
            "its metadata holds a NUL character, which PostgreSQL cannot store",
        )
    if b"\\u" in whole:  # seldom: JSON writes most characters as they are
        for row in _rows(pc.match_substring(column, "\\u")):
            text = column[row].as_py().encode()
            if _ESCAPED_NUL.search(text):
                reasons[row] = "its metadata holds a NUL character (\\u0000), which PostgreSQL cannot store"
            elif _has_lone_surrogate(text):
                reasons[row] = "its metadata holds half of a surrogate pair, which is no Unicode character"
    return reasons


def _bytes(column: pa.StringArray) -> tuple[bytes, NDArray[np.intp]]:
    """Return all texts of a column, one after the other, and where each begins, or ends the whole."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return b"\0", np.zeros(0, np.intp)
    at = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    whole = data[int(at[0]) : int(at[-1])].to_pybytes()
    return whole or b"\0", np.minimum(at[:-1] - at[0], max(len(whole) - 1, 0)).astype(np.intp)


def _has_lone_surrogate(text: bytes) -> bool:
    high_ends = None
    for found in _SURROGATE.finditer(text):
        is_high = int(found[1], 16) < 0xDC00
        start = found.end() - 6
        if high_ends is not None and (is_high or start != high_ends):
            return True
        if not is_high and high_ends is None:
            return True
        high_ends = found.end() if is_high else None
    return high_ends is not None


def _vectors(vector: Vector, batch: RecordBatch) -> Reasons:
    name = column_of(vector.field)
    what = f"vector `{vector.field.name}`" if vector.field.name else "its vector"
    if name not in batch.names:
        return {}
    if vector.field.kind == "sparse":
        return _sparse(batch.table.column(name), vector.field.dimensions, what)
    reasons: Reasons = {}
    rows, vectors = batch.present_vectors(vector.field.name)
    dimensions = vector.field.dimensions
    if vectors.shape[1] != dimensions and (dimensions or vector.column.modifier >= 0):
        return dict.fromkeys(rows.tolist(), f"{what} has {vectors.shape[1]:,} dimensions, the table's {dimensions:,}")
    with np.errstate(over="ignore", invalid="ignore"):
        total = vectors.sum()
    if not np.isfinite(total):  # the sum alone is cheap; it may overflow though each is finite
        _at(reasons, rows, np.flatnonzero(~np.isfinite(vectors).all(axis=1)), f"{what} holds NaN or infinity")
    if vector.field.kind == "float16":
        too_large = np.flatnonzero((np.abs(vectors) >= 65_520).any(axis=1))  # from there on, 16 bits round to infinity
        _at(reasons, rows, too_large, f"{what} holds a value over 65,504, the largest that halfvec knows")
    return reasons


def _without_column(table: Table, batch: RecordBatch) -> Reasons:
    known = {column_of(vector.field) for vector in table.vectors}
    reasons: Reasons = {}
    for name in batch.names:
        if name.startswith(("vector:", "sparse:")) and name not in known:
            kind, _, vector = name.partition(":")
            reason = f"it has a {'sparse ' * (kind == 'sparse')}vector `{vector}`, and the table no column for it"
            _mark(reasons, batch.table.column(name).is_valid(), reason)
    return reasons


def _sparse(column: pa.StructArray, dimensions: int, what: str) -> Reasons:
    reasons: Reasons = {}
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    kept = column.filter(column.is_valid())
    counts = pc.list_value_length(kept.field("indices")).to_numpy(zero_copy_only=False)
    _at(
        reasons, rows, np.flatnonzero(counts > MAX_NONZERO), f"{what} has more than {MAX_NONZERO:,} values other than 0"
    )
    limit = dimensions or MAX_SPARSE_DIMENSIONS
    of_row = np.repeat(np.arange(len(rows)), counts)
    indices, values = (kept.field(name).flatten().to_numpy(zero_copy_only=False) for name in ("indices", "values"))
    _at(reasons, rows, of_row[indices >= limit], f"{what} has an index beyond its {limit:,} dimensions")
    _at(reasons, rows, of_row[~np.isfinite(values)], f"{what} holds NaN or infinity")
    return reasons


def _mark(reasons: Reasons, where: pa.BooleanArray, reason: str) -> None:
    for row in _rows(where):
        reasons.setdefault(row, reason)


def _rows(where: pa.BooleanArray) -> list[int]:
    if not pc.any(where).as_py():
        return []
    rows: list[int] = pc.indices_nonzero(where).to_pylist()
    return rows


def _at(reasons: Reasons, rows: NDArray[np.intp], bad: NDArray[np.intp], reason: str) -> None:
    for row in rows[bad].tolist():
        reasons.setdefault(row, reason)
