"""Which values come back equal from a property, and how each is sent; without the client, so that a plan can ask."""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from vecmig.connectors.weaviate.limits import EXACT

DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class Unfit(Exception):
    """A value would not come back equal from its property."""


def fits(type_: str, value: object) -> bool:
    """Return whether a property of this type, in Weaviate's words, but no object, gives the value back as it is."""
    scalar = SCALARS[type_.removesuffix("[]")]
    if type_.endswith("[]") and not isinstance(value, list):
        return False
    try:
        for each in value if isinstance(value, list) and type_.endswith("[]") else [value]:
            scalar(each)
    except Unfit:
        return False
    return True


def _text(value: object) -> tuple[str, object]:
    if not isinstance(value, str):
        raise Unfit
    return "string_value", value


def _int(value: object) -> tuple[str, object]:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > EXACT or value != int(value):
        raise Unfit
    return "number_value", float(value)


def _number(value: object) -> tuple[str, object]:
    if isinstance(value, bool) or not (isinstance(value, float) or (isinstance(value, int) and abs(value) <= EXACT)):
        raise Unfit  # a Decimal is what no double holds
    return "number_value", float(value)


def _boolean(value: object) -> tuple[str, object]:
    if not isinstance(value, bool):
        raise Unfit
    return "bool_value", value


def _date(value: object) -> tuple[str, object]:
    """Take a time as the server would write it, but for zeros at its end, which `_as_iso` puts back."""
    found = DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[3] in ("+00:00", "-00:00"):
        raise Unfit
    fraction, zone = found[2] or "", found[3]
    if fraction and (not fraction.strip("0") or len(fraction) < 6 or (len(fraction) > 6 and fraction.endswith("0"))):
        raise Unfit
    try:
        datetime.fromisoformat(found[1] + zone)
    except ValueError:
        raise Unfit from None
    return "string_value", value


def _uuid(value: object) -> tuple[str, object]:
    try:
        if isinstance(value, str) and str(UUID(value)) == value:
            return "string_value", value
    except ValueError:
        pass
    raise Unfit


def _blob(value: object) -> tuple[str, object]:
    try:
        if isinstance(value, str) and value and base64.b64encode(base64.b64decode(value)).decode() == value:
            return "string_value", value
    except ValueError:
        pass
    raise Unfit


def _never(value: object) -> tuple[str, object]:
    raise Unfit


SCALARS: Mapping[str, Callable[[object], tuple[str, object]]] = {
    "text": _text,
    "int": _int,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "uuid": _uuid,
    "blob": _blob,
    "blobHash": _never,
    "geoCoordinates": _never,
    "phoneNumber": _never,
}
