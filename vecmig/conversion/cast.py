"""One metadata value made the type that a field declares, or a reason why it cannot be."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from vecmig.model.collection import FieldType
from vecmig.model.metadata import dumps

_FINER_THAN_MICROSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")
# Decimal takes more: 1_000, １２, blanks around it.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def cast(value: object, type: FieldType) -> object:
    """Return the value as `type`. Raises ValueError with the reason, without the value itself: it may be private.

    null stays null, whatever the type: it says that the record has no value.
    """
    if value is None:
        return None
    if type.endswith("[]"):
        elements = value if isinstance(value, list) else [value]
        if any(each is None for each in elements):
            raise ValueError("a null stands in the list")
        return [_CASTS[type[:-2]](each) for each in elements]
    return _CASTS[type](value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise ValueError(f"is {kind_of(value)}, not text")
    return dumps(value).decode()  # true, 12, 0.5: as JSON writes them


def _int(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("has a fraction, so it is no int")
    if not -(2**63) <= int(number) < 2**63:
        raise ValueError("is over 64 bits, too large for an int")
    return int(number)


def _float(value: object) -> float:
    number = _number(value)
    try:
        nearest = float(number)
    except OverflowError:
        nearest = float("inf")
    if abs(nearest) == float("inf"):
        raise ValueError("is too large for a float")
    whole = isinstance(number, int) or (isinstance(number, Decimal) and number == number.to_integral_value())
    if whole and int(nearest) != int(number) and Decimal(repr(nearest)) != number:
        raise ValueError("is an integer that a float cannot hold exactly (over 2**53)")
    return nearest


def loses_digits(value: object) -> bool:
    """Return whether a float is another number than this one, though the nearest: it holds about 17 digits."""
    try:
        number = _number(value)
        nearest = _float(number)
    except ValueError:
        return False  # no number that could become one
    return isinstance(number, Decimal) and Decimal(repr(nearest)) != number


def _number(value: object) -> int | float | Decimal:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ValueError("is text, not a number")
        try:
            parsed = Decimal(value)
        except ArithmeticError:
            raise ValueError("is far out of range") from None
        if abs(parsed.adjusted()) > 400:
            raise ValueError("is far out of range")
        return int(parsed) if parsed == parsed.to_integral_value() else parsed
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"is {kind_of(value)}, not a number")
    if isinstance(value, Decimal) and abs(value.adjusted()) > 400:
        raise ValueError("is far out of range")
    return value


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(f"is {kind_of(value)}, not true or false")


def _datetime(value: object) -> str:
    """Return ISO text in UTC, with microseconds only where there are some. A number is seconds since 1970."""
    try:
        if isinstance(value, str):
            moment, finer = datetime.fromisoformat(value), _FINER_THAN_MICROSECONDS.search(value) is not None
        else:
            exact = _microseconds(_number(value))
            moment, finer = _EPOCH + timedelta(microseconds=int(exact)), exact != int(exact)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no ISO date or time, and no seconds since 1970") from None
    if finer:
        raise ValueError("is a time finer than microseconds")
    return moment.isoformat().replace("+00:00", "Z")


def _microseconds(seconds: int | float | Decimal) -> Fraction:
    """Return them exactly; a float is the decimal of its shortest text, as JSON has it."""
    return 1_000_000 * Fraction(Decimal(repr(seconds)) if isinstance(seconds, float) else seconds)


def kind_of(value: object) -> str:
    """Return the name of a JSON value's type, for people."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, list):
        kinds = sorted({kind_of(each) for each in value})
        return f"{kinds[0]}[]" if len(kinds) == 1 else "list"
    names = {type(None): "null", str: "text", int: "int", float: "float", Decimal: "decimal", dict: "object"}
    return names[type(value)]


_CASTS: Mapping[str, Callable[[object], object]] = {
    "text": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "datetime": _datetime,
}
