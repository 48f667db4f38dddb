"""A document: a text, and what is known of it. Where it comes from, only its reader knows."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from vecmig.model.plan import Fingerprint
from vecmig.model.record import Key

Place = Sequence[str | int]  # of a document in the order of reading; plain data


@dataclass(frozen=True, slots=True)
class Mark:
    """From this character on, metadata field `name` is `value`: a page, a heading."""

    at: int
    name: Literal["heading", "page"]
    value: str | int


@dataclass(frozen=True, slots=True)
class Document:
    """`problem` says why it cannot be given; then it has no chunks and is one record, under its own id."""

    id: str  # a path relative to the root, or a row's id
    namespace: str = ""
    text: str = ""
    begin: int = 0  # of what is cut into chunks; front matter stands before it
    markdown: bool = False
    marks: Sequence[Mark] = ()  # ascending
    about: Mapping[str, object] = field(default_factory=dict)  # where it is from: metadata of each chunk
    fields: Mapping[str, object] = field(default_factory=dict)  # its own, which win over `about` and marks
    problem: str | None = None


class Corpus(Protocol):
    """Documents in an order, each at its place."""

    @property
    def there(self) -> bool: ...

    def partitions(self, at_most: int) -> Sequence[str]:
        """Return tokens of disjoint ranges of places, ascending; the first and the last are open."""

    def documents(self, token: str | None, start: Place | None = None) -> Generator[tuple[Place, Document], None, None]:
        """Yield what lies in the range (None: all), from place `start` on."""

    def find(self, wanted: Iterable[Key]) -> Generator[Document, None, None]:
        """Yield the documents that have these namespaces and ids, in any order."""

    def fingerprint(self) -> Fingerprint: ...

    def close(self) -> None: ...
