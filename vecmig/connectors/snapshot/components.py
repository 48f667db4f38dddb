"""Vectors as other tools write them to Parquet, made fixed-size lists of float32; whole columns at once."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.model.batch import vector_column

Wrong = list[tuple[int, str]]  # row and reason


def is_vector(type_: pa.DataType) -> bool:
    """True for lists of floats."""
    types = pa.types
    lists = types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_)
    return bool(lists and types.is_floating(type_.value_type))


def dimensions_of(column: pa.Array) -> int:
    """Return the dimension: the type's, else that of the first vector; 0 if there is none."""
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    lengths = _lengths(column.drop_null())
    return int(lengths[0]) if len(lengths) else 0


def vectors_of(column: pa.Array, dimensions: int, name: str) -> tuple[pa.Array, Wrong]:
    """Return (n, dimensions) float32, null where there is no vector or one of another shape, and what is wrong."""
    present: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(present)
    lengths = _lengths(column.drop_null())
    fits = lengths == dimensions
    found = zip(rows[~fits].tolist(), lengths[~fits].tolist(), strict=True)
    wrong = [(row, f"vector {name!r} has {length:g} dimensions, not {dimensions}") for row, length in found]
    rows = rows[fits]
    matrix, nulls = _matrix(column.take(pa.array(rows)), dimensions)
    infinite = ~np.isfinite(matrix).all(axis=1)
    wrong += [(int(row), f"vector {name!r} has a component that is null") for row in rows[nulls]]
    wrong += [(int(row), f"vector {name!r} holds NaN or infinity") for row in rows[infinite & ~nulls]]
    good = ~nulls  # one that is not finite is told, and given: a quarantine keeps it
    result = np.zeros((len(column), dimensions), np.float32)
    result[rows[good]] = matrix[good]
    valid = np.zeros(len(column), bool)
    valid[rows[good]] = True
    return vector_column(result, valid), wrong


def _is_bytes(column: pa.Array) -> bool:
    return bool(pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type))


def _lengths(column: pa.Array) -> NDArray[np.float64]:
    """Return the dimensions of vectors, none null: whole numbers, but for binary values that are cut off."""
    if _is_bytes(column):
        return pc.binary_length(column).to_numpy(zero_copy_only=False) / 4  # type: ignore[no-any-return]
    return pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.float64)  # type: ignore[no-any-return]


def _matrix(column: pa.Array, dimensions: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return (p, dimensions) of vectors of the right length, and which of them have a null inside."""
    if _is_bytes(column):
        matrix = np.frombuffer(b"".join(column.to_pylist()), "<f4").reshape(len(column), dimensions)
        return matrix, np.zeros(len(column), bool)
    values = column.flatten()
    nulls = values.is_null().to_numpy(zero_copy_only=False).reshape(len(column), dimensions).any(axis=1)
    with np.errstate(over="ignore"):  # a double over float32's range becomes infinite, which is then reported
        matrix = values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), dimensions)
    return matrix, nulls
