"""Both sides, record by record, in constant memory: what is missing, differs, is extra."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecmig.comparison.reading import Control, Side, spread
from vecmig.comparison.rounds import Round, begun, differing, found_in, named, planned
from vecmig.comparison.tally import tallies
from vecmig.comparison.terms import EVERYTHING, Terms
from vecmig.model.batch import RecordBatch
from vecmig.model.digest import key_hashes
from vecmig.model.effort import ROUND_ROWS
from vecmig.model.keytable import KeyTable, key_table
from vecmig.model.record import Digest, Key

SHOWN = 20  # keys of each kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found. A record counts once, however often the source gives it: the surplus are `duplicates`."""

    matching: int
    mismatched: int = 0
    missing: int = 0
    extra: int = 0  # only the target has them, in the namespaces compared; or it gives them twice
    duplicates: int = 0  # records that share their key with another of the source
    unknown: int = 0  # not compared
    aside: int = 0  # the target has a record under the key of one that was put aside: from before, or the same
    sample: int | None = None  # None: all were compared
    digests: tuple[Digest, Digest] | None = None  # of source and target
    expected: dict[str, int] | None = None  # records per namespace, of the source
    actual: dict[str, int] | None = None  # of the target, in the namespaces compared
    mismatched_keys: tuple[Key, ...] = ()  # the first few of each, sorted
    missing_keys: tuple[Key, ...] = ()
    extra_keys: tuple[Key, ...] = ()
    duplicate_keys: tuple[Key, ...] = ()

    @property
    def compared(self) -> int:
        return self.matching + self.mismatched + self.missing

    @property
    def equal(self) -> bool:
        return not (self.mismatched or self.missing or self.extra or self.duplicates or self.unknown)


def compare(source: Side, target: Side, terms: Terms = EVERYTHING, round_rows: int = ROUND_ROWS) -> Comparison:
    """Compare every id, vector and metadata value. Raises Stopped after `terms.stop`, and what reading raises."""
    shared = terms.control()
    out = table_of(terms.excluded)
    of_source, of_target, compared = tallies(source, target, shared, terms.written, out, terms.sampler)
    differs = differing(of_source, of_target)
    rows = np.maximum(of_source.counts, of_target.counts)
    rounds = [
        _compared(source, target, begun(target, buckets, compared, shared), terms.excluded, shared)
        for buckets in planned(differs, rows, round_rows)
    ]
    return Comparison(
        matching=int(of_source.counts[~differs].sum()) + sum(each.matching for each in rounds),
        mismatched=sum(each.mismatched for each in rounds),
        missing=sum(each.missing for each in rounds),
        extra=sum(each.extra for each in rounds),
        duplicates=sum(each.duplicates for each in rounds),
        aside=sum(each.aside for each in rounds),
        digests=(of_source.digest, of_target.digest),
        expected=dict(sorted(of_source.namespaces.items())),
        actual=dict(sorted(of_target.namespaces.items())),
        mismatched_keys=_first(each.mismatched_keys for each in rounds),
        missing_keys=_first(each.missing_keys for each in rounds),
        extra_keys=_first(each.extra_keys for each in rounds),
        duplicate_keys=_first(each.duplicate_keys for each in rounds),
    )


def table_of(keys: Collection[Key]) -> KeyTable:
    """Return the table of these keys."""
    namespaces, ids = ([getattr(key, name) for key in keys] for name in ("namespace", "id"))
    columns = {"id": pa.array(ids, pa.string()), "namespace": pa.array(namespaces, pa.string())}
    return key_table(key_hashes(RecordBatch(pa.record_batch(columns))))[0]


@dataclass(slots=True)
class _Share:
    """What one worker saw of a round."""

    missing: list[NDArray[np.uint64]] = field(default_factory=list)  # key hashes
    missing_keys: list[Key] = field(default_factory=list)
    differing: list[tuple[int, Key]] = field(default_factory=list)  # position in the table


def _compared(source: Side, target: Side, this: Round, excluded: Collection[Key], shared: Control) -> Comparison:
    out = table_of(excluded)

    def work(pages: Iterator[RecordBatch]) -> _Share:
        share = _Share()
        for page in pages:
            found = found_in(this, page, out)
            if found is None:
                continue
            absent = np.flatnonzero(found.position < 0)
            share.missing.append(found.keys[absent])
            share.missing_keys = sorted([*share.missing_keys, *found.batch.take(absent[:SHOWN]).keys])[:SHOWN]
            unlike = np.flatnonzero((found.position >= 0) & ~found.same)
            # more than are shown: a later copy of the same key may yet turn out to be equal
            if len(share.differing) < 10 * SHOWN and len(unlike):
                positions = found.position[unlike[:SHOWN]].tolist()
                share.differing += zip(positions, found.batch.take(unlike[:SHOWN]).keys, strict=True)
        return share

    shares = spread(source, work, shared)
    hashes = np.concatenate([*(page for share in shares for page in share.missing), np.empty((0, 2), np.uint64)])
    absent, _, copies = key_table(hashes)
    unlike = (this.given > 0) & ~this.matched
    known = table_of(source.refused.keys.union(excluded)).has(this.table.hashes)  # after the pass, which finds some
    extra = this.only & ~known
    twice = this.copies > 1
    repeated = np.concatenate([this.table.hashes[this.given > 1], absent.hashes[copies > 1]])
    return Comparison(
        matching=int(this.matched.sum()),
        mismatched=int(unlike.sum()),
        missing=len(absent),
        extra=int(extra.sum() + (this.copies - 1).sum()),
        duplicates=int(np.maximum(this.given - 1, 0).sum() + (copies - 1).sum()),
        aside=int((this.only & known).sum()),
        mismatched_keys=_first([key for at, key in share.differing if unlike[at]] for share in shares),
        missing_keys=_first({*share.missing_keys} for share in shares),
        extra_keys=tuple(named(target, key_table(this.table.hashes[extra | twice])[0], shared, SHOWN)),
        duplicate_keys=tuple(named(source, key_table(repeated)[0], shared, SHOWN)),
    )


def _first(found: Iterable[Iterable[Key]]) -> tuple[Key, ...]:
    return tuple(sorted({key for keys in found for key in keys})[:SHOWN])
