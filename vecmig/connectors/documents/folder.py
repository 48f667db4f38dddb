"""The documents of files, in the order of their names. A place is (file, position in it)."""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate, pairwise
from typing import Any

from vecmig.connectors.documents import csvs, jsonl, parquet
from vecmig.connectors.documents.document import Document, Place
from vecmig.connectors.documents.files import File, Folder, found, required
from vecmig.connectors.documents.html import html
from vecmig.connectors.documents.markdown import markdown
from vecmig.connectors.documents.options import DocumentsOptions
from vecmig.connectors.documents.pdf import pdf
from vecmig.connectors.documents.text import decoded
from vecmig.model.plan import Fingerprint
from vecmig.model.record import Key

ROWS = ("jsonl", "csv", "parquet")
PARSERS = ("semantic-text-splitter", "pypdfium2", "markdown-it-py")  # other versions may cut or read otherwise


@dataclass(frozen=True, slots=True)
class FolderCorpus:
    """A Corpus (see document.py)."""

    options: DocumentsOptions
    path: str

    @property
    def there(self) -> bool:
        return bool(found(self.path, self.options.include)[1])

    def fingerprint(self) -> Fingerprint:
        """Return a digest of every file's content: the same in every checkout, and other with any change."""
        folder, files = required(self.path, self.options.include)
        digests = [folder.digest(file) for file in files]
        settings = (self.options.columns, self.options.chunk, self.options.max_document_mib)
        all_ = ([file.name for file in files], digests, settings, [version(each) for each in PARSERS])
        value = hashlib.sha256(repr(all_).encode("utf-8", "surrogatepass")).hexdigest()
        return Fingerprint(value, "exact" if all(exact for _, exact in digests) else "counters")

    def partitions(self, at_most: int) -> Sequence[str]:
        """Return ranges of about as many bytes each. They are open to files that come later, and hold for changed ones."""
        folder, files = required(self.path, self.options.include)
        fair = max(1, sum(file.size for file in files) // at_most)
        pieces = [piece for file in files for piece in _pieces(folder, file, fair)]
        ends = list(accumulate(size for _, size in pieces))
        starts = {bisect_left(ends, ends[-1] * n / at_most) + 1 for n in range(1, at_most)}
        cuts = [pieces[n][0] for n in sorted(starts) if n < len(pieces)]
        return [json.dumps([low, high]) for low, high in pairwise([None, *cuts, None])]

    def documents(self, token: str | None, start: Place | None = None) -> Generator[tuple[Place, Document], None, None]:
        low, high = json.loads(token) if token else (None, None)
        folder, files = required(self.path, self.options.include)
        begin: Any = start or low or ("", 0)
        first, position = begin
        last, end = high or (None, None)
        for file in files:
            if file.name < first or (last is not None and (file.name > last or (file.name == last and end == 0))):
                continue
            upto = end if file.name == last else None
            for at, document in self._read(folder, file, position if file.name == first else 0, upto):
                yield [file.name, at], document

    def find(self, wanted: Iterable[Key]) -> Generator[Document, None, None]:
        folder, files = required(self.path, self.options.include)
        missing = set(wanted)
        for file in files:
            if file.kind not in ROWS and Key("", file.name) in missing:
                missing.discard(Key("", file.name))
                yield self._whole(folder, file)
        for file in files:
            if file.kind in ROWS and missing:
                for _, document in self._read(folder, file, 0, None):
                    if (key := Key(document.namespace, document.id)) in missing:
                        missing.discard(key)
                        yield document

    def close(self) -> None: ...

    def _read(self, folder: Folder, file: File, low: int, high: int | None) -> Iterator[tuple[int, Document]]:
        if file.kind not in ROWS:
            yield 0, self._whole(folder, file)
            return
        columns, largest = self.options.columns, self.options.max_document_mib << 20
        with folder.open(file.name) as content:
            match file.kind:
                case "jsonl":
                    yield from jsonl.documents(content, file.name, columns, low, high, largest)
                case "csv":
                    yield from csvs.documents(content, file.name, columns, low, largest)
                case _:
                    yield from parquet.documents(content, file.name, columns, low, high, largest)

    def _whole(self, folder: Folder, file: File) -> Document:
        """Return a file as a document, or what stands for one that cannot be given."""
        name, largest = file.name, self.options.max_document_mib << 20
        try:
            if file.size > largest:
                raise ValueError(f"it is larger than {largest >> 20} MiB: split it, or raise `max_document_mib`")
            with folder.open(name) as content:
                data = content.read()  # without a size, for whose bytes memory would be taken at once
            match file.kind:
                case "markdown":
                    return markdown(name, decoded(data))
                case "html":
                    return html(name, data)
                case "pdf":
                    return pdf(name, data, largest)
            return Document(name, text=decoded(data), about={"source": name})
        except ValueError as error:
            return Document(name, about={"source": name}, problem=str(error))


def _pieces(folder: Folder, file: File, fair: int) -> list[tuple[tuple[str, int], int]]:
    """Return where the file may be cut, with the bytes from there on.

    CSV at its beginning only: whether a line end stands within quotes, only a reader from there knows.
    """
    if file.kind == "jsonl" and file.size > fair:
        return [((file.name, at), min(fair, file.size - at)) for at in range(0, file.size, fair)]
    if file.kind == "parquet" and file.size > fair:
        with folder.open(file.name) as content:
            if found := parquet.groups(content):
                return [((file.name, at), size) for at, size in found]
    return [((file.name, 0), file.size)]
