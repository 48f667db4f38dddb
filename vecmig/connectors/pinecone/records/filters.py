"""Filters in Pinecone's language, with the meaning that vecmig.model.filter documents, or refused.

(Pinecone's page "Filter by metadata": $eq, $ne, $in, $nin and $exists of texts, numbers and booleans, $gt, $gte, $lt and
$lte of numbers, $and and $or.)
"""

from datetime import UTC, datetime
from typing import assert_never

from vecmig.connectors.pinecone.records.metadata import EXACT, Encoding
from vecmig.errors import UnsupportedError
from vecmig.model.filter import All, Any, Compare, Filter, Not, Scalar, describe

Condition = dict[str, object]
_OPPOSITE = {"eq": "ne", "ne": "eq", "in": "nin"}


def condition(encoding: Encoding, filter: Filter) -> Condition:
    """Return the condition that holds for the records which pass. Raises UnsupportedError, with the way out."""
    match filter:
        case Compare():
            return _compare(encoding, filter)
        case All(parts):
            return {"$and": [condition(encoding, part) for part in parts]}
        case Any(parts):
            return {"$or": [condition(encoding, part) for part in parts]}
        case Not(part):
            return _negated(encoding, part)
        case _:
            assert_never(filter)


def _negated(encoding: Encoding, filter: Filter) -> Condition:
    """Push a negation down to the comparisons: Pinecone has none of its own."""
    match filter:
        case Compare(_, "exists", value):
            return _compare(encoding, Compare(filter.field, "exists", not value))
        case Compare(_, "eq" | "ne" | "in"):
            return _compare(encoding, filter, _OPPOSITE[filter.operator])
        case Compare():
            raise UnsupportedError(
                f"Pinecone cannot negate a range ({describe(filter)}): say the opposite range, and `exists: false` for"
                " records without the field"
            )
        case All(parts):
            return {"$or": [_negated(encoding, part) for part in parts]}
        case Any(parts):
            return {"$and": [_negated(encoding, part) for part in parts]}
        case Not(part):
            return condition(encoding, part)
        case _:
            assert_never(filter)


def _compare(encoding: Encoding, compare: Compare, operator: str | None = None) -> Condition:
    operator = operator or compare.operator
    name = encoding.name_of(compare.field)
    if operator == "exists":
        return {name: {"$exists": compare.value}}
    many = isinstance(compare.value, tuple)
    operands = [
        _operand(encoding, compare, each)
        for each in (compare.value if isinstance(compare.value, tuple) else (compare.value,))
    ]
    if operator not in ("eq", "ne", "in", "nin") and not all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in operands
    ):
        raise UnsupportedError(
            f"Pinecone compares ranges of numbers only ({describe(compare)}): a time is one where `fields` declares"
            f" `{compare.field}` as datetime"
        )
    return {name: {f"${operator}": operands if many else operands[0]}}


def _operand(encoding: Encoding, compare: Compare, value: Scalar) -> Scalar:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > EXACT:
        raise UnsupportedError(f"Pinecone keeps numbers as doubles, which cannot hold {value} ({describe(compare)})")
    if compare.field in encoding.times and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return value
