"""From objects to Arrow columns; vectors are joined, never Python lists."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from vecmig.connectors.weaviate.client.requests import Record, own_id
from vecmig.connectors.weaviate.records.metadata import Encoding
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import VectorField
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
        columns[f"vector:{field.name}"] = _vectors([each.vectors.get(name) for each in records], field, problems)
    if any(problems):
        columns["problem"] = pa.array(problems, pa.string())
    return RecordBatch(pa.RecordBatch.from_pydict(columns))


def _vectors(found: Sequence[bytes | None], field: VectorField, problems: list[str | None]) -> pa.FixedSizeListArray:
    """Return the column of n vectors; one of other dimensions is left out, and said in `problems`."""
    size = 4 * field.dimensions
    fits = [raw is not None and len(raw) == size for raw in found]
    for row, raw in enumerate(found) if not all(fits) else ():
        if raw is not None and not fits[row]:
            what = f"vector `{field.name}`" if field.name else "its vector"
            problems[row] = f"{what} has {len(raw) // 4:,} dimensions, that of other records {field.dimensions:,}"
    absent = bytes(size)
    data = b"".join(raw if raw is not None and fit else absent for raw, fit in zip(found, fits, strict=True))
    return vector_column(np.frombuffer(data, "<f4").reshape(len(found), field.dimensions), np.array(fits, np.bool_))
