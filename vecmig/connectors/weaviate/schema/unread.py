"""What of a collection is not read, or read as something else: refused or named, so that nothing is absent in silence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vecmig.connectors.weaviate.limits import METRICS
from vecmig.connectors.weaviate.schema import settings
from vecmig.connectors.weaviate.schema.names import UNNAMED
from vecmig.errors import UnsupportedError

PLAIN = {"text", "int", "number", "boolean", "date", "uuid", "object"}
TYPES = {*PLAIN, *(f"{each}[]" for each in PLAIN), "blob", "blobHash", "geoCoordinates", "phoneNumber"}
BLOBS = ("blob", "blobHash")
_DISTANCES = set(METRICS.values())


def findings(
    name: str, schema: Mapping[str, Any], vectors: Sequence[str | None], without: Sequence[str]
) -> tuple[str, ...]:
    """Return what is left out, and what becomes something else. `vectors`: the names of all there are.

    Raises UnsupportedError, with every reason and the way out, for what can only be left out and is not.
    """
    properties = {str(each["name"]): each for each in schema.get("properties") or []}
    obstacles = dict(_properties(properties)) | dict(_vectors(schema, vectors))
    refused = {each: why for each, why in obstacles.items() if each not in without}
    if refused:
        lines = "".join(f"\n  - {each} {why}" for each, why in refused.items())
        raise UnsupportedError(
            f"collection {name!r} has what vecmig does not move:{lines}\n  say `without: [{', '.join(refused)}]` to leave"
            " it out"
        )
    there = {**properties, **dict.fromkeys(each or UNNAMED for each in vectors)}
    left = [
        f"{each} {obstacles[each]}, so it is left out"
        if each in obstacles
        else f"{each} is left out, as `without` says"
        if each in there
        else f"`without` names {each}, which is not there"
        for each in without
    ]
    blobs = [each for raw in properties.values() if raw["name"] not in without for each in _blobs(raw, "")]
    return (*left, *(f"{each} holds blobs, which are moved as text in base64" for each in blobs))


def _properties(properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, raw in properties.items():
        types = raw["dataType"]
        if types[0][:1].isupper():
            yield name, f"is a reference to {' or '.join(types)}"
        elif types[0] not in TYPES:
            yield name, f"is of type {types[0]}, which vecmig does not know"
        elif raw.get("nestedProperties") and list(_blobs(raw, "")) and (capitals := list(_capitals(raw, ""))):
            yield (
                name,
                f"holds a blob, beside which Weaviate does not give {', '.join(capitals)}, for the capital letter",
            )


def _vectors(schema: Mapping[str, Any], vectors: Sequence[str | None]) -> Iterator[tuple[str, str]]:
    for stored in vectors:
        type_, config = settings.vector_config(dict(schema), stored)
        inner = config.get("hnsw") or config if type_ == "dynamic" else config
        distance = config.get("distance") or inner.get("distance") or "cosine"
        if (inner.get("multivector") or {}).get("enabled"):
            yield stored or UNNAMED, "is a vector of several rows a record"
        elif distance not in _DISTANCES:
            yield stored or UNNAMED, f"is a vector that is compared by {distance}, which vecmig does not know"


def _capitals(raw: Mapping[str, Any], above: str) -> Iterator[str]:
    """Yield the names inside an object that begin with a capital letter."""
    for each in raw.get("nestedProperties") or []:
        name = str(each["name"])
        if name[:1].isupper():
            yield f"{above}{raw['name']}.{name}"
        yield from _capitals(each, f"{above}{raw['name']}.")


def _blobs(raw: Mapping[str, Any], above: str) -> Iterator[str]:
    name = f"{above}{raw['name']}"
    if raw["dataType"][0] in BLOBS:
        yield name
    for each in raw.get("nestedProperties") or []:
        yield from _blobs(each, f"{name}.")
