"""From objects to Arrow columns; vectors are copied once, and never Python lists."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from vecmig.connectors.weaviate.client.requests import Record, own_id
from vecmig.connectors.weaviate.records.metadata import Encoding
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.metadata import dumps


def batch_of(
    layout: Layout,
    encoding: Encoding,
    namespaces: Sequence[str],
    records: Sequence[Record],
    vectors: Sequence[str | None],
) -> RecordBatch:
    """Return n records with these vectors."""
    metadata = [dumps(encoding.read(each.fields)) for each in records]
    columns: dict[str, pa.Array] = {
        "id": pa.array([own_id(each.uuid, each.fields) for each in records], pa.string()),
        "namespace": pa.array(namespaces, pa.string()),
        "metadata": pa.array(metadata, pa.binary()).cast(pa.string()),
    }
    problems: list[str | None] = [None] * len(records)
    for name in vectors:
        field = layout.vectors[name]
        matrix = np.zeros((len(records), field.dimensions), np.float32)
        valid = np.zeros(len(records), np.bool_)
        for row, each in enumerate(records):
            vector = each.vectors.get(name)
            if vector is None:
                continue
            if len(vector) != field.dimensions:
                what = f"vector `{field.name}`" if field.name else "its vector"
                problems[row] = f"{what} has {len(vector):,} dimensions, that of other records {field.dimensions:,}"
                continue
            matrix[row], valid[row] = vector, True
        columns[f"vector:{field.name}"] = vector_column(matrix, valid)
    if any(problems):
        columns["problem"] = pa.array(problems, pa.string())
    return RecordBatch(pa.RecordBatch.from_pydict(columns))
