"""Reading: one COPY out for each partition, cut into batches; the cursor is the key of a batch's last record."""

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from vecmig.connectors.pgvector.client.session import Session, set_local
from vecmig.connectors.pgvector.records import decode, expressions
from vecmig.connectors.pgvector.records.decode import Fields
from vecmig.connectors.pgvector.records.keys import matching
from vecmig.connectors.pgvector.records.merge import OBJECT, TWICE, merged, shortest
from vecmig.connectors.pgvector.records.partitions import bounds
from vecmig.connectors.pgvector.schema.table import Column, Table, Vector
from vecmig.model.batch import Key, RecordBatch, column_of, concat
from vecmig.model.plan import Partition
from vecmig.model.state import Cursor

BATCH_BYTES = 16 << 20
BLOCK_BYTES = 1 << 20
GROUP_ROWS = 32
FRACTIONS = ("float4", "float8", "numeric")
Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a COPY, and whether a batch ends with them."""

    data: bytes
    sizes: list[int]  # of each row, in bytes
    ends_batch: bool


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
        for column, (_, values) in zip(table.fields, typed, strict=True):
            # the only numbers that PostgreSQL's JSON has in quotes
            if column.type in FRACTIONS and pc.any(quoted := pc.match_substring(values, '"')).as_py():
                reason = f"its field `{column.name}` holds NaN or infinity, which JSON cannot hold"
                problems.append((reason, quoted))
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
            parts: list[RecordBatch] = []
            for block in _blocks(copy, page_rows):
                # decoded while the server prepares the next: it waits once the socket is full
                fields = decode.cut(block.data, block.sizes, len(chosen.columns))
                parts.append(chosen.batch(fields))
                if block.ends_batch:
                    last = json.dumps(chosen.last_key(fields), ensure_ascii=False)
                    yield _whole(parts), Cursor(last)
                    parts = []


def fetch(session: Session, table: Table, keys: Sequence[Key]) -> RecordBatch:
    """Return the records that exist, in the order of `keys`."""
    chosen = selection(table, None)
    found = matching(table, keys)
    statement = sql.SQL("COPY (SELECT {} FROM {} AS t JOIN {} ON {} ORDER BY {}) TO STDOUT (FORMAT BINARY)").format(
        sql.SQL(", ").join(chosen.columns), table.identifier, found.rows, found.condition, found.place
    )
    query = expressions.with_parameters(statement, session)
    with session.cursor() as cursor, cursor.copy(query, found.parameters) as copy:
        blocks = [(block.data, block.sizes) for block in _blocks(copy, page_rows=max(1, len(keys)))]
    parts = [chosen.batch(decode.cut(data, sizes, len(chosen.columns))) for data, sizes in blocks or [(b"", [])]]
    return _whole(parts)


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


def _blocks(copy: Iterable[Buffer], page_rows: int) -> Iterator[Block]:
    """Yield blocks of about BLOCK_BYTES; a batch ends with every BATCH_BYTES or `page_rows`, and with the last row."""
    block: list[Buffer] = []
    size = batch_rows = batch_size = 0
    for group in _groups(copy, page_rows):
        full = batch_rows + len(group) > page_rows or batch_size >= BATCH_BYTES
        if full or size >= BLOCK_BYTES:
            yield Block(b"".join(block), list(map(len, block)), full)
            block, size = [], 0
            if full:
                batch_rows = batch_size = 0
        block += group
        more = sum(map(len, group))
        size, batch_size, batch_rows = size + more, batch_size + more, batch_rows + len(group)
    if block:
        yield Block(b"".join(block), list(map(len, block)), True)


def _groups(copy: Iterable[Buffer], page_rows: int) -> Iterator[list[Buffer]]:
    """Yield the rows of a COPY, some at once, which costs less than one by one; page_rows is a multiple of each.

    The first one comes with the header, and after the last comes the trailer.
    """
    chunks = iter(copy)
    many = next(n for n in range(min(GROUP_ROWS, page_rows), 0, -1) if page_rows % n == 0)
    lead = decode.HEADER_BYTES
    while group := list(islice(chunks, many)):
        group[0], lead = group[0][lead:], 0
        if len(group[-1]) <= len(decode.TRAILER):
            group.pop()
        if group:
            yield group


def _whole(parts: Sequence[RecordBatch]) -> RecordBatch:
    return parts[0] if len(parts) == 1 else concat(parts)


def _first(problems: Sequence[tuple[str, pa.Array]], n: int) -> pa.StringArray:
    column = pa.nulls(n, pa.string())
    for reason, where in reversed(problems):
        column = pc.if_else(pc.fill_null(where, False), pa.scalar(reason), column)
    return column
