"""Metadata between JSON and typed properties: a value goes into its property where it comes back equal from there.

All others, and nulls, which Weaviate drops, stand together in one property as JSON.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecmig.connectors.weaviate.client.proto import base_pb2
from vecmig.connectors.weaviate.records.values import DATE, SCALARS, Unfit
from vecmig.connectors.weaviate.schema.layout import Layout, Property
from vecmig.connectors.weaviate.schema.names import JSON
from vecmig.model.metadata import dumps, loads

Decoder = Callable[[Any], object]  # makes JSON of a value that is there, where it is not JSON as it is
_ABSENT = (None, "null_value")
_TEXTS = ("text[]", "date[]", "uuid[]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one collection holds metadata."""

    properties: Mapping[str, Property]  # by the name of the field
    has_json: bool
    decoders: Mapping[str, tuple[str, Decoder | None]] = field(default_factory=dict)  # by name of the property

    def written(self, text: bytes, properties: Any) -> None:
        """Put the metadata into the properties of an object. Raises ValueError, without any value of it, if it cannot."""
        rest: dict[str, object] = {}
        for key, value in loads(text).items():
            found = self.properties.get(key)
            if found is None or value is None or not _put(properties, found, value):
                rest[key] = value
        if not rest:
            return
        if not self.has_json:
            name = next(iter(rest))
            raise ValueError(
                f"field `{name}` fits no property of the collection, and vecmig did not make it, so there is none for such"
                " fields: drop it with `fields`, or add a property"
            )
        properties.non_ref_properties.fields[JSON].string_value = dumps(rest).decode()

    def read(self, fields: Mapping[str, Any]) -> dict[str, object]:
        """Return the metadata that `written` was given, by value."""
        metadata: dict[str, object] = {}
        for name, (key, decode) in self.decoders.items():  # each by its name: a walk over all takes three times as long
            value = fields.get(name)
            if value is not None and (kind := value.WhichOneof("kind")) not in _ABSENT:
                found = getattr(value, kind)
                metadata[key] = found if decode is None else decode(found)
        rest = None
        if self.has_json and JSON in fields and fields[JSON].WhichOneof("kind") not in _ABSENT:
            rest = fields[JSON].text_value
        if rest is not None:
            try:
                metadata = loads(rest) | metadata  # a property that has a value was given it since
            except ValueError:
                metadata[JSON] = rest  # somebody else wrote over it
        return metadata


def encoding_of(layout: Layout) -> Encoding:
    return Encoding(
        {each.key: each for each in layout.properties},
        layout.has_json,
        {each.name: (each.key, _decoder(each)) for each in layout.properties},
    )


def _put(properties: Any, where: Property, value: object) -> bool:
    """Put a value into a property, unless it would not come back equal."""
    try:
        _encode(properties, where, value)
    except Unfit:
        return False
    return True


def _encode(properties: Any, where: Property, value: object) -> None:
    type_, name = where.type, where.name
    scalar = SCALARS.get(type_)
    if scalar is not None:
        kind, fitted = scalar(value)
        setattr(properties.non_ref_properties.fields[name], kind, fitted)
    elif type_ == "object":
        made = _object(where, value)
        properties.object_properties.append(base_pb2.ObjectProperties(prop_name=name, value=made))
    elif not isinstance(value, list):
        raise Unfit
    elif type_ == "object[]":
        every = [_object(where, each) for each in value]
        properties.object_array_properties.append(base_pb2.ObjectArrayProperties(prop_name=name, values=every))
    elif not value:
        properties.empty_list_props.append(name)
    elif type_.endswith("[]"):
        _encode_list(properties, name, type_, [SCALARS[type_[:-2]](each)[1] for each in value])
    else:
        raise Unfit


def _encode_list(properties: Any, name: str, type_: str, values: list[Any]) -> None:
    if type_ in _TEXTS:
        properties.text_array_properties.append(base_pb2.TextArrayProperties(prop_name=name, values=values))
    elif type_ == "int[]":
        numbers = [int(each) for each in values]
        properties.int_array_properties.append(base_pb2.IntArrayProperties(prop_name=name, values=numbers))
    elif type_ == "number[]":
        raw = np.array(values, "<f8").tobytes()
        properties.number_array_properties.append(base_pb2.NumberArrayProperties(prop_name=name, values_bytes=raw))
    else:
        properties.boolean_array_properties.append(base_pb2.BooleanArrayProperties(prop_name=name, values=values))


def _object(where: Property, value: object) -> Any:
    if not isinstance(value, dict):
        raise Unfit
    nested = {each.name: each for each in where.nested}
    made = base_pb2.ObjectPropertiesValue()
    for key, each in value.items():
        if key not in nested or each is None:
            raise Unfit
        _encode(made, nested[key], each)
    return made


def _decoder(each: Property) -> Decoder | None:
    """Return what makes JSON of a value that is there; None where it is JSON as it is."""
    match each.type:
        case "date":
            return _as_iso
        case "geoCoordinates":
            return lambda value: {"latitude": _short(value.latitude), "longitude": _short(value.longitude)}
        case "phoneNumber":
            return lambda value: {name.name: found for name, found in value.ListFields()}
        case "object":
            return _object_decoder(each)
        case "object[]":
            decode = _object_decoder(each)
            return lambda value: [decode(each) for each in value.object_values.values]
        case "int[]":
            return lambda value: np.frombuffer(value.int_values.values, "<i8").tolist()
        case "number[]":
            return lambda value: np.frombuffer(value.number_values.values, "<f8").tolist()
        case "date[]":
            return lambda value: [_as_iso(each) for each in value.date_values.values]
        case "uuid[]":
            return lambda value: list(value.uuid_values.values)
        case "text[]":
            return lambda value: list(value.text_values.values)
        case "boolean[]":
            return lambda value: list(value.bool_values.values)
    return None


def _object_decoder(each: Property) -> Decoder:
    nested = {child.name: _decoder(child) for child in each.nested}

    def decode(value: Any) -> dict[str, object]:
        return dict(_decoded(nested, value))

    return decode


def _decoded(nested: Mapping[str, Decoder | None], value: Any) -> Iterator[tuple[str, object]]:
    for name, child in value.fields.items():
        if name in nested and (kind := child.WhichOneof("kind")) not in _ABSENT:
            found, decode = getattr(child, kind), nested[name]
            yield name, found if decode is None else decode(found)


def _as_iso(text: str) -> str:
    """Return a time with its microseconds written out, as `datetime` has them: the server leaves zeros out."""
    found = DATE.fullmatch(text)
    if found is None or not found[2] or len(found[2]) >= 6:
        return text
    return f"{found[1]}.{found[2]:0<6}{found[3]}"


def _short(value: float) -> float:
    return float(str(np.float32(value)))  # it is of 32 bits
