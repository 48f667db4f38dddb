"""Filters as SQL conditions, with the meaning that vecmig.model.filter documents: two-valued, type by type."""

import re
from typing import Any as AnyValue
from typing import assert_never

from psycopg import sql

from vecmig.connectors.pgvector.records.expressions import document_jsonb, field_json
from vecmig.connectors.pgvector.schema.table import Column, Table
from vecmig.model.filter import All, Any, Compare, Filter, Not, Operator, Scalar

OPERATORS = {"eq": "=", "in": "=", "ne": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_DAY = (
    "((?!0000)[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)"
)
# What both Python and PostgreSQL read as a moment: a cast of anything else could fail, and with it the query.
MOMENT = (
    rf"^{_DAY}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{{1,6}})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?)?$"
)

_MOMENT = re.compile(MOMENT)
# No text of PostgreSQL has a NUL: so none stands between what is before it in an operand, and the operand itself.
_BEYOND_NUL: dict[str, Operator] = {"lt": "lte", "lte": "lte", "gt": "gt", "gte": "gt"}

Condition = tuple[sql.Composable, list[AnyValue]]  # with its parameters


def condition(table: Table, filter: Filter) -> Condition:
    """Return the condition that holds for the records which pass: never NULL."""
    match filter:
        case Compare():
            return _compare(table, filter)
        case All(parts):
            return _joined(" AND ", [condition(table, part) for part in parts])
        case Any(parts):
            return _joined(" OR ", [condition(table, part) for part in parts])
        case Not(part):
            query, parameters = condition(table, part)
            return sql.SQL("NOT {}").format(query), parameters
        case _:
            assert_never(filter)


def _joined(word: str, parts: list[Condition]) -> Condition:
    query = sql.SQL(word).join(query for query, _ in parts)
    return sql.SQL("({})").format(query), [value for _, parameters in parts for value in parameters]


def _compare(table: Table, compare: Compare) -> Condition:
    column = next((each for each in table.fields if each.name == compare.field), None)
    if compare.operator == "exists":
        json, parameters = _json(table, compare.field, column)
        sign = sql.SQL("<>" if compare.value else "=")
        return sql.SQL("(coalesce(jsonb_typeof({}), 'null') {} 'null')").format(json, sign), parameters
    operands = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    parts = [
        _native(column, compare.operator, operand) or _generic(table, compare.field, column, compare.operator, operand)
        for operand in operands
    ]
    query, parameters = _joined(" OR ", parts)
    return sql.SQL("{}coalesce({}, false)").format(sql.SQL("NOT " * (compare.operator == "ne")), query), parameters


def _native(column: Column | None, operator: str, operand: Scalar) -> Condition | None:
    """Return a comparison that the column's own index serves, or None where the types do not simply agree."""
    if column is None or column.field_type is None:
        return None
    type_ = {
        "text": "text" if isinstance(operand, str) and not is_moment(operand) else None,
        "int": "bigint" if _is_int(operand) else None,
        "float": "double precision" if isinstance(operand, float) and column.type == "float8" else None,
        "bool": "boolean" if isinstance(operand, bool) else None,
        "datetime": "timestamptz" if isinstance(operand, str) and is_moment(operand) else None,
    }[column.field_type.removesuffix("[]")]
    if type_ is None or (isinstance(operand, str) and "\0" in operand):
        return None
    ordered = operator not in ("eq", "ne", "in")
    if column.array:
        if ordered:
            return None
        cast = sql.SQL("{} @> ARRAY[%s::{}]::{}").format(column.identifier, sql.SQL(type_), column.sql_type)
        return cast, [operand]
    collation = sql.SQL(' COLLATE "C"' if ordered and type_ == "text" else "")
    query = sql.SQL("{}{} {} %s::{}").format(
        column.identifier,
        collation,
        sql.SQL(OPERATORS[operator]),
        sql.SQL(type_),
    )
    return query, [operand]


def _generic(table: Table, field: str, column: Column | None, operator: str, operand: Scalar) -> Condition:
    """Return a comparison with a JSON value, or with any of its elements where it is a list."""
    json, parameters = _json(table, field, column)
    kind, compared, values = _element(operator, operand)
    query = sql.SQL(
        "EXISTS (SELECT 1 FROM jsonb_array_elements(CASE jsonb_typeof({json}) WHEN 'array' THEN {json}"
        " ELSE jsonb_build_array({json}) END) AS e(v) WHERE CASE jsonb_typeof(v) WHEN {kind} THEN {compared} END)"
    ).format(json=json, kind=sql.Literal(kind), compared=compared)
    return query, parameters * 3 + values


def _element(operator: str, operand: Scalar) -> tuple[str, sql.Composable, list[AnyValue]]:
    sign = sql.SQL(OPERATORS[operator])
    text = sql.SQL("(v #>> '{{}}')").format()
    if isinstance(operand, bool):
        return "boolean", sql.SQL("{}::boolean {} %s::boolean").format(text, sign), [operand]
    if isinstance(operand, int | float):
        return "number", sql.SQL("{}::numeric {} %s::numeric").format(text, sign), [repr(operand)]
    is_time = is_moment(operand)
    if "\0" in operand:
        if operator not in _BEYOND_NUL:
            return "string", sql.SQL("false"), []
        sign, operand, is_time = sql.SQL(OPERATORS[_BEYOND_NUL[operator]]), operand.partition("\0")[0], False
    as_text = sql.SQL('{} COLLATE "C" {} %s::text').format(text, sign)
    if not is_time:
        return "string", as_text, [operand]
    as_time = sql.SQL("{}::timestamptz {} %s::timestamptz").format(text, sign)
    both = sql.SQL("CASE WHEN {} ~ {} THEN {} ELSE {} END").format(text, sql.Literal(MOMENT), as_time, as_text)
    return "string", both, [operand, operand]


def _json(table: Table, field: str, column: Column | None) -> Condition:
    """Return the field's value as jsonb, NULL where the record has none."""
    if "\0" in field:
        return sql.SQL("NULL::jsonb"), []
    if column is not None:
        if table.document is None:
            return sql.SQL("{}::jsonb").format(field_json(column)), []
        # what does not fit the column stands in the document
        return sql.SQL("coalesce({}::jsonb, {} -> %s)").format(field_json(column), document_jsonb(table.document)), [
            field
        ]
    if table.document is None:
        return sql.SQL("NULL::jsonb"), []
    return sql.SQL("({} -> %s)").format(document_jsonb(table.document)), [field]


def is_moment(text: str) -> bool:
    """Return whether vecmig's filters compare this text by time."""
    return _MOMENT.fullmatch(text) is not None


def _is_int(operand: Scalar) -> bool:
    return isinstance(operand, int) and not isinstance(operand, bool) and -(2**63) <= operand < 2**63
