"""Metadata values as those of a typed column: exactly, or not at all."""

import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeGuard

import numpy as np

from vecmig.connectors.pgvector.records.keys import INTEGERS
from vecmig.connectors.pgvector.schema.table import Column
from vecmig.model.metadata import dumps

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_MICROSECOND = timedelta(microseconds=1)

Encoder = Callable[[object], bytes]


class Unfit(ValueError):
    """A value that the column cannot give back as it was; the message says what the column holds."""


def encoder_of(column: Column) -> Encoder | None:
    """Return what encodes one value of the column, or of its elements; None where vecmig cannot write the type."""
    if column.type in INTEGERS:
        return _integer(INTEGERS[column.type])
    return _ENCODERS.get(column.type)


def _integer(bits: int) -> Encoder:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def encode(value: object) -> bytes:
        if not _is_number(value) or not least <= value <= most or value != int(value):
            raise Unfit(f"an integer of {bits} bits")
        return int(value).to_bytes(bits // 8, "big", signed=True)

    return encode


def _double(value: object) -> bytes:
    try:
        if not _is_number(value) or Decimal(repr(float(value))) != Decimal(str(value)):
            raise Unfit("a number of double precision")
    except OverflowError:
        raise Unfit("a number of double precision") from None
    return struct.pack(">d", value)


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _single(value: object) -> bytes:
    with np.errstate(over="ignore"):
        single = np.float32(struct.unpack(">d", _double(value))[0])
    if float(str(single)) != value:  # the shortest text of a float32 is what comes back
        raise Unfit("a number of single precision")
    return struct.pack(">f", single)


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise Unfit("a text")
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise Unfit("a text of Unicode characters: half of a surrogate pair is none") from None
    if b"\0" in raw:
        raise Unfit("a text without NUL characters")
    return raw


def _boolean(value: object) -> bytes:
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return b"\1" if value else b"\0"


def _moment(value: object) -> bytes:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or iso(moment) != value:
        raise Unfit("a time in UTC such as 2026-01-01T00:00:00Z, or with six digits of microseconds")
    return ((moment - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


def _uuid(value: object) -> bytes:
    try:
        parsed = uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != value:
        raise Unfit("a UUID in lower case")
    return parsed.bytes


def _jsonb(value: object) -> bytes:
    return b"\1" + dumps(value)


def iso(moment: datetime) -> str:
    """Return the text of a time: UTC, and microseconds only where there are some."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds" if utc.microsecond else "seconds") + "Z"


_ENCODERS: dict[str, Encoder] = {
    "text": _text,
    "varchar": _text,
    "float4": _single,
    "float8": _double,
    "bool": _boolean,
    "timestamptz": _moment,
    "uuid": _uuid,
    "json": dumps,
    "jsonb": _jsonb,
}
