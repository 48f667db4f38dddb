"""Metadata is a JSON object as text; here is all that reads or writes that text. No number changes on the way."""

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import orjson

# What a parser of doubles could alter: 16 digits in a number, or an exponent (tests only look at the raw text: a hit
# inside a string costs time, never correctness).
# (written so that the search skips from digit to digit: with the digits in each alternative it takes four times as long)
_LONG = re.compile(rb"[0-9](?:[0-9.]{15}|[eE])")
# What two stores may write differently for one value, besides: 1.0 for 1, -0 for 0.
# In the words of RE2, too, which looks at a whole Arrow column in the time that `re` takes for a tenth of it.
AMBIGUOUS = r"[0-9](?:[0-9.]{15}|[eE]|\.0+(?:[^0-9]|$))|-0(?:[^0-9.]|$)"
_AMBIGUOUS = re.compile(AMBIGUOUS.encode())
_BREAK = orjson.Fragment(b"\n")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# An escape, as a pair of surrogates, half of one (then in the group), or any other: so that each backslash counts once.
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]|(u[dD][89a-fA-F])|.)", re.DOTALL)
MAX_DEPTH = 200  # of nesting; orjson writes at most 254 levels


def loads(text: bytes | str) -> dict[str, Any]:
    """Return the object. A number that neither an int64 nor a double holds exactly is a Decimal.

    Raises ValueError if the text is not a JSON object, or is nested more than MAX_DEPTH deep.
    """
    raw = text.encode() if isinstance(text, str) else text
    try:
        value = _exact(raw, _float, _int) if _LONG.search(raw) else orjson.loads(raw)
    except RecursionError:
        raise ValueError("metadata is nested too deep") from None
    return _object(value, raw)


def _exact(raw: bytes, parse_float: Callable[[str], object], parse_int: Callable[[str], object]) -> object:
    """Parse with numbers as their text says, and refuse all else that orjson refuses, but json takes."""
    text = raw.decode()  # which json would do as UTF-16, too, and with surrogates
    value = json.loads(text, parse_float=parse_float, parse_int=parse_int, parse_constant=_no_constant)
    if _SURROGATE.search(text) and any(escape[1] for escape in _ESCAPE.finditer(text)):
        raise ValueError("metadata holds half of a surrogate pair, which is no Unicode character")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"metadata holds {name}, which is no JSON")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError("metadata holds a number whose exponent is out of all range") from None


def _object(value: object, raw: bytes) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("metadata is not a JSON object")
    if len(raw) > 2 * MAX_DEPTH and raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError(f"metadata is nested more than {MAX_DEPTH} deep")
    return value


def dumps(value: object) -> bytes:
    """Return JSON text that `loads` reads back as the same value."""
    return orjson.dumps(value, default=_default)


def canonical(text: bytes | str) -> bytes:
    """Return JSON text that is equal exactly where the values are: keys sorted by code point, 1.0 as 1, -0.0 as 0.

    A number is the decimal value of its text, so 1e23 is equal in a store of doubles, which write their shortest
    text, and in one of decimals. Raises ValueError as `loads` does.
    """
    raw = text.encode() if isinstance(text, str) else text
    if not _AMBIGUOUS.search(raw):
        return orjson.dumps(_object(orjson.loads(raw), raw), option=orjson.OPT_SORT_KEYS)
    loads(raw)  # for its errors
    return orjson.dumps(_exact(raw, _canonical, _canonical), option=orjson.OPT_SORT_KEYS)


def canonical_all(texts: Sequence[bytes], ambiguous: Sequence[bool]) -> list[bytes]:
    """Return what `canonical` does of each text. `ambiguous`: whether AMBIGUOUS finds something in it.

    All are written in one call, between breaks of line, which JSON never holds: a call of its own for each text takes
    eight times as long.
    """
    values: list[object] = [
        orjson.Fragment(canonical(text)) if slow else _object(orjson.loads(text), text)
        for text, slow in zip(texts, ambiguous, strict=True)
    ]
    if not values:
        return []
    values = [each for value in values for each in (value, _BREAK)]
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)[1:-3].split(b",\n,")


def _float(text: str) -> float | Decimal:
    value, exact = float(text), _decimal(text)
    return value if Decimal(repr(value)) == exact and abs(value) != float("inf") else exact


def _int(text: str) -> int | Decimal:
    value = int(text) if len(text) < 20 else Decimal(text)
    return value if -(2**63) <= value < 2**63 else Decimal(text)


def _default(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value).replace("E+", "e").replace("E", "e").encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


def _canonical(text: str) -> orjson.Fragment:
    exact = _decimal(text)
    if exact == 0:
        return orjson.Fragment(b"0")
    if exact == exact.to_integral_value() if exact.adjusted() < 15 else False:
        return orjson.Fragment(b"%d" % int(exact))
    value = float(text)
    if exact.adjusted() < 15 and Decimal(repr(value)) == exact:
        return orjson.Fragment(orjson.dumps(value))  # as the fast way writes it
    sign, digits, exponent = exact.as_tuple()
    mantissa = "".join(map(str, digits)).rstrip("0")
    scale = int(exponent) + len(digits) - len(mantissa)
    return orjson.Fragment(f"{'-' if sign else ''}{mantissa}e{scale}".encode())


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return depth - 1
