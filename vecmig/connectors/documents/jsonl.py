"""JSONL: a document a line. Its place is the byte where the line begins."""

from collections.abc import Iterator
from io import BufferedReader

from vecmig.connectors.documents.document import Document
from vecmig.connectors.documents.options import Columns
from vecmig.connectors.documents.rows import bad, document
from vecmig.model.metadata import loads

_BOM = b"\xef\xbb\xbf"


def documents(
    file: BufferedReader, name: str, columns: Columns, low: int, high: int | None, max_bytes: int
) -> Iterator[tuple[int, Document]]:
    """Yield the lines that begin at a byte from `low` to before `high`: whoever cuts need not know where lines end."""
    at = low
    if low:
        file.seek(low - 1)
        if file.read(1) != b"\n":
            at += _skipped(file)
    while high is None or at < high:
        line = file.readline(max_bytes + 1)
        if not line:
            return
        start, at = at, at + len(line)
        if len(line) > max_bytes and not line.endswith(b"\n"):
            at += _skipped(file)
            yield start, bad(name, f"byte {start}", f"the line is longer than {max_bytes >> 20} MiB")
            continue
        text = line.removeprefix(_BOM).strip() if start == 0 else line.strip()
        if text:
            yield start, _document(text, name, columns, start)


def _document(line: bytes, name: str, columns: Columns, start: int) -> Document:
    try:
        row = loads(line)
    except ValueError as error:
        return bad(name, f"byte {start}", f"the line at byte {start:,} is no JSON object in UTF-8: {error}")
    return document(row, columns, name, f"byte {start}", None)


def _skipped(file: BufferedReader) -> int:
    """Go to the beginning of the next line; return the bytes passed."""
    passed = 0
    while part := file.readline(1 << 20):
        passed += len(part)
        if part.endswith(b"\n"):
            break
    return passed
