"""Pinecone's metadata filter language. A comparison with a field that is absent, or of another type, is false;
`$ne` and `$nin` are then true."""

from collections.abc import Callable
from typing import Any

from tests.doubles.pinecone.errors import Refused
from tests.doubles.pinecone.store import Json

Test = Callable[[Json], bool]


def compile(filter: Any) -> Test:
    """A function from metadata to whether it matches. Raises Refused for a filter that is malformed."""
    if not isinstance(filter, dict):
        raise Refused("Filter must be an object")
    tests = [_entry(key, value) for key, value in filter.items()]
    return lambda metadata: all(test(metadata) for test in tests)


def _entry(key: str, value: Any) -> Test:
    if key in ("$and", "$or"):
        if not isinstance(value, list) or not value:
            raise Refused(f"'{key}' must be a non-empty list of filters")
        tests = [compile(item) for item in value]
        fold = all if key == "$and" else any
        return lambda metadata: fold(test(metadata) for test in tests)
    if key.startswith("$"):
        raise Refused(f"'{key}' is not a valid field name or operator at the top of a filter")
    if not isinstance(value, dict):
        return _comparison(key, "$eq", value)
    if not value:
        raise Refused(f"Filter of field '{key}' is empty")
    comparisons = [_comparison(key, operator, operand) for operator, operand in value.items()]
    return lambda metadata: all(comparison(metadata) for comparison in comparisons)


def _comparison(field: str, operator: str, operand: Any) -> Test:
    _check_operand(field, operator, operand)
    match operator:
        case "$exists":
            return lambda metadata: (field in metadata) == operand
        case "$eq":
            return lambda metadata: _holds(metadata.get(field), operand)
        case "$ne":
            return lambda metadata: not _holds(metadata.get(field), operand)
        case "$in":
            return lambda metadata: any(_holds(metadata.get(field), item) for item in operand)
        case "$nin":
            return lambda metadata: not any(_holds(metadata.get(field), item) for item in operand)
        case "$gt":
            return lambda metadata: _is_number(metadata.get(field)) and metadata[field] > operand
        case "$gte":
            return lambda metadata: _is_number(metadata.get(field)) and metadata[field] >= operand
        case "$lt":
            return lambda metadata: _is_number(metadata.get(field)) and metadata[field] < operand
        case _:
            return lambda metadata: _is_number(metadata.get(field)) and metadata[field] <= operand


def _check_operand(field: str, operator: str, operand: Any) -> None:
    if operator == "$exists":
        is_good = isinstance(operand, bool)
    elif operator in ("$eq", "$ne"):
        is_good = isinstance(operand, str | bool | int | float)
    elif operator in ("$in", "$nin"):
        is_good = isinstance(operand, list) and all(isinstance(item, str | bool | int | float) for item in operand)
    elif operator in ("$gt", "$gte", "$lt", "$lte"):
        is_good = _is_number(operand)
    else:
        raise Refused(f"'{operator}' is not a valid operator")
    if not is_good:
        raise Refused(f"Operator '{operator}' of field '{field}' does not accept '{operand}'")


def _holds(value: Any, operand: Any) -> bool:
    """Equal, or for a list of strings: has this one in it."""
    if isinstance(value, list):
        return operand in value
    if isinstance(value, bool) != isinstance(operand, bool):
        return False
    return bool(value == operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
