"""A file of queries, a JSON object a line -> Golden; or all that is wrong with it, line by line."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vecmig.errors import Problem
from vecmig.model.filter import parse
from vecmig.model.query import Golden, Numbers, Query
from vecmig.spec.suggest import did_you_mean
from vecmig.spec.text import Mark, Text

MAX_QUERIES = 10_000  # each is run three times, or more with filters
MAX_LINE_BYTES = 4 << 20  # of vectors of 65,536 dimensions in full precision
SHOWN = 20  # problems of one file
_KINDS = {"str": "text", "float": "a number", "int": "an integer", "bool": "true or false", "array": "a list",
          "object": "a mapping"}  # fmt: skip


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    text: str | None = None
    vector: list[float] | dict[str, list[float]] | None = None
    filter: dict[str, Any] | None = None
    namespace: str | None = None
    relevant: list[str | int] | dict[str, float] | None = None


def read_golden(path: str) -> tuple[Golden | None, list[Problem]]:
    """Return the queries, or None and what is wrong, with the lines. Raises OSError."""
    queries: list[Query] = []
    faults: list[tuple[int, str, _Fault]] = []
    lengths: dict[str | None, tuple[int, int]] = {}  # vector -> dimensions, and the line that gave it first
    for number, line in _lines(path):
        try:
            if len(queries) == MAX_QUERIES:
                raise _Fault(f"more than {MAX_QUERIES:,} queries", "is this the right file?")
            query = _query(number, line)
            _check_lengths(query, lengths)
            queries.append(query)
        except _Fault as fault:
            faults.append((number, line.decode(errors="replace"), fault))
            if len(faults) > SHOWN or len(queries) == MAX_QUERIES:
                break
    if not queries and not faults:
        hint = 'write one a line, such as {"text": "how to reset a password", "relevant": ["doc-17"]}'
        return None, [Text(path, "").problem(Mark(0, 0), "the file of queries holds none", hint)]
    if faults:
        return None, [_problem(path, *each) for each in faults[:SHOWN]] + _more(path, faults[SHOWN:])
    return Golden(path, tuple(queries)), []


class _Fault(Exception):
    def __init__(self, message: str, hint: str = "", column: int = 0) -> None:
        super().__init__(message)
        self.message, self.hint, self.column = message, hint, column


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the text of each line that is not blank; of one too long only its beginning."""
    with Path(path).open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line.rstrip(b"\r\n")
            if len(line) > MAX_LINE_BYTES:
                return


def _query(number: int, line: bytes) -> Query:
    if len(line) > MAX_LINE_BYTES:
        raise _Fault(f"a line of more than {MAX_LINE_BYTES:,} bytes", "is this the right file?")
    found = _decoded(line)
    if (found.text is None) == (found.vector is None):
        which = "both `text` and `vector`" if found.text is not None else "neither `text` nor `vector`"
        raise _Fault(f"a query with {which}", 'give one: {"text": "…"} or {"vector": [0.1, …]}')
    if found.text is not None and not found.text.strip():
        raise _Fault("`text` is empty")
    named = found.vector if isinstance(found.vector, dict) else {None: found.vector} if found.vector is not None else {}
    if isinstance(found.vector, dict) and not named:
        raise _Fault("`vector` names none", 'such as {"vector": {"title": [0.1, …]}}')
    try:
        filter = parse(found.filter) if found.filter is not None else None
    except ValueError as error:
        raise _Fault(f"`filter`: {error}") from None
    vectors = {name: _numbers(each) for name, each in named.items()}
    return Query(number, found.text, vectors, filter, found.namespace, _grades(found.relevant))


def _decoded(line: bytes) -> _Line:
    try:
        line.decode()
        return msgspec.json.decode(line, type=_Line)
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode())
        raise _Fault("this line is not UTF-8 text", "save it as UTF-8", column) from None
    except msgspec.ValidationError as error:
        raise _Fault(*_said(str(error))) from None
    except msgspec.DecodeError as error:
        place = re.search(r"\(byte (\d+)\)", str(error))
        column = len(line[: int(place[1])].decode(errors="replace")) if place else len(line.decode())
        said = re.sub(r"^JSON is malformed: | \(byte \d+\)$", "", str(error)) if place else "it ends too early"
        raise _Fault(f"this line is no JSON object: {said}", "a query is a line of its own", column) from None


def _said(message: str) -> tuple[str, str]:
    """Return what does not fit, in words of the file, and a hint."""
    known = _Line.__struct_fields__
    unknown = re.search(r"unknown field `(.*)`$", message)
    if unknown:
        return f"unknown key `{unknown[1]}`", did_you_mean(unknown[1], known, "known are")
    what, _, place = message.partition(" - at ")
    said = re.sub(r"`([\w |]+)`", lambda found: _kinds(found[1]), what)
    key = re.search(r"\w+", place)
    return f"`{key[0]}`: {said[:1].lower()}{said[1:]}" if key else f"{said[:1].lower()}{said[1:]}", ""


def _kinds(words: str) -> str:
    return " or ".join(_KINDS.get(each, each) for each in words.split(" | ") if each != "null") or "null"


def _numbers(values: list[float]) -> Numbers:
    if not values:
        raise _Fault("a vector without numbers")
    if not all(map(math.isfinite, values)):
        raise _Fault("a vector that holds infinity")
    return tuple(values)


def _grades(relevant: list[str | int] | dict[str, float] | None) -> dict[str, float]:
    if relevant is None:
        return {}
    grades = relevant if isinstance(relevant, dict) else {str(each): 1.0 for each in relevant}
    if not all(math.isfinite(grade) and grade >= 0 for grade in grades.values()):
        raise _Fault("`relevant` has a grade below 0", "0 is not relevant; the more relevant, the higher")
    if not any(grades.values()):
        raise _Fault("`relevant` names nothing that is relevant", "leave it out where that is not known")
    return grades


def _check_lengths(query: Query, lengths: dict[str | None, tuple[int, int]]) -> None:
    for name, numbers in query.vectors.items():
        length, first = lengths.setdefault(name, (len(numbers), query.line))
        if length != len(numbers):
            raise _Fault(f"a vector of {len(numbers):,} numbers, and that of line {first} has {length:,}")


def _problem(path: str, number: int, line: str, fault: _Fault) -> Problem:
    # an excerpt takes the line by its number, and these would begin another
    text = Text(path, "\n" * (number - 1) + re.sub("[\r\x85\u2028\u2029]", " ", line))
    return text.illustrated([text.problem(Mark(number - 1, fault.column), fault.message, fault.hint)])[0]


def _more(path: str, faults: list[tuple[int, str, _Fault]]) -> list[Problem]:
    if not faults:
        return []
    return [
        Text(path, "").problem(Mark(faults[0][0] - 1, 0), f"this line is wrong, too; only the first {SHOWN} are told")
    ]
