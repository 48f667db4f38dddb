"""Keys as the types of a table's columns: to join with, and to write."""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from vecmig.connectors.pgvector.records.expressions import namespace_text
from vecmig.connectors.pgvector.schema.table import Column, Table
from vecmig.errors import UnsupportedError
from vecmig.model.batch import Key

INTEGERS = {"int2": 16, "int4": 32, "int8": 64}
TEXTS = ("text", "varchar")
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Matching:
    """A join of a table `t` with the rows of some keys."""

    rows: sql.Composable
    condition: sql.Composable
    place: sql.Composable  # of the key in the sequence
    parameters: list[Any]


def id_parts(table: Table, id: str) -> list[str] | None:
    """Return the texts of the id's columns, or None where the table can hold no such id."""
    if len(table.id) == 1:
        parts: list[Any] = [id]
    else:
        try:
            found = json.loads(id, parse_float=str, parse_int=str)
        except ValueError:
            return None
        if not isinstance(found, list) or len(found) != len(table.id) or any(isinstance(p, list | dict) for p in found):
            return None
        parts = [str(part).lower() if isinstance(part, bool) else part for part in found]
    if any(not fits(column, part) for column, part in zip(table.id, parts, strict=True)):
        return None
    return parts


def fits(column: Column, text: object) -> bool:
    """Return whether a key's column can hold this text, as the very text that it gives back."""
    if not isinstance(text, str) or "\0" in text:
        return False
    if column.type in INTEGERS:
        bits = INTEGERS[column.type] - 1
        return _INTEGER.fullmatch(text) is not None and len(text) < 21 and -(2**bits) <= int(text) < 2**bits
    if column.type == "uuid":
        try:
            return str(uuid.UUID(text)) == text
        except ValueError:
            return False
    return True


def check_told_apart(table: Table) -> None:
    """Raise UnsupportedError where two ids that differ are one key to the table: one record would replace another."""
    for column in (*table.id, *((table.namespace,) if table.namespace else ())):
        if column.folds:
            raise UnsupportedError(
                f"column `{column.name}`, of the key of table {table.collection}, takes values that differ (as in upper"
                " and lower case) for equal, so that one record could replace another: a target's key is of type `text`"
                " with a deterministic collation"
            )


def matching(table: Table, keys: Sequence[Key]) -> Matching:
    """Return the join that finds the records of `keys`; those that the table cannot hold are left out."""
    held = [(place, key, id_parts(table, key.id)) for place, key in enumerate(keys)]
    rows = [
        (place, key.namespace, *parts)
        for place, key, parts in held
        if parts is not None and "\0" not in key.namespace and (table.namespace is not None or not key.namespace)
    ]
    columns = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in range(2 + len(table.id))]
    aliases = [sql.Identifier(f"vecmig {n}") for n in range(len(columns))]
    types = ["bigint[]"] + ["text[]"] * (len(columns) - 1)
    arrays = sql.SQL(", ").join(sql.SQL("%s::" + each) for each in types)
    source = sql.SQL("unnest({}) AS k({})").format(arrays, sql.SQL(", ").join(aliases))
    conditions = [_equal(column, alias) for column, alias in zip(table.id, aliases[2:], strict=True)]
    if table.namespace is not None:
        conditions.append(sql.SQL("{} = {}").format(namespace_text(table), aliases[1]))
    return Matching(source, sql.SQL(" AND ").join(conditions), aliases[0], columns)


def _equal(column: Column, text: sql.Composable) -> sql.Composable:
    if (column.type in INTEGERS or column.type in ("uuid", *TEXTS)) and not column.folds:
        return sql.SQL("{} = {}::{}").format(column.identifier, text, column.sql_type)
    return sql.SQL('{}::text COLLATE "C" = {}').format(column.identifier, text)
