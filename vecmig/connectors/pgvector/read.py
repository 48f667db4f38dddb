"""Reading: one COPY out for each partition, cut into batches; the cursor is the key of a batch's last record."""

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from vecmig.connectors.pgvector import decode, expressions
from vecmig.connectors.pgvector.decode import Fields
from vecmig.connectors.pgvector.keys import matching
from vecmig.connectors.pgvector.merge import OBJECT, TWICE, merged, shortest
from vecmig.connectors.pgvector.partitions import bounds
from vecmig.connectors.pgvector.session import Session, set_local
from vecmig.connectors.pgvector.table import Column, Table, Vector
from vecmig.model.batch import Key, RecordBatch, column_of
from vecmig.model.plan import Partition
from vecmig.model.state import Cursor

BATCH_BYTES = 8 << 20
Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Selection:
    """What a statement selects: namespace, id, the columns of a composite key, vectors, document, fields, a check."""

    table: Table
    vectors: tuple[Vector, ...]

    @property
    def key_parts(self) -> tuple[Column, ...]:
        return tuple(column for column in self.table.key if column in self.table.id) if len(self.table.id) > 1 else ()

    @property
    def checked(self) -> bool:
        return self.table.document is not None and bool(self.table.fields)

    @property
    def columns(self) -> list[sql.Composable]:
        table = self.table
        columns = [expressions.namespace_text(table), expressions.id_text(table)]
        columns += [expressions.key_text(column, nullable=False) for column in self.key_parts]
        columns += [expressions.vector_value(table, vector.column) for vector in self.vectors]
        if table.document is not None:
            columns.append(expressions.document_text(table.document))
        columns += [expressions.field_json(column) for column in table.fields]
        if self.checked:
            columns.append(sql.SQL("CASE WHEN {} THEN 't' END").format(expressions.stands_twice(table)))
        return columns

    def batch(self, fields: Fields) -> RecordBatch:
        """Return the records of n rows."""
        table, n = self.table, len(fields)
        problems: list[tuple[str, pa.Array]] = []
        at = 2 + len(self.key_parts)
        vectors = {}
        for number, vector in enumerate(self.vectors, start=at):
            if vector.field.kind == "sparse":
                vectors[column_of(vector.field)] = decode.sparse(fields, number)
                continue
            vectors[column_of(vector.field)], odd = decode.dense(fields, number, vector.field)
            if odd.any():
                name, dimensions = vector.column.name, vector.field.dimensions
                problems.append(
                    (f"its vector in column `{name}` does not have {dimensions:,} dimensions", pa.array(odd))
                )
        at += len(self.vectors)
        document = None
        if table.document is not None:
            document, at = fields.text(at), at + 1
        typed = [(column.name, _field(fields.text(number), column)) for number, column in enumerate(table.fields, at)]
        if document is None and not typed:
            metadata = pa.array(["{}"] * n, pa.string())
        else:
            metadata, bad = merged(document, typed, table.nulls_are_absent)
            problems += [(OBJECT, bad)] if bad is not None else []
        if self.checked:
            twice = ~fields.null[:, at + len(typed)]
            problems += [(TWICE, pa.array(twice))] if twice.any() else []
        columns = {"id": fields.text(1), "namespace": fields.text(0), "metadata": metadata} | vectors
        if problems:
            columns["problem"] = _first(problems, n)
        return RecordBatch(pa.RecordBatch.from_pydict(columns))

    def last_key(self, fields: Fields) -> list[str]:
        """Return the key of the last row, as texts."""
        places = {column.name: number for number, column in enumerate(self.key_parts, start=2)}
        if self.table.namespace is not None:
            places[self.table.namespace.name] = 0
        if len(self.table.id) == 1:
            places[self.table.id[0].name] = 1
        rows = np.array([len(fields) - 1])
        last = Fields(fields.slots.slice(rows[0] * 2 * fields.null.shape[1]), fields.null[rows])
        return [last.text(places[column.name])[0].as_py() for column in self.table.key]


