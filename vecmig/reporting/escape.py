"""Text from data made harmless where it is shown: an id must not recolour a screen, ping a person or become a link."""

import re

_BROKEN = "<!-- -->"  # splits a text where it is read as a mention, an issue or an address; shows nothing
_ACTIVE = re.compile(r"([\\`*_\[\]~$])")
_LEADING = re.compile(r"^(\s*\d*)([#+\-=:.)])")  # what makes a heading, a list or a line of a table
_FENCE = re.compile(r"`+")


def visible(text: str) -> str:
    """Return `text` on one line, with everything that does not print as an escape such as `\\x1b` or `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def visible_lines(text: str) -> str:
    """Return `text` with its lines kept, and all else as `visible`: for messages that vecmig itself has laid out."""
    return "\n".join(map(visible, text.split("\n")))


def json_visible(text: str) -> str:
    """Return a JSON document that means the same, with everything that does not print as an escape."""
    return "".join(each if each.isprintable() or each == "\n" else _json_escape(each) for each in text)


def markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it stands; only `code` in backticks stays code."""
    parts = visible(text).split("`")
    if len(parts) % 2 == 0:  # the backticks are not in pairs
        return _plain("`".join(parts))
    return "".join(code(part) if i % 2 else _plain(part) for i, part in enumerate(parts))


def code(text: str) -> str:
    """Return `text` as a code span of Markdown that nothing in it can end."""
    shown = visible(text)
    if not shown.strip():
        return "` `"
    fence = "`" * (max(map(len, _FENCE.findall(shown)), default=0) + 1)
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def cell(marked: str) -> str:
    """Return what is Markdown already so that it stays in one cell of a table, in code as well."""
    return marked.replace("|", "\\|")


def _plain(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _ACTIVE.sub(r"\\\1", text)
    text = re.sub(r"([@#])(?=\w)", rf"\1{_BROKEN}", text)
    text = re.sub(r"(?<=\w)(://)|(?<=www)(\.)", rf"{_BROKEN}\1\2", text, flags=re.IGNORECASE)
    return _LEADING.sub(r"\1\\\2", text)


def _json_escape(each: str) -> str:
    if ord(each) > 0xFFFF:
        high, low = divmod(ord(each) - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
    return f"\\u{ord(each):04x}"
