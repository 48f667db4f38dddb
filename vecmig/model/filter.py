"""The filter language of every store: what it says, and what it means for a record in memory."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Literal, assert_never

from msgspec import Struct

Scalar = str | int | float | bool
Operator = Literal["eq", "ne", "in", "gt", "gte", "lt", "lte", "exists"]
OPERATORS: tuple[Operator, ...] = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "exists")


class Compare(Struct, frozen=True, tag=True):
    """`value` is a list for `in`, a bool for `exists`. A list in a record matches where one of its elements does.

    Two-valued: a record without the field does not match, but for `ne` and for `exists: false`. Numbers compare with
    numbers, texts with texts by code point (two ISO dates by time), and anything else does not match.
    """

    field: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


class All(Struct, frozen=True, tag=True):
    parts: tuple["Filter", ...]


class Any(Struct, frozen=True, tag=True):
    parts: tuple["Filter", ...]


class Not(Struct, frozen=True, tag=True):
    part: "Filter"


Filter = Compare | All | Any | Not


def parse(document: object) -> Filter:
    """Return the filter that `{a: 1, b: {gte: 2}, any: [...]}` says. Raises ValueError that names what is wrong."""
    if not isinstance(document, Mapping) or not document:
        raise ValueError("a filter is a mapping such as {tenant: acme} or {created: {gte: 2026-01-01}}")
    parts: list[Filter] = []
    for name, value in document.items():
        if name in ("all", "any"):
            if not isinstance(value, list) or not value:
                raise ValueError(f"`{name}` takes a list of filters")
            children = tuple(map(parse, value))
            parts.append(All(children) if name == "all" else Any(children))
        elif name == "not":
            parts.append(Not(parse(value)))
        elif isinstance(value, Mapping):
            if not value:
                raise ValueError(f"`{name}` has no comparison; one of {', '.join(OPERATORS)}")
            parts.extend(_compare(str(name), operator, operand) for operator, operand in value.items())
        else:
            parts.append(_compare(str(name), "eq", value))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _compare(field: str, operator: object, value: object) -> Compare:
    known = next((each for each in OPERATORS if each == operator), None)
    if known is None:
        raise ValueError(f"`{operator}` is no comparison; one of {', '.join(OPERATORS)}")
    if known == "in":
        if not isinstance(value, list) or not value or not all(isinstance(each, Scalar) for each in value):
            raise ValueError(f"`{field}: {{in: …}}` takes a list of values")
        return Compare(field, known, tuple(value))
    if known == "exists" and not isinstance(value, bool):
        raise ValueError(f"`{field}: {{exists: …}}` takes true or false")
    if not isinstance(value, Scalar):
        raise ValueError(f"`{field}` is compared with a text, a number, true or false")
    return Compare(field, known, value)


def fields_of(filter: Filter) -> frozenset[str]:
    """Return the names of the fields that a filter reads."""
    match filter:
        case Compare():
            return frozenset({filter.field})
        case All() | Any():
            return frozenset().union(*map(fields_of, filter.parts))
        case Not():
            return fields_of(filter.part)
        case _:
            assert_never(filter)


def matches(filter: Filter, metadata: Mapping[str, object]) -> bool:
    """Return whether a record passes."""
    match filter:
        case Compare():
            return _holds(filter, metadata.get(filter.field))
        case All():
            return all(matches(part, metadata) for part in filter.parts)
        case Any():
            return any(matches(part, metadata) for part in filter.parts)
        case Not():
            return not matches(filter.part, metadata)
        case _:
            assert_never(filter)


def describe(filter: Filter) -> str:
    """Return the filter as one line for people."""
    match filter:
        case Compare(field, operator, value):
            sign = {"eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}.get(operator, operator)
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            return f"{field} {sign} {shown}"
        case All():
            return " and ".join(
                f"({describe(part)})" if isinstance(part, Any) else describe(part) for part in filter.parts
            )
        case Any():
            return " or ".join(
                f"({describe(part)})" if isinstance(part, All) else describe(part) for part in filter.parts
            )
        case Not():
            return f"not ({describe(filter.part)})"
        case _:
            assert_never(filter)


def _holds(compare: Compare, actual: object) -> bool:
    match compare.operator:
        case "exists":
            return (actual is not None) == compare.value
        case "ne":
            return not _holds(Compare(compare.field, "eq", compare.value), actual)
    values: Sequence[object] = actual if isinstance(actual, list) else [actual]
    operands = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    return any(_ordered(compare.operator, value, operand) for value in values for operand in operands)


def _ordered(operator: str, left: object, right: object) -> bool:
    if isinstance(left, bool) != isinstance(right, bool) or isinstance(left, str) != isinstance(right, str):
        return False
    if left is None or isinstance(left, dict | list):
        return False
    a, b = left, right
    if isinstance(left, str) and isinstance(right, str):
        a, b = _moment(left), _moment(right)
        if a is None or b is None:
            a, b = left, right
    if operator in ("eq", "in"):
        return bool(a == b)
    compare = {"gt": gt, "gte": ge, "lt": lt, "lte": le}[operator]
    return bool(compare(a, b))  # type: ignore[arg-type]  # of one type by now


def _moment(text: str) -> datetime | None:
    if not text[:4].isdigit() or text[4:5] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
