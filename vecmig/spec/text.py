"""A YAML file as text: what its problems point at."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from vecmig.errors import Position, Problem, SpecError

MAX_BYTES = 1 << 20  # a spec is written by people: more than this is another file
WIDTH = 100  # characters of a line that an excerpt shows
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # where YAML 1.1 ends a line
_HIDDEN = (
    re.compile(r"://[^:@/\s]*:(?P<value>(?:\{\{.*?\}\}|[^@\s])+)@"),
    re.compile(
        r"""(?ix) (?:password|passwd|pwd|secret|token|api_?key|authorization) ["']? \s* [:=] \s* ["']?
        (?P<value>(?:\{\{.*?\}\}|[^\s"',;&}])+)"""
    ),
)


class Mark(NamedTuple):
    """A place in a text; both count from 0."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Text:
    file: str
    content: str

    def problem(self, mark: Mark, message: str, hint: str = "") -> Problem:
        return Problem(message, Position(self.file, mark.line + 1, mark.column + 1), hint=hint)

    def illustrated(
        self, problems: Iterable[Problem], secrets: Iterable[tuple[Mark, Mark]] = ()
    ) -> tuple[Problem, ...]:
        """Return the problems in the order of the file, once each, with excerpts that show nothing of the `secrets`, (start, end)."""
        lines = _BREAK.split(self.content)
        hidden = frozenset(secrets)
        placed = sorted(set(problems), key=lambda each: (each.position or Position("", 0, 0), each.message))
        return tuple(self._illustrated(each, lines, hidden) for each in placed)

    def _illustrated(self, problem: Problem, lines: list[str], hidden: frozenset[tuple[Mark, Mark]]) -> Problem:
        at = problem.position
        if at is None or at.file != self.file or at.line > len(lines):
            return problem
        line = lines[at.line - 1]
        for start, end in hidden:
            if start.line <= at.line - 1 <= end.line:
                first = start.column if start.line == at.line - 1 else 0
                line = _without(line, first, end.column if end.line == at.line - 1 else len(line))
        return replace(problem, excerpt=_excerpt(_without_credentials(line), at.line, at.column))


def read(path: str, what: str) -> Text:
    """Return the text of a file; `what` it is stands in the errors. Raises SpecError."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "`vecmig init` writes a first one; -f names another file" if what == "spec" else ""
        raise SpecError(Problem(f"there is no {what} {path!r}", hint=hint)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SpecError(Problem(f"cannot read {what} {path!r}: {getattr(error, 'strerror', None) or error}")) from None
    if len(raw) > MAX_BYTES:
        raise SpecError(Problem(f"{what} {path!r} is larger than {MAX_BYTES:,} bytes", hint="is this the right file?"))
    try:
        return Text(path, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = Text(path, raw[: error.start].decode("utf-8-sig", "replace"))
        *whole, last = _BREAK.split(before.content)
        problem = before.problem(Mark(len(whole), len(last)), f"{what} is not UTF-8 text", "save it as UTF-8")
        raise SpecError(problem) from None


def mark_of(content: str, index: int) -> Mark:
    """Return the place of a character."""
    *whole, last = _BREAK.split(content[:index])
    return Mark(len(whole), len(last))


def _excerpt(line: str, number: int, column: int) -> str:
    start = max(0, column - 1 - WIDTH // 2) if len(line) > WIDTH else 0
    shown = line[start : start + WIDTH]
    before = ("… " if start else "") + shown[: column - 1 - start]
    after = shown[column - 1 - start :] + (" …" if start + WIDTH < len(line) else "")
    gutter = f"  {number} | "
    # a tab stays a tab, so that the caret stands below its character however wide the terminal shows it
    below = re.sub(r"[^\t]", " ", before)
    return f"{gutter}{_printable(before + after)}\n{' ' * len(gutter)}{below}^"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)


def _without(line: str, start: int, end: int) -> str:
    """Hide what stands from `start` to `end`, but for expressions: they only name a secret."""
    parts = re.split(r"(\{\{.*?\}\})", line[start:end])
    shown = "".join(part if part.startswith("{{") else "*" * len(part) for part in parts)
    return line[:start] + shown + line[end:]


def _without_credentials(line: str) -> str:
    for pattern in _HIDDEN:
        for found in list(pattern.finditer(line)):
            if "{{" not in found["value"]:
                line = line[: found.start("value")] + "*" * len(found["value"]) + line[found.end("value") :]
    return line
