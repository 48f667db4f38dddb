"""Markdown: front matter, title, and the path of headings that each part stands under."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import yaml
from markdown_it import MarkdownIt

from vecmig.connectors.documents.document import Document, Mark
from vecmig.connectors.documents.values import plain

_FRONT = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_BLOCKS = MarkdownIt("commonmark").disable("inline")  # where blocks begin is all that is asked
PARSED = 1 << 20  # characters at once: a parsed block takes some hundred times its size
SEPARATOR = " > "
LONGEST_FRONT = 1 << 16  # characters of front matter
MOST_NESTED = 200  # lists and mappings in it: the time to parse them grows with the square, at the least
_OPENING = re.compile(r"[\[{]|[-?:] (?=[-?:] )")


def markdown(name: str, text: str) -> Document:
    """Return a file's text as a document."""
    begin, fields = _front_matter(text)
    return outlined(name, text, begin=begin, fields=fields)


def outlined(name: str, text: str, title: str = "", begin: int = 0, fields: Mapping[str, object] = {}) -> Document:
    """Return a text in Markdown as a document; its first heading of level 1 is the title where none is given."""
    path: list[tuple[int, str]] = []  # level and text of the headings above
    marks = []
    for at, level, heading in _headings(text, begin):
        title = title or (heading if level == 1 else "")
        while path and path[-1][0] >= level:
            path.pop()
        path.append((level, heading))
        marks.append(Mark(at, "heading", SEPARATOR.join(each for _, each in path if each)))
    about = {"source": name, **({"title": title} if title else {})}
    return Document(name, text=text, begin=begin, markdown=True, marks=marks, about=about, fields=fields)


def _headings(text: str, begin: int) -> Iterator[tuple[int, int, str]]:
    """Yield where each heading begins, its level and its text."""
    for start, block in _blocks(text, begin):
        tokens = _BLOCKS.parse(block)
        line, at = 0, start
        for token, content in pairwise(tokens):
            if token.type != "heading_open" or not token.map:
                continue
            while line < token.map[0]:
                at = text.index("\n", at) + 1
                line += 1
            yield at, int(token.tag[1:]), " ".join(content.content.split())


def _blocks(text: str, begin: int) -> Iterator[tuple[int, str]]:
    """Yield the text in pieces that are parsed at once; a long one is cut at an empty line."""
    while begin < len(text):
        end = begin + PARSED
        if end < len(text):
            cut = text.rfind("\n\n", begin, end)
            end = cut + 2 if cut > begin else end
        yield begin, text[begin:end]
        begin = end


def _front_matter(text: str) -> tuple[int, dict[str, object]]:
    """Return where the text begins, and the fields said before. What is no mapping in YAML is text."""
    found = _FRONT.match(text)
    if found is None or len(found[1]) > LONGEST_FRONT or len(_OPENING.findall(found[1])) > MOST_NESTED:
        return 0, {}
    try:
        # an alias repeats what it names, so that a few lines can mean gigabytes
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(found[1], yaml.SafeLoader)):
            return 0, {}
        fields = yaml.safe_load(found[1])
        if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
            return 0, {}
        return found.end(), {name: plain(value, name) for name, value in fields.items()}
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return 0, {}
