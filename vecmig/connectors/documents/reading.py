"""Documents as batches of records, and cursors that go on within a document."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence

import pyarrow as pa

from vecmig.connectors.documents.chunks import Chunker, Record, document_of
from vecmig.connectors.documents.document import Corpus, Document, Place
from vecmig.errors import ConnectorError
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.record import Key
from vecmig.model.state import Cursor

PAGE_BYTES = 8 << 20


def read(
    corpus: Corpus, token: str, after: Cursor | None, chunker: Chunker, page_rows: int
) -> Generator[tuple[RecordBatch, Cursor], None, None]:
    """Yield records; a cursor is (place of the last document, records of it that were given, its digest).

    Going on begins with that document: were it, or what stands before it in the file, another than before, records
    would be left out or mixed up. Raises ConnectorError then.
    """
    start, given, digest = json.loads(after) if after else ([], 0, None)
    page: list[Record] = []
    size = 0
    place: Place = ()
    document, number = None, 0
    for place, document in corpus.documents(token, start or None):
        skipped = 0
        if digest is not None:
            if list(place) != start or _digest(document) != digest:
                raise _changed(start)
            skipped, digest = given, None
        for number, record in enumerate(chunker.records(document), 1):
            if number <= skipped:
                continue
            page.append(record)
            size += len(record.metadata)
            if len(page) >= page_rows or size >= PAGE_BYTES:
                yield batch_of(page), _cursor(place, number, document)
                page, size = [], 0
    if digest is not None:
        raise _changed(start)
    if page and document is not None:
        yield batch_of(page), _cursor(place, number, document)


def fetch(corpus: Corpus, keys: Sequence[Key], chunker: Chunker) -> RecordBatch:
    """Return the records that exist and can be given, in the order of `keys`."""
    wanted = set(keys)
    found: dict[Key, Record] = {}
    for document in corpus.find({document_of(key) for key in wanted}):
        found |= {
            record.key: record for record in chunker.records(document) if record.key in wanted and not record.problem
        }
    return batch_of([found[key] for key in keys if key in found])


def batch_of(records: Sequence[Record]) -> RecordBatch:
    columns = {
        "id": pa.array([record.key.id for record in records], pa.string()),
        "namespace": pa.array([record.key.namespace for record in records], pa.string()),
        "metadata": pa.array([record.metadata for record in records], pa.binary()).cast(pa.string()),
    }
    schema = schema_of(())
    if any(record.problem for record in records):
        columns["problem"] = pa.array([record.problem for record in records], pa.string())
        schema = schema.append(pa.field("problem", pa.string()))
    return RecordBatch(pa.RecordBatch.from_pydict(columns, schema))


def all_records(corpus: Corpus, chunker: Chunker) -> Iterator[Record]:
    for _, document in corpus.documents(None):
        yield from chunker.records(document)


def _cursor(place: Place, given: int, document: Document) -> Cursor:
    return Cursor(json.dumps([place, given, _digest(document)]))


def _digest(document: Document) -> str:
    """Return what tells a document from another: its digest, for a cursor stands in the state, where no text may be."""
    return hashlib.sha256(repr(document).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _changed(place: Sequence[str | int]) -> ConnectorError:
    return ConnectorError(
        f"{' '.join(map(str, place[:1]))} was changed since it was read: run again, and what is there now is planned anew"
    )
