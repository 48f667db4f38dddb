"""What is returned: stored objects as messages."""

import struct
import uuid
from collections.abc import Iterable
from typing import Any

from tests.doubles.weaviate.names import property_name as written
from tests.doubles.weaviate.partitions import Object
from tests.doubles.weaviate.properties import Declared, Json
from tests.doubles.weaviate.protos import base_pb2, properties_pb2

NOT_BY_DEFAULT = ("blob", "blobHash")
"""The types that are returned only where they are named."""
SINGLE, MULTI = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32, base_pb2.Vectors.VECTOR_TYPE_MULTI_FP32


def fill_properties(item: Object, declared: Declared, asked: Any, answer: Any, *, everything: bool) -> None:
    """Write the properties that are asked for, or those given by default, into a result's properties."""
    whole = everything or asked.return_all_nonref_properties
    if whole or not asked.object_properties:
        named = None if whole else tuple(asked.non_ref_properties)
        if named not in item.wire:
            default = (name for name in declared if declared[name]["dataType"][0] not in NOT_BY_DEFAULT)
            message = properties(item.properties, declared, default if named is None else named)
            item.wire[named] = message.SerializeToString()
        answer.non_ref_props.MergeFromString(item.wire[named])
        return
    message = properties(item.properties, declared, list(asked.non_ref_properties))
    for wanted in asked.object_properties:
        if wanted.prop_name in item.properties:
            _chosen(item.properties[wanted.prop_name], declared[wanted.prop_name], wanted, message)
    answer.non_ref_props.CopyFrom(message)


def properties(values: Json, declared: Declared, names: Iterable[str]) -> Any:
    """A message of these properties; those that the object has not are null, and objects come without their blobs."""
    message = properties_pb2.Properties()
    for name in names:
        if name in values:
            fill(_without_blobs(values[name], declared[name]), declared[name], message.fields[name])
        else:
            message.fields[name].null_value = 0
    return message


def fill_vectors(item: Object, multi: set[str], names: Iterable[str], metadata: Any) -> None:
    """Write these vectors, as far as the object has them, into a result's metadata."""
    for name in names:
        content = item.vectors.get(name)
        if content is None:
            continue
        if not name:
            metadata.vector_bytes = content
        else:
            metadata.vectors.add(name=name, vector_bytes=content, type=MULTI if name in multi else SINGLE)


def fill(value: Any, declared: Json, message: Any) -> None:
    """Write one value into its message."""
    match declared["dataType"][0]:
        case "text" | "string":
            message.text_value = value
        case "int":
            message.int_value = int(value)
        case "number":
            message.number_value = value
        case "boolean":
            message.bool_value = value
        case "date":
            message.date_value = value
        case "uuid":
            message.uuid_value = value
        case "blob" | "blobHash":
            message.blob_value = value
        case "geoCoordinates":
            message.geo_value.latitude, message.geo_value.longitude = value["latitude"], value["longitude"]
        case "phoneNumber":
            message.phone_value.input = value["input"]
            message.phone_value.default_country = value.get("defaultCountry", "")
        case "object":
            _object(value, declared, message.object_value)
            message.object_value.SetInParent()
        case "object[]":
            message.list_value.object_values.SetInParent()
            for item in value:
                _object(item, declared, message.list_value.object_values.values.add())
        case kind:
            _fill_list(value, kind, message.list_value)


def _fill_list(values: list[Any], kind: str, message: Any) -> None:
    match kind:
        case "int[]":
            message.int_values.values = struct.pack(f"<{len(values)}q", *map(int, values))
        case "number[]":
            message.number_values.values = struct.pack(f"<{len(values)}d", *values)
        case "boolean[]":
            message.bool_values.values.extend(values)
        case "date[]":
            message.date_values.values.extend(values)
        case "uuid[]":
            message.uuid_values.values.extend(values)
        case _:
            message.text_values.values.extend(values)
    getattr(message, message.WhichOneof("kind") or "text_values").SetInParent()


def _object(values: Json, declared: Json, message: Any) -> None:
    nested = {item["name"]: item for item in declared.get("nestedProperties") or []}
    for name, value in values.items():
        if value is None:
            message.fields[name].null_value = 0
        else:
            fill(value, nested[name], message.fields[name])


def _without_blobs(value: Any, declared: Json) -> Any:
    """An object, or a list of them, without what is not returned by default; any other value as it is."""
    nested = {item["name"]: item for item in declared.get("nestedProperties") or []}
    if not nested:
        return value
    if isinstance(value, list):
        return [_without_blobs(item, declared) for item in value]
    return {
        name: _without_blobs(part, nested[name])
        for name, part in value.items()
        if nested[name]["dataType"][0] not in NOT_BY_DEFAULT
    }


def _chosen(value: Any, declared: Json, wanted: Any, message: Any) -> None:
    """The parts that are asked for by name, of which the server makes the first letter a small one: others are left out."""

    def trimmed(value: Any, wanted: Any) -> Any:
        if isinstance(value, list):
            return [trimmed(item, wanted) for item in value]
        names = {written(name): None for name in wanted.primitive_properties}
        names |= {written(item.prop_name): item for item in wanted.object_properties}
        return {
            name: trimmed(part, names[name]) if names[name] is not None else part
            for name, part in value.items()
            if name in names
        }

    fill(trimmed(value, wanted), declared, message.fields[wanted.prop_name])


def text_of(id: bytes) -> str:
    return str(uuid.UUID(bytes=id))
