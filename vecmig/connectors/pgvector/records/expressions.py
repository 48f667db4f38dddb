"""SQL expressions that give a record's parts: key as text, fields and document as JSON text."""

from collections.abc import Sequence

from psycopg import sql

from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.schema.table import Column, Table

_UTC = """
    CASE WHEN isfinite({0}) AND {0} >= '0001-01-01Z' AND {0} < '10000-01-01Z'
    THEN to_char({0} AT TIME ZONE 'UTC', CASE WHEN {0} = date_trunc('second', {0})
        THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"' ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END)
    ELSE {0}::text END
"""


def namespace_text(table: Table) -> sql.Composable:
    """Return the namespace as text: '' where there is none."""
    column = table.namespace
    if column is None:
        return sql.SQL("''::text")
    if column.not_null and column.type == "text" and not column.folds:
        return column.identifier
    collation = sql.SQL(' COLLATE "C"' if column.folds else "")
    return sql.SQL("coalesce({}::text, ''){}").format(column.identifier, collation)


def id_text(table: Table) -> sql.Composable:
    """Return the id as text: that of its column, or a JSON array of several."""
    if len(table.id) > 1:
        columns = sql.SQL(", ").join(column.identifier for column in table.id)
        return sql.SQL("json_build_array({})::text").format(columns)
    (column,) = table.id
    return column.identifier if column.type == "text" else sql.SQL("{}::text").format(column.identifier)


def key_text(column: Column, nullable: bool) -> sql.Composable:
    """Return a key's column as the text that `key_value` reads back."""
    text = sql.SQL("{}::text").format(column.identifier)
    return sql.SQL("coalesce({}, '')").format(text) if nullable else text


def order_by(table: Table) -> list[sql.Composable]:
    """Return what the key is compared and sorted by: in the columns' own types, so that their index serves.

    With the table's name: to ORDER BY, a column's name alone would be that of a column selected, which is the id as text.
    """
    return [
        key_text(column, True)
        if column is table.namespace and not column.not_null
        else sql.Identifier(table.name, column.name)
        for column in table.key
    ]


def key_values(table: Table, values: Sequence[str]) -> list[sql.Composable]:
    """Return the texts of a key as literals of its columns' types."""
    return [
        sql.Literal(value)
        if column is table.namespace and not column.not_null
        else sql.SQL("{}::{}").format(sql.Literal(value), column.sql_type)
        for column, value in zip(table.key, values, strict=True)
    ]


def field_json(column: Column) -> sql.Composable:
    """Return a column as JSON text, NULL where it is null: numbers exact, times in UTC as ISO text."""
    if column.type == "timestamptz":
        if not column.array:
            return sql.SQL("to_json({})::text").format(sql.SQL(_UTC).format(column.identifier))
        return sql.SQL(
            "CASE WHEN {0} IS NOT NULL THEN coalesce((SELECT json_agg({1} ORDER BY place)::text"
            " FROM unnest({0}) WITH ORDINALITY AS u(each, place)), '[]') END"
        ).format(column.identifier, sql.SQL(_UTC).format(sql.Identifier("each")))
    return sql.SQL("to_json({})::text").format(column.identifier)


def document_text(column: Column) -> sql.Composable:
    """Return the document as JSON text."""
    return sql.SQL("{}::text").format(column.identifier)


def document_jsonb(column: Column) -> sql.Composable:
    return column.identifier if column.type == "jsonb" else sql.SQL("{}::jsonb").format(column.identifier)


def stands_twice(table: Table) -> sql.Composable:
    """Return whether a field is in its column and in the document, too, so that one would hide the other."""
    assert table.document is not None
    each = [
        sql.SQL("({} IS NOT NULL AND {} ? {})").format(
            column.identifier, document_jsonb(table.document), sql.Literal(column.name)
        )
        for column in table.fields
    ]
    return sql.SQL(" OR ").join(each)


def vector_value(table: Table, column: Column) -> sql.Composable:
    """Return the vector in pgvector's type: arrays of numbers are cast."""
    if not column.array:
        return column.identifier
    return sql.SQL("{}::{}").format(column.identifier, sql.Identifier(table.extension_schema, "vector"))


def with_parameters(query: sql.Composable, session: Session) -> bytes:
    """Return a statement that is executed with parameters: a percent sign of a name or literal is no placeholder."""
    if isinstance(query, sql.Composed):
        return b"".join(with_parameters(part, session) for part in query)
    text = query.as_bytes(session)
    return text if isinstance(query, sql.SQL) else text.replace(b"%", b"%%")
