"""Metadata between JSON and what Pinecone holds: texts, numbers as doubles, booleans, lists of texts; nothing else.

(Pinecone's page "Indexing overview", "Metadata payload": flat, no null, 40 KB.)
What does not fit stands as JSON text in its own field, so that applications still find it; a field that is named in
NOTED is turned back when it is read. null is left out, and named there. Fields declared as `datetime` are seconds since
1970, for Pinecone compares ranges of numbers only.
"""

from collections.abc import Collection as Some
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson

from vecmig.connectors.pinecone.limits import MAX_METADATA_BYTES
from vecmig.model.metadata import dumps, loads

Value = str | float | bool | list[str]
OURS = "vecmig_"  # what such names begin with: not with `_`, which a document index keeps for itself
NOTED = OURS + "json"  # a list of the fields whose text is JSON, or whose value is null
ESCAPED = OURS + "name_"  # before the name of a field that Pinecone does not take
EXACT = 2**53  # the integers up to here are doubles
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one index holds metadata."""

    times: frozenset[str] = frozenset()  # fields declared as datetime
    reserved: Some[str] = ()  # names that the index needs for itself
    leading: tuple[str, ...] = ("$",)  # what no name may begin with

    def written(self, text: bytes) -> dict[str, Value]:
        """Return the metadata as Pinecone takes it. Raises ValueError, without any value of it, where it cannot."""
        fields: dict[str, Value] = {}
        noted: list[str] = []
        for key, value in loads(text).items():
            name = self.name_of(key)
            if key in self.times and isinstance(value, str) and (seconds := _seconds(value)) is not None:
                fields[name] = seconds
            elif _fits(value) and not (key in self.times and _is_number(value)):
                fields[name] = value
            else:
                noted.append(key)
                if value is not None:
                    fields[name] = dumps(value).decode()
        if noted:
            fields[NOTED] = noted
        if len(text) > MAX_METADATA_BYTES // 4 and (size := len(orjson.dumps(fields))) > MAX_METADATA_BYTES:
            raise ValueError(f"its metadata has {size:,} bytes, Pinecone holds {MAX_METADATA_BYTES:,}")
        return fields

    def read(self, fields: Mapping[str, object]) -> bytes:
        """Return the JSON text that `written` was given, by value; what others wrote is returned as it is."""
        noted = fields.get(NOTED)
        names = set(noted) if isinstance(noted, list) else set()
        metadata: dict[str, object] = {}
        for key, value in fields.items():
            if key == NOTED and names:
                continue
            name = key.removeprefix(ESCAPED)
            if name in names:
                metadata[name] = _parsed(value)
            elif isinstance(value, float):
                metadata[name] = _time(value) if name in self.times else _number(value)
            else:
                metadata[name] = value
        for name in names - metadata.keys():
            metadata[name] = None
        return dumps(metadata)

    def name_of(self, key: str) -> str:
        """Return the name that a field has in Pinecone."""
        return ESCAPED + key if key.startswith((*self.leading, OURS)) or key in self.reserved else key


def _fits(value: object) -> bool:
    match value:
        case bool() | str():
            return True
        case int():
            return abs(value) <= EXACT
        case float():
            return True
        case list():
            return bool(value) and all(isinstance(each, str) for each in value)
    return False  # null, an object, a list of anything else, a decimal that no double is


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: float) -> int | float:
    """Return an integer where it is one: all numbers come back as doubles, and from EXACT on it may be a neighbour."""
    return int(value) if abs(value) < EXACT and value.is_integer() else value


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return loads(b'{"":' + value.encode() + b"}")[""]
    except ValueError:
        return value  # somebody else wrote over it


def _seconds(text: str) -> float | None:
    """Return seconds since 1970, or None where `_time` would not give the same text back."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    exact = (moment - _EPOCH) / timedelta(microseconds=1)
    seconds = float(Decimal(exact) / 1_000_000)
    return seconds if _time(seconds) == text else None


def _time(seconds: float) -> str | int | float:
    try:
        moment = _EPOCH + timedelta(microseconds=round(Decimal(seconds) * 1_000_000))
    except OverflowError:
        return _number(seconds)
    return moment.isoformat().replace("+00:00", "Z")
