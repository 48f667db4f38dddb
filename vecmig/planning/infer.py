"""Fields that the spec does not name, as a sample shows them: for a store that must declare all metadata."""

from collections import defaultdict
from collections.abc import Sequence

from msgspec.structs import replace

from vecmig.conversion.cast import kind_of
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection, Field, FieldType
from vecmig.model.metadata import loads
from vecmig.protocols import ConnectorOptions

_SCALARS: dict[str, FieldType] = {"text": "text", "int": "int", "float": "float", "bool": "bool"}
_LISTS: dict[str, FieldType] = {"text": "text[]", "int": "int[]", "float": "float[]", "bool": "bool[]"}
_NUMBERS = {"int", "float"}  # seen together they are floats: 1 and 1.0 are one number


def with_fields(
    options: ConnectorOptions,
    declared: Collection,
    sample: RecordBatch | None,
    actual: Collection | None,
    known: Sequence[Field] = (),
) -> Collection:
    """Return the collection with a type for all metadata, where the store asks for that.

    A target that is there keeps the fields that it has. `sample`: of what the target is to hold. `known`: the fields that
    the source types and the spec leaves as they are.
    """
    if not getattr(options, "declares_metadata", False):
        return declared
    given = {field.name for field in declared.fields}
    found = actual.fields if actual is not None else _with_times(inferred(sample), known)
    return replace(declared, fields=(*declared.fields, *(field for field in found if field.name not in given)))


def _with_times(found: Sequence[Field], known: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields with those as times that the source knows to be: in a record, a time is text."""
    types = {field.name: field.type for field in known}
    times = {("text", "datetime"), ("text[]", "datetime[]")}
    return tuple(
        replace(field, type=type_) if (field.type, type_ := types.get(field.name)) in times else field
        for field in found
    )


def inferred(sample: RecordBatch | None) -> tuple[Field, ...]:
    """Return the fields whose values are all of one type; a text is not taken for a date, whatever it looks like."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for text in sample.bytes_of("metadata") if sample is not None else ():
        for name, value in loads(text).items():
            if isinstance(value, list):
                kinds[name].update(f"{kind_of(each)}[]" for each in value)
                kinds[name].add("[]")
            elif value is not None:
                kinds[name].add(kind_of(value))
    return tuple(Field(name, type_) for name, seen in kinds.items() if (type_ := _type(seen)) is not None)


def _type(seen: set[str]) -> FieldType | None:
    """Return the type that holds all kinds of values seen; None where there is none."""
    if "[]" in seen:
        elements = {kind.removesuffix("[]") for kind in seen if kind != "[]"}
        if any(not kind.endswith("[]") for kind in seen):
            return None
        return _LISTS.get(_one(elements))
    return _SCALARS.get(_one(seen))


def _one(kinds: set[str]) -> str:
    if kinds == _NUMBERS:
        return "float"
    return next(iter(kinds)) if len(kinds) == 1 else ""
