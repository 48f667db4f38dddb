"""YAML text -> nodes with positions. All that YAML allows and a spec does not is a problem here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from vecmig.errors import Problem
from vecmig.spec.text import Mark, Text, mark_of

MAX_DEPTH = 64  # of nesting
MAX_VALUES = 100_000  # after aliases are expanded: a few lines of them can stand for billions
_PLAIN_TAGS = {"tag:yaml.org,2002:" + name for name in ("null", "bool", "int", "float", "timestamp", "map", "seq")}
_TEXT_TAGS = {"!", "tag:yaml.org,2002:str"}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTE = 'an expression stands in quotes: "{{ vars.name }}"'


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str
    plain: bool  # without quotes: it may be a number, a date, true, false or null
    mark: Mark
    end: Mark
    size: int = 1  # values, itself included, with aliases expanded


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple["Node", ...]
    mark: Mark
    size: int


@dataclass(frozen=True, slots=True)
class Mapping:
    entries: tuple[tuple[Scalar, "Node"], ...]  # keys differ, in the order of the file
    mark: Mark
    size: int


Node = Scalar | Sequence | Mapping


class _Fatal(Exception):
    """After this problem the rest of the text cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def parse(text: Text) -> tuple[Node | None, list[Problem]]:
    """Return the one document of the text, None where it cannot be read, and what is wrong with it."""
    found = _UNPRINTABLE.search(text.content)
    if found:
        message = f"character U+{ord(found[0]):04X} is not allowed here"
        return None, [text.problem(mark_of(text.content, found.start()), message, "remove it")]
    composer = _Composer(text, yaml.parse(text.content, Loader=yaml.SafeLoader))
    try:
        return composer.document(), composer.problems
    except _Fatal as fatal:
        return None, [*composer.problems, fatal.problem]
    except yaml.MarkedYAMLError as error:
        return None, [*composer.problems, _syntax(text, error)]
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # such as "\UFFFFFFFF", which no character has
        return None, [*composer.problems, text.problem(composer.at, f"this is not YAML: {error}")]


def _syntax(text: Text, error: yaml.MarkedYAMLError) -> Problem:
    place = error.problem_mark or error.context_mark
    mark = Mark(place.line, place.column) if place else Mark(0, 0)
    what = str(error.problem or error.context or "it cannot be read")
    hint = ""
    if "'\\t'" in what:
        what, hint = "a tab cannot indent", "use spaces"
    elif "'%'" in what or "'{'" in what:
        hint = _QUOTE
    elif "mapping values are not allowed" in what:
        hint = "is the line above indented alike? A text with `: ` in it stands in quotes"
    elif error.context and error.problem:
        what = f"{what} {error.context}"
    return text.problem(mark, f"this is not YAML: {what}", hint)


@dataclass(slots=True)
class _Composer:
    """Turns the parser's events into nodes. PyYAML's own composer recurses without limit and forgets duplicates."""

    text: Text
    events: Iterator[yaml.Event]
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)  # None: still open
    at: Mark = Mark(0, 0)

    def next(self) -> yaml.Event:
        event = next(self.events)
        if event.start_mark:
            self.at = Mark(event.start_mark.line, event.start_mark.column)
        return event

    def document(self) -> Node | None:
        self.next()  # the stream starts
        if isinstance(self.next(), yaml.StreamEndEvent):
            return None
        node = self.node(self.next(), 0)
        self.next()  # the document ends
        if not isinstance(self.next(), yaml.StreamEndEvent):
            self.problem(self.at, "a spec is one YAML document; here a second one starts", "remove it, and the `---`")
        return node

    def problem(self, mark: Mark, message: str, hint: str = "") -> None:
        self.problems.append(self.text.problem(mark, message, hint))

    def node(self, event: yaml.Event, depth: int) -> Node:
        mark = self.at
        if depth > MAX_DEPTH:
            raise _Fatal(self.text.problem(mark, f"this is nested more than {MAX_DEPTH} deep"))
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), mark)
        assert isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent)
        anchor = event.anchor
        if anchor:
            self.anchors[anchor] = None
        if event.tag and event.tag not in _PLAIN_TAGS | _TEXT_TAGS:
            self.problem(mark, f"the tag {event.tag!r} means nothing here", "write the value without it")
        node: Node
        match event:
            case yaml.ScalarEvent():
                plain = (event.style is None and event.tag not in _TEXT_TAGS) or event.tag in _PLAIN_TAGS
                end = Mark(event.end_mark.line, event.end_mark.column) if event.end_mark else mark
                node = Scalar(self.checked(event.value, mark), plain, mark, end)
            case yaml.SequenceStartEvent():
                node = self.sequence(mark, depth)
            case _:
                node = self.mapping(mark, depth)
        if node.size > MAX_VALUES:
            raise _Fatal(self.text.problem(mark, f"this stands for more than {MAX_VALUES:,} values"))
        if anchor:
            self.anchors[anchor] = node
        return node

    def alias(self, anchor: str, mark: Mark) -> Node:
        if anchor not in self.anchors:
            raise _Fatal(self.text.problem(mark, f"there is no anchor `&{anchor}` above"))
        node = self.anchors[anchor]
        if node is None:
            raise _Fatal(self.text.problem(mark, f"`&{anchor}` contains itself"))
        return node

    def checked(self, value: str, mark: Mark) -> str:
        # an escape in double quotes can write what the text itself may not hold
        bad = next((char for char in value if char == "\0" or "\ud800" <= char <= "\udfff"), None)
        if bad is None:
            return value
        self.problem(mark, f"this text holds U+{ord(bad):04X}, which is no character of a text")
        return value.replace("\0", "").encode(errors="ignore").decode()

    def sequence(self, mark: Mark, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return Sequence(tuple(items), mark, 1 + sum(item.size for item in items))

    def mapping(self, mark: Mark, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        merged: list[tuple[Scalar, Node]] = []
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(self.next(), depth + 1)
            if not isinstance(key, Scalar):
                expression = isinstance(key, Mapping) and mark.line == key.mark.line
                self.problem(key.mark, "a key is a text", _QUOTE if expression else "")
            elif key.plain and key.text == "<<":
                merged += self.merge(key, value)
            elif key.text in entries:
                first = entries[key.text][0].mark.line + 1
                self.problem(key.mark, f"`{_short(key.text)}` stands twice, first in line {first}", "remove one")
            else:
                entries[key.text] = (key, value)
        for key, value in merged:
            entries.setdefault(key.text, (key, value))
        return Mapping(tuple(entries.values()), mark, 1 + sum(1 + value.size for _, value in entries.values()))

    def merge(self, key: Scalar, value: Node) -> list[tuple[Scalar, Node]]:
        parts = value.items if isinstance(value, Sequence) else (value,)
        good = [part for part in parts if isinstance(part, Mapping)]
        if len(good) < len(parts):
            self.problem(key.mark, "`<<` takes a mapping, or a list of them")
        return [entry for part in good for entry in part.entries]


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
