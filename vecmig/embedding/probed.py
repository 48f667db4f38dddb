"""Which records a probe rests on: they have a text and a vector, and are from all over the source."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from threading import Event

from vecmig.conversion.convert import convert
from vecmig.conversion.text import fields_of, rendered
from vecmig.migration import Embedding, Migration
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import VectorField
from vecmig.model.metadata import loads
from vecmig.model.plan import Conversion
from vecmig.planning.decide import FEWEST, PROBED
from vecmig.retry import read_on, retrying

LOOKED_THROUGH, PLACES = 10_000, 8  # records at most, where the sample has few texts
PATIENCE_S = 10.0  # with a store that is away for a moment: somebody waits for the plan


def taken(records: RecordBatch, migration: Migration) -> RecordBatch:
    """Return those that the migration takes: others are no evidence."""
    return convert(records, Conversion(where=migration.where)).batch


def chosen(
    migration: Migration, sample: RecordBatch, asked: Embedding, vector: VectorField | None
) -> tuple[RecordBatch, int]:
    """Return the records to probe with, PROBED at most, and how many must be compared to show that two models are one.

    `vector`: the one that is compared; a vector of zeros, which is near to nothing, is not. None: a text is enough.
    """
    found = _some(sample, asked, vector)
    if vector is None:
        return found, 0
    there = len(_candidates(sample, vector))
    if len(found) < FEWEST:
        pages, there = [], 0
        for page in _read(migration, vector):  # not kept: only what can be probed is
            there += len(_candidates(page, vector))
            pages.append(_some(page, asked, vector))
        found = _some(concat(pages), asked, vector) if pages else found
    return found, min(FEWEST, there)


def text_of(asked: Embedding, metadata: bytes) -> str | None:
    """Return what would be embedded; None where there is nothing."""
    assert asked.text is not None
    try:
        return rendered(asked.text, loads(metadata))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Unread:
    """Fields of a template that no sampled record has, against those that the records have."""

    fields: Sequence[str]
    known: Sequence[str]
    textless: bool  # no sampled record yields a text


def unread(asked: Embedding, sample: RecordBatch) -> Unread | None:
    """Return the fields of `embedding.text` that no sampled record has; None where there is none such."""
    if asked.text is None or not len(sample):
        return None
    metadata = sample.bytes_of("metadata")
    known = {name for each in metadata for name in loads(each)}
    missing = sorted(fields_of(asked.text) - known)
    if not missing:
        return None
    return Unread(missing, sorted(known), not any(text_of(asked, each) for each in metadata))


def _some(records: RecordBatch, asked: Embedding, vector: VectorField | None) -> RecordBatch:
    rows, metadata = _candidates(records, vector), records.bytes_of("metadata")
    step = max(1, len(rows) // PROBED)  # neighbours are often alike
    spread = (row for start in range(step) for row in rows[start::step])
    return records.take([*islice((row for row in spread if text_of(asked, metadata[row])), PROBED)])


def _candidates(records: RecordBatch, vector: VectorField | None) -> Sequence[int]:
    if vector is None:
        return range(len(records))
    rows, vectors = records.present_vectors(vector.name)
    found: list[int] = rows[vectors.any(axis=1)].tolist()
    return found


def _read(migration: Migration, vector: VectorField) -> Iterator[RecordBatch]:
    """Yield what the migration takes of the beginnings of several partitions, which hold the sample."""
    with closing(migration.source.open_source()) as source:
        parts = source.partitions(migration.source.options.collection, PLACES)
        for part in parts:
            left = LOOKED_THROUGH // len(parts)
            with closing(read_on(source, part, None, [vector.name], retrying(Event(), PATIENCE_S))) as pages:
                for batch, _ in pages:
                    yield taken(batch.slice(0, left), migration)
                    if (left := left - len(batch)) <= 0:
                        break
