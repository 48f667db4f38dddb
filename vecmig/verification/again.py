"""Vectors whose embeddings are not in the cache any more: a sample is made again; of the rest nothing is known."""

from collections.abc import Collection, Iterator
from contextlib import closing
from threading import Event

import numpy as np
from msgspec.structs import replace

from vecmig.comparison.sides import partitions_of
from vecmig.conversion.convert import Converted, convert
from vecmig.embedding.models import Purse, embedding_step
from vecmig.migration import Migration
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.plan import Decision
from vecmig.model.record import Key
from vecmig.model.report import Breach, Report, Verdict
from vecmig.model.state import Cursor
from vecmig.planning.decide import SAME
from vecmig.planning.declare import conversion_of, declare

SAMPLED = 64  # records: each costs a text
PLACES = 8  # of the source, that they are from


def with_sample(
    report: Report, migration: Migration, decisions: Collection[Decision], purse: Purse | None, stop: Event
) -> Report:
    """Return a report of all but the vectors that are made of texts, with what a sample of those shows.

    A model is not bit for bit the same from request to request, so vectors are compared by their cosine.
    """
    tested, different = _compared(migration, decisions, purse, stop) if purse is not None else (0, [])
    records = report.records
    known = records.compared if records else 0
    unknown = max(0, known - tested)
    hint = (
        f"embeddings are not in the cache any more: {tested:,} records were embedded again and have the vectors that they"
        f" should (cosine {SAME} or more), those of {unknown:,} are unknown. `vecmig apply` after a change embeds again"
    )
    breaches = [*report.breaches]
    if different:
        hint = (
            f"{len(different):,} of {tested:,} vectors that were embedded again differ, such as that of {different[0]}"
        )
        breaches.append(Breach("mismatched", migration.verification.thresholds.mismatched, len(different), hint))
    elif unknown:
        breaches.append(Breach("mismatched", migration.verification.thresholds.mismatched, None, hint))
    if records is not None:
        matching = max(0, records.matching - unknown - len(different))
        records = replace(
            records,
            matching=matching,
            mismatched=records.mismatched + len(different),
            mismatched_keys=(*records.mismatched_keys, *different),
            unknown=records.unknown + unknown,
        )
    verdict: Verdict = "failed" if different or report.verdict == "failed" else "unknown" if unknown else report.verdict
    return replace(report, records=records, breaches=tuple(breaches), verdict=verdict)


def _compared(
    migration: Migration, decisions: Collection[Decision], purse: Purse, stop: Event
) -> tuple[int, list[Key]]:
    """Return how many records were embedded again, and which have other vectors in the target."""
    name = migration.source.options.collection
    with closing(migration.source.open_source()) as source, closing(migration.target.open_target()) as target:
        collection = source.describe(name)
        assert collection is not None, "it was read just now"
        decided = {each.vector: each for each in decisions}
        conversion = conversion_of(
            migration, collection, declare(migration, collection, None, decisions=decided), decided
        )
        pages = [page for part in partitions_of(migration, source, PLACES) for page in _first(source.read(part, None))]
        if not pages:
            return 0, []
        some = concat(pages)
        sample = some.take(range(0, len(some), max(1, len(some) // SAMPLED)))
        with embedding_step(migration, conversion.embed, purse, stop) as step:
            found: list[tuple[Converted, Cursor]] = [(convert(sample, conversion), Cursor(""))]
            ((made, _),) = step(found)
        there = target.fetch(migration.target.options.collection, made.batch.keys)
    row_of = {key: row for row, key in enumerate(there.keys)}
    rows = [(n, row_of[key], key) for n, key in enumerate(made.batch.keys) if key in row_of]
    different = []
    for rule in conversion.embed:
        ours, theirs = made.batch.vectors(rule.name), there.vectors(rule.name)
        for mine, other, key in rows:
            a, b = ours[mine].astype(np.float64), theirs[other].astype(np.float64)
            if not a @ b >= SAME * np.linalg.norm(a) * np.linalg.norm(b):
                different.append(key)
    return len(rows), sorted(set(different))


def _first(pages: Iterator[tuple[RecordBatch, Cursor]]) -> list[RecordBatch]:
    for page, _ in pages:
        return [page]
    return []
