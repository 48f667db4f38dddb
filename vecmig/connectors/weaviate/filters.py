"""Filters in Weaviate's messages, with the meaning that vecmig.model.filter documents, or refused."""

from collections.abc import Sequence
from typing import Any as AnyValue
from typing import assert_never

from vecmig.connectors.weaviate.layout import Layout, Property
from vecmig.connectors.weaviate.proto import base_pb2
from vecmig.errors import UnsupportedError
from vecmig.model.filter import All, Any, Compare, Filter, Not, Scalar, describe

_OPERATORS: dict[str, AnyValue] = {
    "eq": base_pb2.Filters.OPERATOR_EQUAL,
    "gt": base_pb2.Filters.OPERATOR_GREATER_THAN,
    "gte": base_pb2.Filters.OPERATOR_GREATER_THAN_EQUAL,
    "lt": base_pb2.Filters.OPERATOR_LESS_THAN,
    "lte": base_pb2.Filters.OPERATOR_LESS_THAN_EQUAL,
}
_VALUES: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "text": ("value_text", str),
    "uuid": ("value_text", str),
    "date": ("value_text", str),
    "int": ("value_number", (int, float)),
    "number": ("value_number", (int, float)),
    "boolean": ("value_boolean", bool),
}


def message(layout: Layout, filter: Filter) -> AnyValue:
    """Return the filter. Raises UnsupportedError, with the way out, for what Weaviate cannot say."""
    match filter:
        case Compare():
            return _compare(layout, filter)
        case All(parts):
            return _joined(base_pb2.Filters.OPERATOR_AND, [message(layout, part) for part in parts])
        case Any(parts):
            return _joined(base_pb2.Filters.OPERATOR_OR, [message(layout, part) for part in parts])
        case Not():
            raise UnsupportedError(f"Weaviate's filters are not negated here ({describe(filter)}): say the opposite")
        case _:
            assert_never(filter)


def _joined(operator: AnyValue, parts: Sequence[AnyValue]) -> AnyValue:
    return parts[0] if len(parts) == 1 else base_pb2.Filters(operator=operator, filters=parts)


def _compare(layout: Layout, compare: Compare) -> AnyValue:
    where = next((each for each in layout.properties if each.key == compare.field), None)
    if where is None or not where.filterable:
        raise UnsupportedError(
            f"`{compare.field}` is no property that Weaviate filters by ({describe(compare)}): declare it in `fields`"
            " with `filter: true`"
        )
    if compare.operator in ("ne", "exists"):
        raise UnsupportedError(
            f"records without `{compare.field}` cannot be asked for in Weaviate ({describe(compare)}): say which values"
            " are meant"
        )
    if compare.operator not in ("eq", "in") and where.type.removesuffix("[]") == "text":
        raise UnsupportedError(
            f"texts are not compared in ranges here ({describe(compare)}): declare a number or a datetime"
        )
    operands = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    operator = _OPERATORS["eq" if compare.operator == "in" else compare.operator]
    return _joined(base_pb2.Filters.OPERATOR_OR, [_one(where, operator, operand, compare) for operand in operands])


def _one(where: Property, operator: AnyValue, operand: Scalar, compare: Compare) -> AnyValue:
    key, types = _VALUES.get(where.type.removesuffix("[]"), ("", ()))
    if not key or not isinstance(operand, types) or (isinstance(operand, bool) and key != "value_boolean"):
        raise UnsupportedError(
            f"property `{where.name}` is {where.type}, which is not compared so ({describe(compare)})"
        )
    value: AnyValue = float(operand) if key == "value_number" else _dated(where, operand)
    return base_pb2.Filters(operator=operator, target=base_pb2.FilterTarget(property=where.name), **{key: value})


def _dated(where: Property, operand: Scalar) -> Scalar:
    """Return a day as its first moment, which the server wants in full."""
    if where.type.removesuffix("[]") != "date" or not isinstance(operand, str):
        return operand
    whole = operand if "T" in operand else f"{operand}T00:00:00"
    return whole if whole.endswith("Z") or "+" in whole[10:] or "-" in whole[10:] else f"{whole}Z"