def selection(table: Table, vectors: Sequence[str] | None) -> Selection:
    """Return what to select; `vectors` as in Source.read."""
    chosen = tuple(each for each in table.vectors if vectors is None or each.field.name in vectors)
    return Selection(table, chosen)


def read(
    session: Session, table: Table, part: Partition, after: Cursor | None, vectors: Sequence[str] | None, page_rows: int
) -> Generator[tuple[RecordBatch, Cursor], None, None]:
    """Yield the records of a partition in the order of their keys, each batch with its cursor."""
    chosen = selection(table, vectors)
    key = sql.SQL(", ").join(expressions.order_by(table))
    lower, upper = bounds(part)
    lower = json.loads(after) if after is not None else lower
    statement = sql.SQL("COPY (SELECT {} FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT BINARY)").format(
        sql.SQL(", ").join(chosen.columns), table.identifier, _within(table, lower, upper), key
    )
    with session.transaction(), session.cursor() as cursor:
        if table.key_is_indexed:
            set_local(session, "enable_sort", "off")  # the first row comes at once, and a resume skips what was read
        with cursor.copy(statement) as copy:
            for data, sizes in _pages(copy, page_rows):
                fields = decode.cut(data, sizes, len(chosen.columns))
                last = json.dumps(chosen.last_key(fields), ensure_ascii=False)
                yield chosen.batch(fields), Cursor(last)


def fetch(session: Session, table: Table, keys: Sequence[Key]) -> RecordBatch:
    """Return the records that exist, in the order of `keys`."""
    chosen = selection(table, None)
    found = matching(table, keys)
    statement = sql.SQL("COPY (SELECT {} FROM {} AS t JOIN {} ON {} ORDER BY {}) TO STDOUT (FORMAT BINARY)").format(
        sql.SQL(", ").join(chosen.columns), table.identifier, found.rows, found.condition, found.place
    )
    query = expressions.with_parameters(statement, session)
    chunks: list[bytes] = []
    sizes: list[int] = []
    with session.cursor() as cursor, cursor.copy(query, found.parameters) as copy:
        for data, lengths in _pages(copy, page_rows=1 << 20):
            chunks.append(data)
            sizes += lengths
    return chosen.batch(decode.cut(b"".join(chunks), sizes, len(chosen.columns)))


def _field(values: pa.StringArray, column: Column) -> pa.StringArray:
    return shortest(values, single=column.type == "float4") if column.type in ("float4", "float8") else values


def _within(table: Table, lower: Sequence[str] | None, upper: Sequence[str] | None) -> sql.Composable:
    key = sql.SQL(", ").join(expressions.order_by(table))
    conditions: list[sql.Composable] = [
        sql.SQL("({}) {} ({})").format(key, sql.SQL(sign), sql.SQL(", ").join(expressions.key_values(table, bound)))
        for sign, bound in ((">", lower), ("<=", upper))
        if bound is not None
    ]
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _pages(copy: Iterable[Buffer], page_rows: int) -> Iterator[tuple[bytes, list[int]]]:
    """Yield pages of rows: their bytes joined, and the size of each."""
    rows: list[Buffer] = []
    size = 0
    first = True
    for chunk in copy:  # one row each, but for the header before the first and the trailer
        row = chunk
        if first:
            row, first = chunk[decode.HEADER_BYTES :], False
        if len(row) <= 2:
            continue
        rows.append(row)
        size += len(row)
        if len(rows) >= page_rows or size >= BATCH_BYTES:
            yield b"".join(rows), [len(each) for each in rows]
            rows, size = [], 0
    if rows:
        yield b"".join(rows), [len(each) for each in rows]


def _first(problems: Sequence[tuple[str, pa.Array]], n: int) -> pa.StringArray:
    column = pa.nulls(n, pa.string())
    for reason, where in reversed(problems):
        column = pc.if_else(pc.fill_null(where, False), pa.scalar(reason), column)
    return column
