"""From the SDK's records to Arrow columns."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from vecmig.connectors.pinecone.client.api import Record, slots_of
from vecmig.connectors.pinecone.records.ids import original
from vecmig.connectors.pinecone.records.metadata import Encoding
from vecmig.model.batch import RecordBatch, type_of, vector_column
from vecmig.model.collection import VectorField

UNDECLARED_SPARSE = (
    "it has sparse values, and no record before showed any: say `hybrid: true` in the source, so that they are read"
)


def batch_of(
    namespaces: Sequence[str],
    records: Sequence[Record],
    vectors: Sequence[VectorField],
    chosen: Sequence[VectorField],
    encoding: Encoding,
    problems: Mapping[int, str] | None = None,
) -> RecordBatch:
    """Return n records. `vectors`: those of the index, `chosen`: of them, those that are wanted.

    `problems`: rows that cannot be given whole, and why.
    """
    reasons: list[str | None] = [None] * len(records)
    for row, reason in (problems or {}).items():
        reasons[row] = reason
    columns: dict[str, pa.Array] = {
        "id": pa.array([original(each.id) for each in records], pa.string()),
        "namespace": pa.array(namespaces, pa.string()),
        "metadata": pa.array([encoding.read(each.metadata) for each in records], pa.binary()).cast(pa.string()),
    }
    slots = slots_of(vectors)
    if slots.dense in chosen and slots.dense is not None:
        columns[f"vector:{slots.dense.name}"] = _dense(records, slots.dense.dimensions)
    if slots.sparse in chosen and slots.sparse is not None:
        columns[f"sparse:{slots.sparse.name}"] = _sparse(records, slots.sparse)
    elif slots.sparse is None:
        for row, each in enumerate(records):
            if each.sparse is not None:
                reasons[row] = reasons[row] or UNDECLARED_SPARSE
    if any(reasons):
        columns["problem"] = pa.array(reasons, pa.string())
    return RecordBatch(pa.RecordBatch.from_pydict(columns))


def _dense(records: Sequence[Record], dimensions: int) -> pa.FixedSizeListArray:
    matrix = np.zeros((len(records), dimensions), np.float32)
    valid = np.ones(len(records), np.bool_)
    for row, each in enumerate(records):
        if each.values is None:
            valid[row] = False
        else:
            matrix[row] = each.values
    return vector_column(matrix, valid)


def _sparse(records: Sequence[Record], vector: VectorField) -> pa.StructArray:
    return pa.array([_ordered(*each.sparse) if each.sparse is not None else None for each in records], type_of(vector))


def _ordered(indices: Sequence[int], values: Sequence[float]) -> dict[str, list[int] | list[float]]:
    pairs = sorted((index, value) for index, value in zip(indices, values, strict=True) if value)
    return {"indices": [index for index, _ in pairs], "values": [value for _, value in pairs]}
