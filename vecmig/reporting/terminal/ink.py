"""Lines for a terminal: made harmless, fitted to its width, coloured only if asked."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Literal

from vecmig.reporting.escape import visible

Colour = Literal["bold", "dim", "red", "green", "yellow"]
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
LABEL = 12  # columns of a label


def ink(text: str, colour: Colour | None, coloured: bool) -> str:
    """Return `text`, which must be harmless already, in a colour."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if coloured and colour and text else text


def headline(left: str, right: str, width: int) -> tuple[str, str]:
    """Return both sides of the first line, the right one at the edge, or two spaces after the left one."""
    left, right = visible(left), visible(right)
    return left, " " * max(2, min(width, 100) - len(left) - len(right)) + right


def labelled(label: str, text: str, width: int, indent: int = 0) -> list[str]:
    """Return `label  text`, wrapped below the text."""
    first = " " * indent + f"{visible(label):<{LABEL - 1}} "
    return wrapped(text, width, first, " " * max(indent + LABEL, 0))


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return lines of at most `width` columns, but for words that are longer."""
    lines = textwrap.wrap(
        visible(text), max(width, 40), initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return lines or [first.rstrip()]


def cut(lines: Sequence[str], limit: int, what: str, indent: int = 0) -> list[str]:
    """Return at most `limit` lines; the last one says how many are left out and how to see them."""
    if len(lines) <= limit:
        return list(lines)
    left = len(lines) - (limit - 1)
    return [*lines[: limit - 1], " " * indent + f"… and {left:,} more {what} (-v shows all)"]


def document(lines: Iterable[str]) -> str:
    """Return the lines as one text, without blanks at their ends."""
    return "\n".join(line.rstrip() for line in lines) + "\n"
