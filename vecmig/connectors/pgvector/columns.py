"""The columns of a table that vecmig writes, and a batch's metadata spread over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from vecmig.connectors.pgvector import encode
from vecmig.connectors.pgvector.encode import Encoded
from vecmig.connectors.pgvector.keys import id_parts
from vecmig.connectors.pgvector.table import Column, Table
from vecmig.connectors.pgvector.values import Unfit, encoder_of
from vecmig.errors import UnsupportedError
from vecmig.model.batch import RecordBatch, column_of
from vecmig.model.metadata import dumps, loads

Reasons = dict[int, str]  # why a row cannot be held, by its place in the batch


@dataclass(frozen=True, slots=True)
class Written:
    """n rows as COPY takes them: the columns in the order of the statement."""

    names: tuple[str, ...]
    columns: tuple[Encoded, ...]


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


def spread(table: Table, batch: RecordBatch) -> tuple[dict[str, list[Any]], pa.Array | None, Reasons]:
    """Return the values of the typed columns, the documents as JSON text, and the rows whose metadata does not fit."""
    if table.document is not None and not table.fields:
        return {}, batch.table.column("metadata"), {}
    reasons: Reasons = {}
    values: dict[str, list[Any]] = {column.name: [None] * len(batch) for column in table.fields}
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
    return values, pa.array(documents, pa.binary()) if table.document is not None else None, reasons


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


def encoded(
    table: Table, batch: RecordBatch, values: Mapping[str, Sequence[Any]], documents: pa.Array | None
) -> Written:
    """Return valid rows as COPY takes them."""
    columns: list[tuple[str, Encoded]] = []
    if table.namespace is not None:
        columns.append((table.namespace.name, _keys(table.namespace, batch.strings("namespace"), batch, "namespace")))
    if len(table.id) == 1:
        columns.append((table.id[0].name, _keys(table.id[0], batch.strings("id"), batch, "id")))
    else:
        parts = [id_parts(table, id) or [] for id in batch.strings("id")]
        for column, texts in zip(table.id, zip(*parts, strict=True), strict=True):
            columns.append((column.name, encode.blobs([_key(column, text) for text in texts])))
    for vector in table.vectors:
        name = column_of(vector.field)
        if name not in batch.names:
            continue
        if vector.field.kind == "sparse":
            found = encode.sparse(batch.table.column(name), vector.field.dimensions)
        else:
            rows, present = batch.present_vectors(vector.field.name)
            found = encode.dense(rows, present, len(batch), half=vector.field.kind == "float16")
        columns.append((vector.column.name, found))
    if table.document is not None and documents is not None:
        columns.append((table.document.name, encode.text(documents, b"\1" if table.document.type == "jsonb" else b"")))
    columns += [(column.name, encode.blobs(values[column.name])) for column in table.fields]
    return Written(tuple(name for name, _ in columns), tuple(each for _, each in columns))


def _keys(column: Column, texts: Sequence[str], batch: RecordBatch, name: str) -> Encoded:
    if column.type in ("text", "varchar"):
        return encode.text(batch.table.column(name))
    return encode.blobs([_key(column, text) for text in texts])


def _key(column: Column, text: str) -> bytes:
    encoder = encoder_of(column)
    assert encoder is not None, column.type  # check_writable refused it
    return encoder(int(text) if column.type.startswith("int") else text)
