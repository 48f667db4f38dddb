"""What is written: properties as a batch's messages carry them, checked against what the collection declares.

Stored are: text, blob and uuid as str, int and number as float (the server keeps an int so, too), boolean as bool,
date as the text it is returned as, geoCoordinates and phoneNumber and object as dict, and a list for every type in [].
"""

import base64
import binascii
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tests.doubles.weaviate.dates import canonical
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import property_name

Json = dict[str, Any]
Declared = Mapping[str, Json]
"""Properties of a collection, or of an object, by name."""


def read(message: Any, declared: Declared, collection: str) -> Json:
    """The properties of one object. Raises Refused for one that is undeclared, or not of its type."""
    return checked(raw(message), declared, collection)


def checked(values: Json, declared: Declared, collection: str) -> Json:
    """These values as they are stored, without those that are null."""
    stored = {}
    for given, value in values.items():
        if value is None:
            continue
        name = property_name(given)
        if name not in declared:
            raise Refused(f"no such prop with name '{name}' found in class '{collection}' in the schema")
        try:
            stored[name] = _value(value, declared[name], name)
        except _WrongError as error:
            kind = declared[name]["dataType"][0]
            raise Refused(f"invalid {kind} property '{name}' on class '{collection}': {error}") from error
    return stored


def raw(message: Any) -> Json:
    """The values of a message, of which each list stands in a field of its own kind."""
    values: Json = {name: _plain(value) for name, value in message.non_ref_properties.fields.items()}
    for item in message.number_array_properties:
        packed = item.values_bytes
        values[item.prop_name] = np.frombuffer(packed, "<f8").tolist() if packed else list(item.values)
    for field in (message.int_array_properties, message.text_array_properties, message.boolean_array_properties):
        for item in field:
            values[item.prop_name] = list(item.values)
    for item in message.object_properties:
        values[item.prop_name] = raw(item.value)
    for item in message.object_array_properties:
        values[item.prop_name] = [raw(value) for value in item.values]
    for name in message.empty_list_props:
        values[name] = []
    return values


class _WrongError(Exception):
    """A value is not of the type declared."""


def _plain(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {name: _plain(item) for name, item in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
    return None


def _value(value: Any, declared: Json, path: str) -> Any:
    kind = declared["dataType"][0]
    if kind in ("object", "object[]"):
        nested = {item["name"]: item for item in declared.get("nestedProperties") or []}
        if kind == "object":
            return _object(value, nested, path)
        return [_object(item, nested, path) for item in _list(value)]
    if kind.endswith("[]"):
        check = CHECKS[kind[:-2]]
        return [check(item) for item in _list(value)]
    return CHECKS[kind](value)


def _object(value: Any, nested: Declared, path: str) -> Json:
    if not isinstance(value, dict):
        raise _WrongError(f"object must be a map, but got: {_kind(value)}")
    stored: Json = {}
    for name, item in value.items():
        if name not in nested:
            raise _WrongError(f"unknown property '{path}.{name}'")
        stored[name] = None if item is None else _value(item, nested[name], f"{path}.{name}")
    return stored


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise _WrongError(f"not an array, but {_kind(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongError(f"not a string, but {_kind(value)}")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(f"not a bool, but {_kind(value)}")
    return value


def _int(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _WrongError(f"requires an integer, the given value is '{value}'")
    number = float(value)
    if not number.is_integer() or not -(2.0**63) <= number < 2.0**63:
        raise _WrongError(f"requires an integer, the given value is '{value}'")
    return number


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _WrongError(f"requires a float, the given value is '{value}'")
    if not math.isfinite(value):
        raise _WrongError(f"requires a float, the given value is '{'NaN' if math.isnan(value) else 'Infinity'}'")
    return float(value)


def _date(value: Any) -> str:
    found = canonical(value) if isinstance(value, str) else None
    if found is None:
        raise _WrongError(f"requires a string with a RFC3339 formatted date, but the given value is '{value}'")
    return found


def _uuid(value: Any) -> str:
    try:
        return str(uuid.UUID(_text(value)))
    except ValueError as error:
        raise _WrongError(f"requires a string of UUID format, but the given value is '{value}'") from error


def _blob(value: Any) -> str:
    try:
        base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise _WrongError("not a valid blob base64 string") from error
    return str(value)


def _geo(value: Any) -> Json:
    if not isinstance(value, dict):
        raise _WrongError(f"geoCoordinates must be a map, but got: {_kind(value)}")
    for name in ("longitude", "latitude"):
        if not isinstance(value.get(name), int | float):
            raise _WrongError(f"geoCoordinates is missing required field '{name}'")
    return {name: float(np.float32(value[name])) for name in ("latitude", "longitude")}


def _phone(value: Any) -> Json:
    if not isinstance(value, dict) or not isinstance(value.get("input"), str):
        raise _WrongError("phoneNumber is missing required field 'input'")
    return value


def _kind(value: Any) -> str:
    names = {dict: "a map", list: "a list", bool: "a bool", float: "a number", int: "a number", str: "a string"}
    return names.get(type(value), "nothing")


CHECKS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "string": _text,
    "blob": _blob,
    "blobHash": _blob,
    "boolean": _boolean,
    "int": _int,
    "number": _number,
    "date": _date,
    "uuid": _uuid,
    "geoCoordinates": _geo,
    "phoneNumber": _phone,
}
"""By data type, what checks one value and gives it as stored."""
