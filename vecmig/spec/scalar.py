"""What a plain scalar means: YAML 1.2's core schema, as editors read it, and dates as ISO text.

YAML 1.1, PyYAML's own reading, would make the country `no` false and 1:30 the number 90.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

Value = str | int | float | bool | None

_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_MOMENT = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt]|[ \t]+)(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6})\d*)?"
    r"(?:[ \t]*(?:(Z)|([-+])(\d{1,2})(?::?(\d{2}))?))?"
)
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def value_of(text: str) -> Value:
    """Return what a scalar without quotes means. Raises ValueError for an impossible date or a number out of range.

    A datetime comes back as ISO text in UTC where it names no zone.
    """
    if text in _WORDS:
        return _WORDS[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("this number is too large")
        return number
    try:
        return _dated(text)
    except (ValueError, OverflowError):
        raise ValueError("there is no such date; put it in quotes if it is a text") from None


def _integer(text: str) -> int:
    base = {"0x": 16, "0o": 8}.get(text[:2], 10)
    if len(text) > 25 or not -(2**63) <= (number := int(text, base)) < 2**63:
        raise ValueError("this number does not fit in 64 bits")
    return number


def _dated(text: str) -> str:
    if found := _DATE.fullmatch(text):
        return date(*map(int, found.groups())).isoformat()
    found = _MOMENT.fullmatch(text)
    return _moment(found) if found else text


def _moment(found: re.Match[str]) -> str:
    *numbers, fraction, _, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    zone = UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
    microsecond = int((fraction or "").ljust(6, "0"))
    return datetime(year, month, day, hour, minute, second, microsecond, zone).isoformat()
