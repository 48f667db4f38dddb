"""The digest of records: free of their order, so that partitions add up. Connectors know nothing of it."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from vecmig.model.batch import RecordBatch
from vecmig.model.metadata import AMBIGUOUS, canonical_all
from vecmig.model.record import MODULUS
from vecmig.model.record import Digest as Digest


def digest_of(batch: RecordBatch) -> Digest:
    """Return the digest of n records. Raises ValueError as `record_hashes` does."""
    return sum_of(record_hashes(batch))


def sum_of(hashes: NDArray[np.uint64]) -> Digest:
    """Return the digest of records whose hashes (n, 2) these are."""
    # in limbs of 32 bits, so that 2**32 records fit without overflow
    low, high = (int((hashes[:, i] & 0xFFFFFFFF).sum()) + (int((hashes[:, i] >> 32).sum()) << 32) for i in (1, 0))
    return Digest(f"{(low + (high << 64)) % MODULUS:032x}")


def key_hashes(batch: RecordBatch) -> NDArray[np.uint64]:
    """Return (n, 2) halves, high and low, of the 128-bit hashes of the keys, in the order of the rows."""
    return _xxh3(_joined(_sized(batch, "namespace"), _sized(batch, "id")))


def record_hashes(batch: RecordBatch) -> NDArray[np.uint64]:
    """Return (n, 2) halves, high and low, of 128-bit hashes of key, metadata by value and the vectors' float32 bytes.

    A vector that a record does not have is as one that the collection does not have. Raises ValueError if metadata is
    not a JSON object.
    """
    metadata = canonical_metadata(batch) if batch.canonical is None else batch.canonical
    parts: list[tuple[pa.Array, ...]] = [
        _sized(batch, "namespace"),
        _sized(batch, "id"),
        (_lengths(metadata), metadata),
    ]
    for name in sorted(name for name in batch.names if name.startswith(("vector:", "sparse:"))):
        column = batch.table.column(name)
        label = name.encode() + b"\0"  # the name, too, else two columns could exchange their vectors unseen
        if name.startswith("vector:"):
            parts.append((_labels(column, label), _hashed(column, _dense(column))))
        else:
            indices, values = column.field("indices"), column.field("values")
            hashed = (_hashed(column, _listed(column, each)) for each in (indices, values))
            parts.append((_labels(column, label), *hashed))
    return _xxh3(_joined(*parts))


def canonical_metadata(batch: RecordBatch) -> pa.BinaryArray:
    """Return the n records' metadata in canonical form. Raises ValueError if one is not a JSON object."""
    ambiguous = pc.match_substring_regex(batch.table.column("metadata"), pattern=AMBIGUOUS).to_pylist()
    return pa.array(canonical_all(batch.bytes_of("metadata"), ambiguous), pa.binary())


def _xxh3(rows: pa.BinaryArray) -> NDArray[np.uint64]:
    return np.frombuffer(_digests(rows), ">u8").reshape(-1, 2).astype(np.uint64)


def _hashed(column: pa.Array, rows: pa.BinaryArray) -> pa.Array:
    """Return the hashes of vectors' bytes: 16 bytes to join, where to join the vectors would copy all of them."""
    hashes = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(rows), [None, pa.py_buffer(_digests(rows))])
    return pc.if_else(column.is_valid(), hashes.cast(pa.binary()), pa.scalar(b"", pa.binary()))


def _digests(rows: pa.BinaryArray) -> bytes:
    return b"".join(map(xxhash.xxh3_128_digest, _views(rows)))


def _views(rows: pa.BinaryArray) -> Iterator[memoryview]:
    _, offsets, data = rows.buffers()
    ends = np.frombuffer(offsets, "<i8", len(rows) + 1).tolist()
    view = memoryview(data) if data is not None else memoryview(b"")
    return (view[start:end] for start, end in pairwise(ends))


def _joined(*parts: tuple[pa.Array, ...]) -> pa.LargeBinaryArray:
    """Return (n,) concatenations: Arrow copies whole columns, no Python loop over rows."""
    columns = [column.cast(pa.large_binary()) for part in parts for column in part]
    return pc.binary_join_element_wise(*columns, pa.scalar(b"", pa.large_binary()))


def _sized(batch: RecordBatch, column: str) -> tuple[pa.Array, pa.Array]:
    values = batch.table.column(column).cast(pa.binary())
    return _lengths(values), values  # with lengths, so that ("a", "bc") and ("ab", "c") differ


def _lengths(values: pa.Array) -> pa.Array:
    return _fixed(pc.binary_length(values).to_numpy(), "<i4")


def _fixed(numbers: NDArray[np.generic], dtype: str) -> pa.Array:
    data = numbers.astype(dtype)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(data.itemsize), len(data), [None, pa.py_buffer(data)]).cast(
        pa.binary()
    )


def _labels(column: pa.Array, label: bytes) -> pa.Array:
    """Return what stands before a vector, nothing at all where there is none."""
    return pc.if_else(column.is_valid(), pa.scalar(label, pa.binary()), pa.scalar(b"", pa.binary()))


def _dense(column: pa.FixedSizeListArray) -> pa.BinaryArray:
    """Return the vectors' bytes, no copy; empty for a null."""
    values = column.flatten().to_numpy(zero_copy_only=True)
    ends = np.cumsum(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.int64) * column.type.list_size * 4
    return _sliced(values, ends)


def _listed(column: pa.StructArray, lists: pa.ListArray) -> pa.LargeBinaryArray:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.where(valid, pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), 0)
    kept = lists.filter(pa.array(valid))
    return _sliced(kept.flatten().to_numpy(zero_copy_only=False), np.cumsum(lengths, dtype=np.int64) * 4)


def _sliced(values: NDArray[np.generic], ends: NDArray[np.int64]) -> pa.LargeBinaryArray:
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), data])
