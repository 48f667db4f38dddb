"""Filters, as messages carry them: compiled to a function from an object to whether it matches."""

import uuid
from collections.abc import Callable
from typing import Any

from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.partitions import Object
from tests.doubles.weaviate.protos import base_pb2
from tests.doubles.weaviate.store import Collection

Test = Callable[[Object], bool]
F = base_pb2.Filters


def compiled(message: Any, collection: Collection) -> Test:
    """Raises Refused for a filter that the collection cannot answer."""
    if message.operator in (F.OPERATOR_AND, F.OPERATOR_OR, F.OPERATOR_NOT):
        tests = [compiled(part, collection) for part in message.filters]
        if message.operator == F.OPERATOR_AND:
            return lambda item: all(test(item) for test in tests)
        if message.operator == F.OPERATOR_OR:
            return lambda item: any(test(item) for test in tests)
        return lambda item: not tests[0](item)
    if message.target.property == "_id":
        return _by_id(message)
    raise Refused("not yet")


def _by_id(message: Any) -> Test:
    given = message.value_text_array.values if message.HasField("value_text_array") else [message.value_text]
    ids = {uuid.UUID(id).bytes for id in given}
    if message.operator in (F.OPERATOR_NOT_EQUAL, F.OPERATOR_CONTAINS_NONE):
        return lambda item: item.id not in ids
    return lambda item: item.id in ids and item.is_found_by_id
