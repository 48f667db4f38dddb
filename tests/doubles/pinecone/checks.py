"""What a record must be to be stored; the same for both transports and both data models."""

import math
from typing import Any

import numpy as np
import orjson

from tests.doubles.pinecone.errors import Refused
from tests.doubles.pinecone.limits import Limits
from tests.doubles.pinecone.store import Index, Json, Record, Sparse, Vector


def dense(values: Any) -> Vector:
    """A vector from JSON numbers, rounded to float32. Raises Refused for anything else in it."""
    wide = np.asarray(values)
    if wide.ndim != 1 or wide.dtype.kind not in "fiu":
        raise Refused("Vector values must be numbers")  # null is what an encoder of JSON makes of NaN
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(wide, np.float32)


def sparse(indices: Any, values: Any) -> Sparse:
    """A sparse vector from JSON numbers. Raises Refused where an index is no uint32, or one has no value."""
    if not isinstance(indices, list) or not all(type(index) is int and 0 <= index < 2**32 for index in indices):
        raise Refused("Sparse vector indices must be unsigned 32-bit integers")
    return Sparse(np.array(indices, np.uint32), dense(values if values else np.empty(0, np.float32)))


def record(
    index: Index, limits: Limits, id: Any, values: Vector | None, pairs: Sparse | None, metadata: Json | None
) -> Record:
    """The record as it is stored. Raises Refused where the service would."""
    check_id(id, limits)
    if values is not None and not len(values):
        values = None
    check_vectors(index, limits, values, pairs)
    kept = clean(metadata, limits, index)
    size = len(id) + (4 * len(values) if values is not None else 0) + (8 * len(pairs.indices) if pairs else 0)
    return Record(id, values, pairs, kept, size + (len(orjson.dumps(kept)) if kept else 0))


def check_id(id: Any, limits: Limits) -> None:
    if not isinstance(id, str) or not id:
        raise Refused("Vector ID must be a non-empty string")
    if not id.isascii() or "\0" in id:
        raise Refused(f"Vector ID must be ASCII, but got '{id[:100]}'")
    if len(id) > limits.id_chars:
        raise Refused(f"Vector ID must be at most {limits.id_chars} characters, but got {len(id)}")


def check_namespace(name: Any, limits: Limits) -> str:
    if not isinstance(name, str):
        raise Refused("Namespace must be a string")
    if len(name) > limits.namespace_chars or "\0" in name or not name.isascii():
        raise Refused(f"Namespace must be ASCII of at most {limits.namespace_chars} characters")
    return name


def check_vectors(index: Index, limits: Limits, values: Vector | None, pairs: Sparse | None) -> None:
    """Raises Refused unless this index can hold them together in one record."""
    if values is None and index.dense_field:
        raise Refused(f"Dense vector '{index.dense_field}' is required: the index has dimension {index.dimension}")
    if values is not None:
        check_dense(index, values)
    if pairs is not None:
        check_sparse(index, limits, pairs)
    elif index.sparse_field and not index.dense_field:
        raise Refused("Sparse vector must contain at least one value")


def check_dense(index: Index, values: Vector) -> None:
    if not index.dense_field:
        raise Refused("Sparse indexes do not accept dense vector values")
    if len(values) != index.dimension:
        raise Refused(f"Vector dimension {len(values)} does not match the dimension of the index {index.dimension}")
    if not np.isfinite(values).all():
        raise Refused("Vector values must be finite numbers")
    if not values.any():
        raise Refused("Dense vectors must contain at least one non-zero value.")


def check_sparse(index: Index, limits: Limits, pairs: Sparse) -> None:
    is_hybrid = limits.sparse_in_dotproduct and not index.is_document_index and index.metric == "dotproduct"
    if not index.sparse_field and not is_hybrid:
        raise Refused(
            "Index configuration does not support sparse values - only indexes that are sparse or using "
            "dotproduct are supported"
        )
    if len(pairs.indices) != len(pairs.values):
        raise Refused("Sparse vector must have as many indices as values")
    if not len(pairs.indices):
        raise Refused("Sparse vector must contain at least one value")
    if len(pairs.indices) > limits.sparse_values:
        raise Refused(f"Sparse vector has {len(pairs.indices)} values, the limit is {limits.sparse_values}")
    if len(np.unique(pairs.indices)) != len(pairs.indices):
        raise Refused("Sparse vector must not contain duplicate indices")
    if not np.isfinite(pairs.values).all():
        raise Refused("Sparse vector values must be finite numbers")


def clean(metadata: Any, limits: Limits, index: Index) -> Json | None:
    """Metadata as the service keeps it: no nulls, every number a 64-bit float. Raises Refused for what it refuses."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise Refused("Metadata must be an object")
    kept: Json = {}
    for key, value in metadata.items():
        if key.startswith("$"):
            raise Refused(f"Metadata key '{key}' must not start with '$'")
        if value is not None:
            is_integer = index.fields.get(key, {}).get("type") == "integer"
            kept[key] = int(value) if is_integer and isinstance(value, int) else _value(key, value)
    # a declared string may be as long as it likes: it is text to be searched
    counted = {key: _shortest(value) for key, value in kept.items() if key not in index.fields}
    size = len(orjson.dumps(counted))
    if size > limits.metadata_bytes:
        raise Refused(
            f"Metadata size is {size} bytes, which exceeds the limit of {limits.metadata_bytes} bytes per vector"
        )
    return kept or None


def _shortest(value: Any) -> Any:
    """A number as a client writes it: 1, where it is kept as 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _value(key: str, value: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise Refused(
        f"Metadata value must be a string, number, boolean or list of strings, got '{str(value)[:100]}' "
        f"for field '{key}'"
    )
