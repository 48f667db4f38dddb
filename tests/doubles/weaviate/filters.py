"""Filters, as messages carry them: compiled to a function from an object to whether it matches."""

import operator
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from tests.doubles.weaviate import geo, tokens
from tests.doubles.weaviate.dates import nanoseconds
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.partitions import Object
from tests.doubles.weaviate.properties import Json
from tests.doubles.weaviate.protos import base_pb2
from tests.doubles.weaviate.replies import text_of
from tests.doubles.weaviate.store import Collection

Test = Callable[[Object], bool]
Values = Callable[[Object], list[Any]]
"""What an object has at a path, as a list, for there may be several; empty where it has nothing."""
F = base_pb2.Filters

COMPARISONS: dict[int, Callable[[Any, Any], bool]] = {
    F.OPERATOR_GREATER_THAN: operator.gt,
    F.OPERATOR_GREATER_THAN_EQUAL: operator.ge,
    F.OPERATOR_LESS_THAN: operator.lt,
    F.OPERATOR_LESS_THAN_EQUAL: operator.le,
}
CONTAINS = (F.OPERATOR_CONTAINS_ANY, F.OPERATOR_CONTAINS_ALL, F.OPERATOR_CONTAINS_NONE)
TIMES = {"_creationTimeUnix": "created_ms", "_lastUpdateTimeUnix": "updated_ms"}


def compiled(message: Any, collection: Collection) -> Test:
    """Raises Refused for a filter that the collection cannot answer."""
    if message.operator in (F.OPERATOR_AND, F.OPERATOR_OR, F.OPERATOR_NOT):
        tests = [compiled(part, collection) for part in message.filters]
        if message.operator == F.OPERATOR_AND:
            return lambda item: all(test(item) for test in tests)
        if message.operator == F.OPERATOR_OR:
            return lambda item: any(test(item) for test in tests)
        return lambda item: not tests[0](item)
    path = message.target.property
    if path == "_id":
        return _compared(message, lambda item: [item.spelling or text_of(item.id)], str)
    if path in TIMES:
        return _of_time(message, collection, TIMES[path])
    if path.startswith("len("):
        return _of_length(message, collection, path[4:-1])
    return _of_property(message, collection, path)


def ids(message: Any) -> list[bytes] | None:
    """The ids that a filter names, if that is all it does: there is then no need to look at every object."""
    if message.operator == F.OPERATOR_OR:
        parts = [ids(part) for part in message.filters]
        return None if None in parts else list(dict.fromkeys(id for part in parts for id in part or []))
    if message.target.property == "_id" and message.operator in (F.OPERATOR_EQUAL, F.OPERATOR_CONTAINS_ANY):
        return list(dict.fromkeys(uuid.UUID(id).bytes for id in _operands(message)))
    return None


