"""Records as they travel: one Arrow column for each thing that a record has."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecmig.model.collection import VectorField
from vecmig.model.record import Key as Key
from vecmig.model.record import Rejected as Rejected


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """n records, stored by column.

    table["id"], table["namespace"]  (n,)    string, never null
    table["metadata"]                (n,)    string, a JSON object, never null
    table["vector:<name>"]           (n, d)  fixed_size_list<float32>[d]; null: the record has no such vector
    table["sparse:<name>"]           (n,)    struct<indices: list<uint32>, values: list<float32>>; null likewise.
                                             Indices ascend and count from 0, no value is 0.
    table["text:<name>"]             (n,)    string, only between conversion and embedding: what vector <name> is made of
    table["problem"]                 (n,)    string, only where a source met a record that it cannot give whole:
                                             the reason; null for the others

    `canonical` (n,): the metadata in canonical form, where somebody had to make it; its bytes are what is hashed. What
    is taken from a batch, or made of it, does not have it.
    """

    table: pa.RecordBatch
    canonical: pa.BinaryArray | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def keys(self) -> list[Key]:
        """The n keys, in the order of the rows."""
        return [Key(*pair) for pair in zip(self.strings("namespace"), self.strings("id"), strict=True)]

    @property
    def nbytes(self) -> int:
        return int(self.table.nbytes)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.table.schema.names)

    def strings(self, column: str) -> list[str]:
        """Return `id`, `namespace` or `metadata`, n values."""
        values: list[str] = self.table.column(column).to_pylist()
        return values

    def bytes_of(self, column: str) -> list[bytes]:
        """Return `id`, `namespace` or `metadata` as UTF-8, n values: cheaper than `strings`."""
        values: list[bytes] = self.table.column(column).cast(pa.binary()).to_pylist()
        return values

    def vectors(self, name: str) -> NDArray[np.float32]:
        """Return vector column `name` as an (n, d) view, no copy. Raises ValueError if a record has none."""
        column = self.table.column(f"vector:{name}")
        if column.null_count:
            raise ValueError(f"{column.null_count} of {len(column)} records have no vector {name!r}")
        return _matrix(column)

    def present_vectors(self, name: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the rows (p,) that have vector `name`, and their vectors (p, d)."""
        column = self.table.column(f"vector:{name}")
        return np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)), _matrix(column)

    def take(self, rows: NDArray[np.intp] | Sequence[int]) -> "RecordBatch":
        """Return these rows, in this order."""
        return RecordBatch(self.table.take(pa.array(rows, pa.int64())))

    def slice(self, start: int, length: int | None = None) -> "RecordBatch":
        """Return `length` rows from `start` on, no copy."""
        return RecordBatch(self.table.slice(start, length))

    def without(self, columns: Collection[str]) -> "RecordBatch":
        """Return this batch without these columns; one that is not there is no error."""
        return RecordBatch(self.table.drop_columns([name for name in self.names if name in columns]), self.canonical)

    def replace(self, column: str, values: pa.Array) -> "RecordBatch":
        """Return this batch with one column exchanged."""
        return RecordBatch(self.table.set_column(self.names.index(column), column, values))


def schema_of(vectors: Iterable[VectorField]) -> pa.Schema:
    """Return the Arrow schema of records that hold these vectors."""
    columns = [(name, pa.string()) for name in ("id", "namespace", "metadata")]
    return pa.schema([*columns, *((column_of(vector), type_of(vector)) for vector in vectors)])


def column_of(vector: VectorField) -> str:
    """Return the name of the vector's column."""
    return f"{'sparse' if vector.kind == 'sparse' else 'vector'}:{vector.name}"


def text_column(vector: str) -> str:
    """Return the name of the column that holds the texts which a vector is made of."""
    return f"text:{vector}"


def type_of(vector: VectorField) -> pa.DataType:
    """Return the Arrow type of the vector's column: a float16 vector travels as float32."""
    if vector.kind == "sparse":
        return pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
    return pa.list_(pa.float32(), vector.dimensions)


def vector_column(vectors: NDArray[np.float32], valid: NDArray[np.bool_] | None = None) -> pa.FixedSizeListArray:
    """Return an Arrow column of (n, d) vectors, no copy. `valid` (n,): False where a record has none."""
    type_ = pa.list_(pa.float32(), vectors.shape[1])
    if not vectors.shape[1]:  # dimensions that nobody knows, for no record has such a vector; Arrow divides by them
        return pa.nulls(len(vectors), type_)
    values = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    mask = None if valid is None or valid.all() else pa.array(~valid)
    return pa.FixedSizeListArray.from_arrays(values, type=type_, mask=mask)


def concat(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Return the batches, at least one and of the same vectors, as one."""
    tables = [batch.table for batch in batches]
    if any("problem" in batch.names for batch in batches):  # which only those have that met one
        tables = [table if "problem" in table.schema.names else _without_problems(table) for table in tables]
    return RecordBatch(pa.concat_batches(tables))


def _without_problems(table: pa.RecordBatch) -> pa.RecordBatch:
    return table.append_column("problem", pa.nulls(len(table), pa.string()))


def _matrix(column: pa.FixedSizeListArray) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=True)  # flatten skips nulls
    # the dimension comes from the type: reshape(0, -1) raises on an empty batch
    return flat.reshape(len(column) - column.null_count, column.type.list_size)
