"""From Arrow columns to the bytes of COPY ... (FORMAT BINARY), whole columns at a time; decode.py has the format."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.connectors.pgvector.records.decode import HEADER_BYTES, SIGNATURE

HEADER = SIGNATURE.ljust(HEADER_BYTES, b"\0")
MAX_SPARSE_DIMENSIONS = 1_000_000_000
_NO_SEPARATOR = pa.scalar(b"", pa.large_binary())


@dataclass(frozen=True, slots=True)
class Encoded:
    """One column of n rows: the int32 lengths, -1 for NULL, and the bytes, empty for NULL."""

    lengths: NDArray[np.int32]  # (n,)
    values: tuple[pa.LargeBinaryArray, ...]  # joined row by row they are the bytes


def copy_rows(columns: Sequence[Encoded]) -> memoryview:
    """Return the rows of COPY, with header and trailer left out."""
    parts: list[pa.Array] = [pa.scalar(len(columns).to_bytes(2, "big"), pa.large_binary())]
    for column in columns:
        parts += [_fixed(column.lengths.astype(">i4")), *column.values]
    joined = pc.binary_join_element_wise(*parts, _NO_SEPARATOR)
    _, offsets, data = joined.buffers()
    return memoryview(data)[: np.frombuffer(offsets, np.int64)[len(joined)]]


def text(values: pa.Array, prefix: bytes = b"") -> Encoded:
    """Encode strings or bytes; null is NULL. `prefix` stands before each: b"\\1" is the version of a jsonb."""
    raw = values.cast(pa.large_binary())
    if prefix:
        raw = pc.binary_join_element_wise(pa.scalar(prefix, pa.large_binary()), raw, _NO_SEPARATOR)
    return Encoded(_lengths(raw), (pc.fill_null(raw, b""),))


def fixed(values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Encoded:
    """Encode n numbers, big-endian already."""
    raw = _fixed(values)
    lengths = np.where(valid, values.dtype.itemsize, -1).astype(np.int32)
    return Encoded(lengths, (raw if valid.all() else pc.if_else(pa.array(valid), raw, b""),))


def blobs(values: Sequence[bytes | None]) -> Encoded:
    """Encode values that are bytes already."""
    return text(pa.array(values, pa.large_binary()))


def dense(rows: NDArray[np.intp], vectors: NDArray[np.float32], n: int, half: bool) -> Encoded:
    """Encode vectors (p, d) of these rows (p,) of n; the others are NULL.

    vector and halfvec are int16 dimensions, int16 unused, then floats of 32 or 16 bits.
    """
    count, dimensions = vectors.shape
    lead = 2 if half else 1  # the four bytes before the floats, in floats
    block = np.empty((count, lead + dimensions), ">f2" if half else ">f4")
    with np.errstate(over="ignore"):  # found by the validation
        block[:, lead:] = vectors
    block[:, :lead].view(np.uint8)[:] = np.frombuffer(struct.pack(">hh", dimensions, 0), np.uint8)
    size = block.dtype.itemsize * (lead + dimensions)
    valid = np.zeros(n, np.bool_)
    valid[rows] = True
    lengths = np.where(valid, size, -1).astype(np.int32)
    return Encoded(lengths, (_sliced(block, np.where(valid, size, 0)),))


def sparse(column: pa.StructArray, dimensions: int) -> Encoded:
    """Encode sparse vectors: int32 dimensions, count, unused, then the indices from 0 and the values.

    `dimensions` 0: the column's type has none; then all have the most that there is, so that they compare.
    """
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    kept = column.filter(pa.array(valid))
    counts = np.zeros(len(column), np.int64)
    counts[valid] = pc.list_value_length(kept.field("indices")).to_numpy(zero_copy_only=False)
    head = np.zeros((int(valid.sum()), 3), ">i4")
    head[:, 0] = dimensions or MAX_SPARSE_DIMENSIONS
    head[:, 1] = counts[valid]
    indices = kept.field("indices").flatten().to_numpy(zero_copy_only=False).astype(">u4")
    values = kept.field("values").flatten().to_numpy(zero_copy_only=False).astype(">f4")
    lengths = np.where(valid, 12 + 8 * counts, -1).astype(np.int32)
    return Encoded(
        lengths, (_sliced(head, np.where(valid, 12, 0)), _sliced(indices, 4 * counts), _sliced(values, 4 * counts))
    )


def array(elements: Sequence[bytes | None], oid: int) -> bytes:
    """Return an array of one dimension: int32 dimensions, has nulls, type of the elements, length, lower bound 1."""
    if not elements:
        return struct.pack(">iiI", 0, 0, oid)
    head = struct.pack(">iiIii", 1, None in elements, oid, len(elements), 1)
    return head + b"".join(
        b"\xff\xff\xff\xff" if each is None else len(each).to_bytes(4, "big") + each for each in elements
    )


def _lengths(raw: pa.LargeBinaryArray) -> NDArray[np.int32]:
    lengths: NDArray[np.int32] = pc.fill_null(pc.binary_length(raw), -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return lengths


def _fixed(values: NDArray[np.generic]) -> pa.LargeBinaryArray:
    return _sliced(values, np.full(len(values), values.dtype.itemsize))


def _sliced(values: NDArray[np.generic], sizes: NDArray[np.int64]) -> pa.LargeBinaryArray:
    """Return the bytes of `values`, no copy, cut into pieces of these sizes."""
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), [None, pa.py_buffer(offsets), data])
