"""From the bytes of COPY ... (FORMAT BINARY) to Arrow columns, whole columns at a time.

The format (PostgreSQL manual, "COPY", "Binary Format"): a row is the int16 number of its fields, then for each its
int32 length, -1 for NULL, and its bytes; all big-endian.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.model.batch import vector_column
from vecmig.model.collection import VectorField

SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER_BYTES = 19  # signature, int32 flags, int32 length of an extension that no server sends
TRAILER = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Fields:
    """n rows of fields, cut but not yet read."""

    slots: pa.BinaryArray  # all bytes, as gap and field in turn
    null: NDArray[np.bool_]  # (n, fields)

    def __len__(self) -> int:
        return len(self.null)

    def column(self, number: int) -> pa.BinaryArray:
        """Return one column's bytes, contiguous; empty where it is null."""
        rows, fields = self.null.shape
        places = np.arange(rows, dtype=np.int64) * (2 * fields) + 2 * number + 1
        return self.slots.take(pa.array(places))

    def text(self, number: int) -> pa.StringArray:
        """Return a column of texts; null where it is null. Raises ArrowInvalid for what is not UTF-8."""
        return _masked(self.column(number).cast(pa.string()), self.null[:, number])


def cut(data: bytes, sizes: Sequence[int], fields: int) -> Fields:
    """Cut n rows of `fields` fields, whose sizes in bytes are `sizes`, from `data`, which holds nothing else."""
    rows = len(sizes)
    ends = np.cumsum(np.asarray(sizes, np.int64))
    at = np.concatenate([[0], ends[:-1]]) + 2
    # every four bytes as a length, whatever they are: gathered, only the true ones are looked at
    lengths = np.ndarray(max(len(data) - 3, 0), ">i4", data, strides=(1,))
    bounds = np.empty((rows, 2 * fields), np.int32)
    null = np.empty((rows, fields), np.bool_)
    for number in range(fields):
        length = lengths[at].astype(np.int64)
        null[:, number] = length < 0
        bounds[:, 2 * number] = at + 4
        at = at + 4 + np.maximum(length, 0)
        bounds[:, 2 * number + 1] = at
    offsets = np.concatenate([np.zeros(1, np.int32), bounds.reshape(-1)])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return Fields(pa.BinaryArray.from_buffers(pa.binary(), rows * 2 * fields, buffers), null)


def dense(fields: Fields, number: int, vector: VectorField) -> tuple[pa.FixedSizeListArray, NDArray[np.bool_]]:
    """Return vectors (n, d), and which rows (n,) hold one of other dimensions: it is left out.

    vector and halfvec are int16 dimensions, int16 unused, then floats of 32 or 16 bits.
    """
    kind, size = (">f2", 2) if vector.kind == "float16" else (">f4", 4)
    raw, missing = fields.column(number), fields.null[:, number]
    wanted = 4 + size * vector.dimensions
    fits = ~missing & (pc.binary_length(raw).to_numpy() == wanted)
    if not fits.all():
        raw = raw.filter(pa.array(fits))
    rows = int(fits.sum())
    block = np.frombuffer(_data(raw), kind, rows * wanted // size).reshape(rows, wanted // size)
    vectors = block[:, 4 // size :].astype(np.float32)
    if rows < len(fields):
        vectors, present = np.zeros((len(fields), vector.dimensions), np.float32), vectors
        vectors[fits] = present
    return vector_column(vectors, fits), ~fits & ~missing


def sparse(fields: Fields, number: int) -> pa.StructArray:
    """Return sparse vectors: int32 dimensions, count, unused, then count int32 indices and float32 values."""
    raw, missing = fields.column(number), fields.null[:, number]
    lengths = np.where(missing, 0, (pc.binary_length(raw).to_numpy() - 12) // 8)
    words = np.frombuffer(_data(raw), ">i4")
    begins = np.cumsum(np.where(missing, 0, 3 + 2 * lengths)) - 2 * lengths  # of each row's indices, in words
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.repeat(begins, lengths) + within
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    indices = pa.ListArray.from_arrays(offsets, pa.array(words[at].astype(np.uint32)))
    values = words[at + np.repeat(lengths, lengths)].astype("<i4").view("<f4")
    lists = [indices, pa.ListArray.from_arrays(offsets, pa.array(values))]
    return pa.StructArray.from_arrays(lists, ["indices", "values"], mask=pa.array(missing))


def _data(raw: pa.BinaryArray) -> bytes | memoryview:
    _, offsets, data = raw.buffers()
    if data is None or not len(raw):
        return b""
    first, last = np.frombuffer(offsets, np.int32)[[raw.offset, raw.offset + len(raw)]]
    return memoryview(data)[first:last]


def _masked(values: pa.StringArray, null: NDArray[np.bool_]) -> pa.StringArray:
    return pc.if_else(pa.array(null), pa.scalar(None, pa.string()), values) if null.any() else values