def _of_time(message: Any, collection: Collection, attribute: str) -> Test:
    if not collection.schema["invertedIndexConfig"].get("indexTimestamps"):
        raise Refused("Timestamps must be indexed to be filterable")
    return _compared(message, lambda item: [getattr(item, attribute)], lambda text: _nanoseconds(text) // 10**6)


def _of_length(message: Any, collection: Collection, name: str) -> Test:
    _declared(collection, name)
    if not collection.schema["invertedIndexConfig"].get("indexPropertyLength"):
        raise Refused("Property length must be indexed to be filterable")
    return _compared(message, lambda item: [len(item.properties.get(name) or "")], int)


def _of_property(message: Any, collection: Collection, name: str) -> Test:
    declared = _declared(collection, name)
    kind = declared["dataType"][0]
    if message.operator == F.OPERATOR_IS_NULL:
        if not collection.schema["invertedIndexConfig"].get("indexNullState"):
            raise Refused("Nullstate must be indexed to be filterable")
        # an empty text and an empty list are null to a filter, though not to a reader
        return lambda item: (item.properties.get(name) in (None, "", [])) == message.value_boolean
    if kind.startswith("object"):
        raise Refused("filtering on nested properties is a preview feature, disabled by default")
    if not any(declared[index] for index in ("indexFilterable", "indexSearchable", "indexRangeFilters")):
        raise Refused(f"Filtering by property '{name}' requires inverted index")

    def values(item: Object) -> list[Any]:
        found = item.properties.get(name)
        return found if isinstance(found, list) else [] if found is None else [found]

    match kind.removesuffix("[]"):
        case "text" | "string":
            return _of_text(message, collection, declared["tokenization"], values)
        case "geoCoordinates":
            return lambda item: any(geo.is_within(value, message.value_geo) for value in values(item))
        case "date":
            return _compared(message, lambda item: [_indexed(value) for value in values(item)], _indexed)
        case "uuid":
            if message.operator == F.OPERATOR_LIKE:
                raise Refused('operator "Like" cannot be used on uuid/uuid[] props')
            return _compared(message, values, lambda text: str(_uuid(text)))
        case "boolean":
            return _compared(message, values, lambda value: _typed(value, bool, "bool"))
        case "int":
            test = _compared(message, values, _integer)
        case _:
            test = _compared(message, values, _number)
    if message.operator == F.OPERATOR_NOT_EQUAL and not declared["indexFilterable"]:
        return lambda item: bool(values(item)) and test(item)  # an index of ranges knows nothing of absence
    return test


def _compared(message: Any, values: Values, read: Callable[[Any], Any]) -> Test:
    """A test of values that are compared as they are. `read` makes an operand one of them, or raises Refused."""
    operands = [read(value) for value in _operands(message)]
    if message.operator == F.OPERATOR_LIKE:
        wanted = tokens.patterns("field", operands[0])[0]
        return lambda item: any(wanted.fullmatch(value) for value in values(item))
    if message.operator in COMPARISONS:
        compare, operand = COMPARISONS[message.operator], operands[0]
        return lambda item: any(compare(value, operand) for value in values(item))
    return _sets(message.operator, [{operand} for operand in operands], lambda item: set(values(item)))


def _of_text(message: Any, collection: Collection, tokenization: str, values: Values) -> Test:
    def found(item: Object) -> frozenset[str]:
        return tokens.all_tokens(tokenization, values(item))

    texts = [_typed(value, str, "string") for value in _operands(message)]
    if message.operator == F.OPERATOR_LIKE:
        wanted = tokens.patterns(tokenization, texts[0])
        return lambda item: all(any(pattern.fullmatch(token) for token in found(item)) for pattern in wanted)
    ignored = tokens.stopwords(collection.schema, tokenization)
    needed = [{token for token in tokens.tokens(tokenization, text) if token not in ignored} for text in texts]
    if not all(needed):
        raise Refused("invalid search term, only stopwords provided")
    if message.operator in COMPARISONS:
        compare, operand = COMPARISONS[message.operator], min(needed[0])
        return lambda item: any(compare(token, operand) for token in found(item))
    return _sets(message.operator, needed, found)


def _sets(kind: int, needed: list[set[Any]], found: Callable[[Object], Iterable[Any]]) -> Test:
    """A test whether what is found contains what is needed: at least one set of it, or all, or none."""
    if kind == F.OPERATOR_EQUAL or kind == F.OPERATOR_CONTAINS_ALL:
        return lambda item: all(wanted <= set(found(item)) for wanted in needed)
    if kind == F.OPERATOR_CONTAINS_ANY:
        single = set().union(*needed) if all(len(wanted) == 1 for wanted in needed) else None
        if single is not None:
            return lambda item: not single.isdisjoint(found(item))
        return lambda item: any(wanted <= set(found(item)) for wanted in needed)
    if kind in (F.OPERATOR_NOT_EQUAL, F.OPERATOR_CONTAINS_NONE):
        return lambda item: not any(wanted <= set(found(item)) for wanted in needed)
    raise Refused(f"unknown filter operator {kind}")


def _declared(collection: Collection, name: str) -> Json:
    declared = collection.declared
    if "." in name and name.partition(".")[0] in declared:
        raise Refused("filtering on nested properties is a preview feature, disabled by default")
    if name not in declared:
        raise Refused(f"no such prop with name '{name}' found in class '{collection.name}' in the schema")
    return declared[name]


def _operands(message: Any) -> list[Any]:
    kind = message.WhichOneof("test_value")
    if kind is None:
        raise Refused("unknown value type <nil>")
    value = getattr(message, kind)
    return list(value.values) if kind.endswith("_array") else [value]


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise Refused(f"expected value to be {name}, got {type(value).__name__}")
    return value


def _integer(value: Any) -> float:
    number = _number(value)
    if not number.is_integer():
        raise Refused(f"filtering for integer, but received a floating point number {number}")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise Refused("expected value to be int, got bool")
    try:
        return float(value)
    except ValueError as error:
        raise Refused(f"expected a number value, but could not parse string '{value}'") from error


def _nanoseconds(text: Any) -> int:
    found = nanoseconds(_typed(text, str, "string"))
    if found is None:
        raise Refused(f'trying parse time as RFC3339 string: "{text}"')
    return found


def _indexed(text: Any) -> int:
    """A time as the index has it, in 64 bits: before 1677 and after 2262 it begins anew."""
    return (_nanoseconds(text) + 2**63) % 2**64 - 2**63


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Refused(f"parse uuid filter value: invalid UUID length: {len(text)}") from error
