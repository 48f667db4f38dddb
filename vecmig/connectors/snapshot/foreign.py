"""Parquet files that others made: a mapping of columns makes records of their rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vecmig.connectors.snapshot.components import dimensions_of, is_vector, vectors_of
from vecmig.connectors.snapshot.dataset import Rows
from vecmig.connectors.snapshot.jsonify import metadata_of
from vecmig.connectors.snapshot.options import Columns, SnapshotOptions
from vecmig.connectors.snapshot.store import Entry, Store, opened
from vecmig.errors import ConnectorError
from vecmig.model.batch import RecordBatch, column_of
from vecmig.model.collection import Collection, VectorField
from vecmig.protocols import Counts


@dataclass(frozen=True, slots=True)
class Foreign:
    """A dataset (see dataset.py)."""

    store: Store
    collection: Collection
    files: tuple[Entry, ...]
    mapping: Columns
    vectors: Mapping[str, str]  # name of the vector: column
    dead: Mapping[str, NDArray[np.int64]]  # none

    def counts(self) -> Counts:
        counts: Counter[str] = Counter()
        for entry in self.files:
            with closing(Rows(self, entry)) as rows:
                if self.mapping.namespace is None:
                    counts[""] += rows.metadata.num_rows
                else:
                    for _, page in rows.key_pages():
                        counts.update(page.strings("namespace"))
        return {namespace: count for namespace, count in counts.items() if count}

    def columns(self, vectors: Sequence[VectorField], schema: pa.Schema) -> list[str]:
        others = [*self.key_columns(), *self.vectors.values()]
        metadata = [name for name in schema.names if name not in others]
        if self.mapping.metadata is not None:
            metadata = list(self.mapping.metadata)
        return [*dict.fromkeys([*self.key_columns(), *metadata, *(self.vectors[each.name] for each in vectors)])]

    def records(self, rows: pa.RecordBatch, vectors: Sequence[VectorField], name: str, first: int) -> RecordBatch:
        keys, problems = _keys(self.mapping, rows, name, first)
        named = [each for each in rows.schema.names if each not in (*self.key_columns(), *self.vectors.values())]
        metadata = list(named if self.mapping.metadata is None else self.mapping.metadata)
        texts, wrong = metadata_of(rows.select(metadata), f"{name}: column")
        columns = {**keys, "metadata": texts}
        found = [wrong]
        for vector in vectors:
            source = self.vectors[vector.name]
            columns[column_of(vector)], wrong = vectors_of(rows.column(source), vector.dimensions, source)
            found.append(wrong)
        for wrong in found:
            for row, reason in wrong:
                problems[row] = problems[row] or reason
        if any(problems):
            columns["problem"] = pa.array(problems, pa.string())
        return RecordBatch(pa.RecordBatch.from_pydict(columns))

    def key_columns(self) -> list[str]:
        return [name for name in (self.mapping.id, self.mapping.namespace) if name is not None]

    def keys(self, rows: pa.RecordBatch, name: str, first: int) -> RecordBatch:
        return RecordBatch(pa.RecordBatch.from_pydict(_keys(self.mapping, rows, name, first)[0]))

    def checked(self, entry: Entry, file: pq.ParquetFile) -> None:
        wanted = [*self.key_columns(), *self.vectors.values(), *(self.mapping.metadata or ())]
        _present(self.store, entry, file.schema_arrow, wanted)


def load(store: Store, name: str, files: Sequence[Entry], options: SnapshotOptions) -> Foreign:
    """Return the dataset of these files, at least one. Raises ConnectorError where columns and mapping do not fit."""
    mapping = options.columns or Columns()
    with closing(opened(store, files[0].name)) as file:
        schema = file.schema_arrow
        _present(store, files[0], schema, [mapping.id])
        sources = _vector_columns(store, files[0], schema, mapping)
    fields = tuple(
        VectorField(vector, _dimensions(store, files, column), options.metric) for vector, column in sources.items()
    )
    return Foreign(store, Collection(name, fields), tuple(files), mapping, sources, {})


def _present(store: Store, entry: Entry, schema: pa.Schema, wanted: Sequence[str]) -> None:
    for column in wanted:
        if column not in schema.names:
            raise ConnectorError(
                f"{store.path(entry.name)} has no column {column!r}; it has {', '.join(schema.names)}. Say which column "
                "holds what: `columns: {id: …, vector: …}`"
            )


def _vector_columns(store: Store, entry: Entry, schema: pa.Schema, mapping: Columns) -> dict[str, str]:
    if isinstance(mapping.vector, str):
        chosen = {"": mapping.vector}
    elif mapping.vector is not None:
        chosen = dict(mapping.vector)
    else:
        found = [field.name for field in schema if is_vector(field.type)]
        if len(found) != 1:
            raise ConnectorError(
                f"{store.path(entry.name)} has {len(found)} columns that may hold vectors{': ' if found else ''}"
                f"{', '.join(found)}. Say which: `columns: {{vector: …}}`"
            )
        chosen = {"": found[0]}
    _present(store, entry, schema, list(chosen.values()))
    for column in chosen.values():
        type_ = schema.field(column).type
        if not (is_vector(type_) or pa.types.is_binary(type_) or pa.types.is_large_binary(type_)):
            raise ConnectorError(
                f"{store.path(entry.name)}: column {column!r} is {type_}, and vectors are lists of floats or binary float32"
            )
    return chosen


def _dimensions(store: Store, files: Sequence[Entry], column: str) -> int:
    """Return the size that the type says, else that of the first vector."""
    for entry in files:
        with closing(opened(store, entry.name)) as file:
            _present(store, entry, file.schema_arrow, [column])
            for page in file.iter_batches(1000, columns=[column], use_threads=False):
                if dimensions := dimensions_of(page.column(0)):
                    return dimensions
    raise ConnectorError(f"{store.root}: column {column!r} holds no vector at all, so its dimension is not known")


def _keys(
    mapping: Columns, rows: pa.RecordBatch, name: str, first: int
) -> tuple[dict[str, pa.Array], list[str | None]]:
    """Return ids and namespaces, and for each row why its id cannot be used: it is named by its place then."""
    ids = _texts(rows.column(mapping.id), name)
    problems: list[str | None] = [None] * rows.num_rows
    empty = pc.or_kleene(pc.is_null(ids), pc.equal(pc.binary_length(ids), 0))
    if pc.any(empty).as_py():
        values = ids.to_pylist()
        for row in pc.indices_nonzero(pc.fill_null(empty, True)).to_pylist():
            problems[row] = "the id is empty"
            values[row] = f"row {first + row + 1} of {name.rsplit('/', 1)[-1]}"
        ids = pa.array(values, pa.string())
    if mapping.namespace is None:
        namespaces = pa.array([""] * rows.num_rows, pa.string())
    else:
        namespaces = pc.fill_null(_texts(rows.column(mapping.namespace), name), "")
    return {"id": ids, "namespace": namespaces}, problems


def _texts(column: pa.Array, name: str) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        if pa.types.is_fixed_size_binary(column.type) and column.type.byte_width == 16:
            values = column.to_pylist()  # UUIDs: their usual text
            hexadecimal = [None if value is None else value.hex() for value in values]
            parts = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
            return pa.array([h and "-".join(h[a:b] for a, b in parts) for h in hexadecimal], pa.string())
        if pa.types.is_floating(column.type):
            raise ConnectorError(f"{name}: ids and namespaces are texts or integers, and a column holds {column.type}")
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise ConnectorError(f"{name}: {column.type} cannot be made an id or namespace: {error}") from error
