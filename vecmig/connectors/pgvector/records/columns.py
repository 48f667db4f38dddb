"""The columns of a table that vecmig writes, and a batch's metadata spread over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vecmig.connectors.pgvector.records import encode
from vecmig.connectors.pgvector.records.encode import Encoded
from vecmig.connectors.pgvector.records.keys import INTEGERS, TEXTS, id_parts
from vecmig.connectors.pgvector.records.values import Unfit, encoder_of
from vecmig.connectors.pgvector.schema.table import Column, Table
from vecmig.errors import UnsupportedError
from vecmig.model.batch import RecordBatch, column_of
from vecmig.model.metadata import dumps, loads

Reasons = dict[int, str]  # why a row cannot be held, by its place in the batch


@dataclass(frozen=True, slots=True)
class Rows:
    """n records that the table can hold, with their metadata spread over its columns."""

    table: Table
    batch: RecordBatch
    values: Mapping[str, Sequence[bytes | None]]  # of each typed column, (n,)
    documents: pa.Array | None  # (n,) JSON texts

    def __len__(self) -> int:
        return len(self.batch)

    def slice(self, start: int, length: int) -> "Rows":
        values = {name: column[start : start + length] for name, column in self.values.items()}
        documents = self.documents.slice(start, length) if self.documents is not None else None
        return Rows(self.table, self.batch.slice(start, length), values, documents)

    @property
    def names(self) -> list[str]:
        """The columns that are written, in the order of `encoded`."""
        table = self.table
        key = [column.name for column in (*((table.namespace,) if table.namespace else ()), *table.id)]
        vectors = [vector.column.name for vector in table.vectors if column_of(vector.field) in self.batch.names]
        documents = [table.document.name] if table.document is not None else []
        return [*key, *vectors, *documents, *(column.name for column in table.fields)]


def check_writable(table: Table) -> None:
    """Raise UnsupportedError where records cannot be put into a table that vecmig did not make."""
    if table.kind not in ("r", "p"):
        raise UnsupportedError(f"{table.collection} is a view or the like: only a table can be a target")
    key = {column.name for column in (*table.id, *((table.namespace,) if table.namespace else ()))}
    if not any(set(names) == key for names in table.keys):
        raise UnsupportedError(
            f"table {table.collection} has no unique index on {', '.join(sorted(key))}, by which a record would be found"
            " again: make one, or name its key in `columns`"
        )
    if table.namespace is not None and not table.namespace.not_null:
        column = table.namespace
        raise UnsupportedError(
            f"column `{column.name}`, the namespace, of table {table.collection} may be NULL, which is read as '' but is"
            f" not found again by it, so that records would be doubled: set it to '' where it is NULL, then `ALTER TABLE"
            f" … ALTER COLUMN … SET NOT NULL`; or leave `columns.namespace` out"
        )
    for column in (*table.id, *table.fields, *((table.namespace,) if table.namespace else ())):
        if encoder_of(column) is None:
            raise UnsupportedError(
                f"column `{column.name}` of table {table.collection} is {column.type}, which vecmig reads but does not"
                " write: leave it out of `columns.metadata`, or change its type"
            )
    for vector in table.vectors:
        if vector.column.array:
            raise UnsupportedError(
                f"column `{vector.column.name}` of table {table.collection} is an array: a target's vectors are of type"
                " vector, halfvec or sparsevec"
            )


def spread(table: Table, batch: RecordBatch) -> tuple[Rows, Reasons]:
    """Return the records with their metadata spread over columns, and those whose metadata does not fit: leave them out."""
    if table.document is not None and not table.fields:
        return Rows(table, batch, {}, batch.table.column("metadata")), {}
    reasons: Reasons = {}
    values: dict[str, list[bytes | None]] = {column.name: [None] * len(batch) for column in table.fields}
    documents: list[bytes | None] = [None] * len(batch)
    for row, text in enumerate(batch.bytes_of("metadata")):
        try:
            rest = loads(text)
            for column in table.fields:
                if (value := rest.get(column.name)) is not None:
                    values[column.name][row] = _value(column, value)
                    del rest[column.name]
                elif not table.nulls_are_absent:
                    rest.pop(column.name, None)
            if table.document is not None:
                documents[row] = dumps(rest)
            elif rest:
                raise ValueError(f"the table has no column for its field `{next(iter(rest))}`, and none for the rest")
        except ValueError as error:
            reasons[row] = str(error)
    texts = pa.array(documents, pa.binary()) if table.document is not None else None
    return Rows(table, batch, values, texts), reasons


def _value(column: Column, value: object) -> bytes:
    encoder = encoder_of(column)
    assert encoder is not None, column.type  # check_writable refused it
    if column.type in ("json", "jsonb") and not column.array:
        return encoder(value)
    try:
        if not column.array:
            return encoder(value)
        if not isinstance(value, list):
            raise Unfit("elements")
        return encode.array([None if each is None else encoder(each) for each in value], column.type_oid)
    except Unfit as unfit:
        kind = "a list whose every element is " if column.array else ""
        raise ValueError(f"its field `{column.name}` does not fit the column, which holds {kind}{unfit}") from None


def encoded(rows: Rows) -> list[Encoded]:
    """Return the columns as COPY takes them."""
    table, batch = rows.table, rows.batch
    columns: list[Encoded] = []
    if table.namespace is not None:
        columns.append(_keys(table.namespace, batch, "namespace"))
    if len(table.id) == 1:
        columns.append(_keys(table.id[0], batch, "id"))
    else:
        parts = [id_parts(table, id) or [] for id in batch.strings("id")]
        for column, texts in zip(table.id, zip(*parts, strict=True), strict=True):
            columns.append(encode.blobs([_key(column, text) for text in texts]))
    for vector in table.vectors:
        name = column_of(vector.field)
        if name not in batch.names:
            continue
        if vector.field.kind == "sparse":
            columns.append(encode.sparse(batch.table.column(name), vector.field.dimensions))
        else:
            places, present = batch.present_vectors(vector.field.name)
            columns.append(encode.dense(places, present, len(batch), half=vector.field.kind == "float16"))
    if table.document is not None and rows.documents is not None:
        columns.append(encode.text(rows.documents, b"\1" if table.document.type == "jsonb" else b""))
    columns += [encode.blobs(rows.values[column.name]) for column in table.fields]
    return columns


def _keys(column: Column, batch: RecordBatch, name: str) -> Encoded:
    if column.type in TEXTS:
        return encode.text(batch.table.column(name))
    return encode.blobs([_key(column, text) for text in batch.strings(name)])


def _key(column: Column, text: str) -> bytes:
    encoder = encoder_of(column)
    assert encoder is not None, column.type  # check_writable refused it
    return encoder(int(text) if column.type in INTEGERS else text)
