"""Documents cut into chunks, and chunks made records."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from vecmig.connectors.documents.document import Document
from vecmig.connectors.documents.options import Chunk
from vecmig.model.metadata import dumps
from vecmig.model.record import Key

# The splitter's time grows with the square of a stretch without any paragraph: 10 MB of one line take minutes, in
# windows of this size seconds.
WINDOW = 1 << 17
TOKENIZER = "text-embedding-3-small"  # whose ranks come with the splitter, so that no network is needed


@dataclass(frozen=True, slots=True)
class Record:
    key: Key
    metadata: bytes
    problem: str | None = None


@dataclass(slots=True)
class Chunker:
    settings: Chunk
    _splitters: dict[bool, MarkdownSplitter | TextSplitter] = field(default_factory=dict)

    def records(self, document: Document) -> Iterator[Record]:
        """Yield the chunks of a document in their order, or its problem.

        An id is the document's and the number of the chunk. Not a hash of the chunk's text: an edit then keeps the id
        of the chunk that it changes, so that the record is replaced, and touches no other document's.
        """
        if document.problem is not None:
            yield _bad(document, document.problem)
            return
        if "text" in document.fields:
            yield _bad(
                document,
                "its field `text` stands where the chunk's text goes: rename it, or name those to keep in"
                " `columns: {metadata: […]}`",
            )
            return
        number = -1
        marks = _Marks(document)
        for number, (start, text) in enumerate(self._pieces(document)):
            place = {"chunk": number, "start": start, "end": start + len(text)}
            metadata = {**document.about, **marks.at(start), **place, **document.fields, "text": text}
            yield Record(Key(document.namespace, f"{document.id}#{number}"), dumps(metadata))
        if number < 0:
            yield _bad(document, "it holds no text")

    def _pieces(self, document: Document) -> Iterator[tuple[int, str]]:
        """Yield (first character, text) of each chunk."""
        splitter = self._splitter(document.markdown)
        at, width = document.begin, max(WINDOW, 8 * self.settings.size)
        while at < len(document.text):
            window = document.text[at : at + width]
            found = splitter.chunk_indices(window)
            if at + width >= len(document.text):
                yield from ((at + start, text) for start, text in found)
                return
            if len(found) < 2:
                if not found:
                    at += width  # nothing but white space
                else:
                    width *= 2
                continue
            # the last one may be cut short: the next window begins with it
            yield from ((at + start, text) for start, text in found[:-1])
            at += found[-1][0]

    def _splitter(self, markdown: bool) -> MarkdownSplitter | TextSplitter:
        if markdown not in self._splitters:
            kind = MarkdownSplitter if markdown else TextSplitter
            size, overlap = self.settings.size, self.settings.overlap
            self._splitters[markdown] = (
                kind.from_tiktoken_model(TOKENIZER, size, overlap=overlap)
                if self.settings.unit == "tokens"
                else kind(size, overlap=overlap)
            )
        return self._splitters[markdown]


def document_of(key: Key) -> Key:
    """Return the key of the document that a chunk is of."""
    id, mark, number = key.id.rpartition("#")
    return Key(key.namespace, id) if mark and number.isdecimal() else key


class _Marks:
    """What the marks say at ascending characters."""

    def __init__(self, document: Document) -> None:
        self._marks, self._next = document.marks, 0
        self._now: dict[str, object] = {}

    def at(self, character: int) -> dict[str, object]:
        while self._next < len(self._marks) and self._marks[self._next].at <= character:
            mark = self._marks[self._next]
            self._now[mark.name] = mark.value
            self._next += 1
        return self._now


def _bad(document: Document, problem: str) -> Record:
    return Record(Key(document.namespace, document.id), dumps(dict(document.about)), problem)
