"""Filters in Weaviate's messages, with the meaning that vecmig.model.filter documents, or refused.

Seen on 1.38: a text is compared without the white space around it; an empty text or list is null; a list passes where one
of its elements does, for NotEqual where none does; times are 64 bits of nanoseconds, so those before 1677 and after 2262
stand in no order with others. What stands in no property, such as an integer over 2**53, no filter finds.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any as AnyValue
from typing import assert_never
from uuid import UUID

from vecmig.connectors.weaviate.client.proto import base_pb2
from vecmig.connectors.weaviate.limits import EXACT
from vecmig.connectors.weaviate.schema.layout import Layout, Property
from vecmig.errors import UnsupportedError
from vecmig.model.filter import All, Any, Compare, Filter, Not, Scalar, describe

NEGATION = (1, 33)  # the first version that negates
FIRST, LAST = datetime(1677, 9, 22, tzinfo=UTC), datetime(2262, 4, 11, tzinfo=UTC)
_F = base_pb2.Filters
_RANGES: dict[str, AnyValue] = {
    "gt": _F.OPERATOR_GREATER_THAN,
    "gte": _F.OPERATOR_GREATER_THAN_EQUAL,
    "lt": _F.OPERATOR_LESS_THAN,
    "lte": _F.OPERATOR_LESS_THAN_EQUAL,
}
_KINDS = {
    "text": "value_text",
    "uuid": "value_text",
    "date": "value_text",
    "int": "value_number",
    "number": "value_number",
    "boolean": "value_boolean",
}


def message(layout: Layout, version: tuple[int, ...], filter: Filter) -> AnyValue:
    """Return the filter for a server of this version. Raises UnsupportedError, with the way out, for what it cannot say."""
    match filter:
        case Compare():
            return _compared(layout, filter)
        case All(parts):
            return _joined(_F.OPERATOR_AND, [message(layout, version, part) for part in parts])
        case Any(parts):
            return _joined(_F.OPERATOR_OR, [message(layout, version, part) for part in parts])
        case Not(part):
            return _negated(layout, version, part)
        case _:
            assert_never(filter)


def _negated(layout: Layout, version: tuple[int, ...], filter: Filter) -> AnyValue:
    """Push a negation down to the comparisons, most of which have an opposite that every version knows."""
    match filter:
        case Compare(field, "exists", value):
            return _compared(layout, Compare(field, "exists", not value))
        case Compare(field, "eq" | "ne", value):
            return _compared(layout, Compare(field, "ne" if filter.operator == "eq" else "eq", value))
        case Compare(_, "in"):
            return _joined(_F.OPERATOR_AND, _each(layout, filter, _F.OPERATOR_NOT_EQUAL))
        case Compare():
            if version < NEGATION:
                raise UnsupportedError(
                    f"Weaviate negates a range ({describe(filter)}) from version {'.'.join(map(str, NEGATION))} on: say the"
                    " opposite range, and `exists: false` for records without the field"
                )
            return _F(operator=_F.OPERATOR_NOT, filters=[_compared(layout, filter)])
        case All(parts):
            return _joined(_F.OPERATOR_OR, [_negated(layout, version, part) for part in parts])
        case Any(parts):
            return _joined(_F.OPERATOR_AND, [_negated(layout, version, part) for part in parts])
        case Not(part):
            return message(layout, version, part)
        case _:
            assert_never(filter)


def _joined(operator: AnyValue, parts: Sequence[AnyValue]) -> AnyValue:
    return parts[0] if len(parts) == 1 else _F(operator=operator, filters=parts)


def _compared(layout: Layout, compare: Compare) -> AnyValue:
    match compare.operator:
        case "exists":
            return _exists(layout, _property(layout, compare), compare)
        case "eq" | "in":
            return _joined(_F.OPERATOR_OR, _each(layout, compare, _F.OPERATOR_EQUAL))
        case "ne":
            (one,) = _each(layout, compare, _F.OPERATOR_NOT_EQUAL)
            return one
    (one,) = _each(layout, compare, _RANGES[compare.operator])
    return one


def _each(layout: Layout, compare: Compare, operator: AnyValue) -> list[AnyValue]:
    """Return a comparison for each operand."""
    where = _property(layout, compare)
    operands = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    return [_one(where, operator, **{_KINDS[_kind(where)]: _operand(where, each, compare)}) for each in operands]


def _one(where: Property, operator: AnyValue, **value: AnyValue) -> AnyValue:
    return _F(operator=operator, target=base_pb2.FilterTarget(property=where.name), **value)


def _kind(where: Property) -> str:
    return where.type.removesuffix("[]")


def _property(layout: Layout, compare: Compare) -> Property:
    """Return the property that holds a field, if filters of it mean the same."""
    where = next((each for each in layout.properties if each.key == compare.field), None)
    if where is None or not where.filterable:
        raise UnsupportedError(
            f"`{compare.field}` is no property that Weaviate filters by ({describe(compare)}): declare it in `fields`"
            " with `filter: true`"
        )
    if _kind(where) not in _KINDS:
        raise _incomparable(where, compare)
    if _kind(where) == "text" and where.tokenization != "field":
        raise UnsupportedError(
            f"property `{where.name}` is cut into words (tokenization {where.tokenization}), so a filter finds parts of its"
            f" texts ({describe(compare)}): only a property with tokenization `field` is compared as a whole"
        )
    return where


def _exists(layout: Layout, where: Property, compare: Compare) -> AnyValue:
    if not layout.has_null_state:
        raise UnsupportedError(
            f"the collection has no index of what is absent ({describe(compare)}), which only a new one gets: say"
            " `inverted_index: {null_state: true}` there"
        )
    if where.type.endswith("[]"):
        raise UnsupportedError(
            f"Weaviate takes an empty list for an absent one ({describe(compare)}): say which values are meant"
        )
    null = _one(where, _F.OPERATOR_IS_NULL, value_boolean=not compare.value)
    if where.type != "text":
        return null
    if compare.value:  # an empty text is null, and found as what it is
        return _joined(_F.OPERATOR_OR, [null, _one(where, _F.OPERATOR_EQUAL, value_text="")])
    return _joined(_F.OPERATOR_AND, [null, _one(where, _F.OPERATOR_NOT_EQUAL, value_text="")])


def _operand(where: Property, operand: Scalar, compare: Compare) -> Scalar:
    match _kind(where), operand:
        case "boolean", bool():
            return operand
        case "text", str():
            return _text(where, operand, compare)
        case "date", str():
            return _moment(where, operand, compare)
        case "uuid", str() if _is_uuid(operand):
            return operand
        case "int" | "number" as kind, int() | float() if not isinstance(operand, bool):
            return _number(kind, operand, compare)
    raise _incomparable(where, compare)


def _text(where: Property, operand: str, compare: Compare) -> str:
    if operand != operand.strip():
        raise UnsupportedError(f"Weaviate compares texts without the white space around them ({describe(compare)})")
    if _parsed(operand) is not None:
        raise UnsupportedError(
            f"property `{where.name}` is text to Weaviate, and texts are not compared as times ({describe(compare)}):"
            f" declare `{compare.field}` as datetime"
        )
    return operand


def _moment(where: Property, operand: str, compare: Compare) -> str:
    moment = _parsed(operand)
    if moment is None:
        raise _incomparable(where, compare)
    if not FIRST <= moment <= LAST:
        raise UnsupportedError(f"Weaviate compares times from 1677 to 2262 only ({describe(compare)})")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parsed(text: str) -> datetime | None:
    """Return what a filter takes for a time, as vecmig.model.filter does; without a zone it is in UTC."""
    if not text[:4].isdigit() or text[4:5] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _number(kind: str, operand: int | float, compare: Compare) -> float:
    if not math.isfinite(operand) or (abs(operand) > EXACT and (kind == "int" or isinstance(operand, int))):
        raise UnsupportedError(f"Weaviate keeps numbers as doubles, which cannot hold {operand} ({describe(compare)})")
    if kind == "number" or operand == int(operand):
        return float(operand)
    if compare.operator not in _RANGES:
        raise UnsupportedError(f"`{compare.field}` holds integers, so none is equal to {operand} ({describe(compare)})")
    # above 1.5 is at least 2, which is above 1
    return float(math.floor(operand) if compare.operator in ("gt", "lte") else math.ceil(operand))


def _incomparable(where: Property, compare: Compare) -> UnsupportedError:
    return UnsupportedError(f"property `{where.name}` is {where.type}, which is not compared so ({describe(compare)})")
