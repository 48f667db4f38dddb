"""The first pass: one sum of record hashes for each bucket of keys. Equal sums, equal records."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.comparison.reading import Control, Side, both, spread
from vecmig.comparison.sampler import Sampler
from vecmig.model.batch import RecordBatch
from vecmig.model.digest import key_hashes, record_hashes
from vecmig.model.keytable import KeyTable
from vecmig.model.record import MODULUS, Digest

BUCKETS = 1 << 16
_SHIFT = np.uint64(48)  # the bucket is the first 16 bits of a key's hash
NO_KEYS = KeyTable(np.empty(0, np.uint64), np.empty(0, np.uint64))
_HALF, _MASK = np.uint64(32), np.uint64(0xFFFFFFFF)


@dataclass(slots=True)
class Tally:
    """Sums in four limbs of 32 bits, the highest first, so that 2**32 records add up without overflow."""

    sums: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((4, BUCKETS), np.uint64))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    namespaces: Counter[str] = field(default_factory=Counter)

    def add(self, batch: RecordBatch, keys: NDArray[np.uint64]) -> None:
        """Add records, whose key hashes (n, 2) are `keys`."""
        buckets = buckets_of(keys)
        records = record_hashes(batch)
        limbs = (records[:, 0] >> _HALF, records[:, 0] & _MASK, records[:, 1] >> _HALF, records[:, 1] & _MASK)
        for sums, limb in zip(self.sums, limbs, strict=True):
            np.add.at(sums, buckets, limb)
        np.add.at(self.counts, buckets, 1)
        self.namespaces.update(namespace_counts(batch))

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def digest(self) -> Digest:
        """The digest of all records, as vecmig.model.digest defines it."""
        total = 0
        for limb in self.sums:
            total = (total << 32) + int((limb & _MASK).sum()) + (int((limb >> _HALF).sum()) << 32)
        return Digest(f"{total % MODULUS:032x}")


def tallies(
    source: Side,
    target: Side,
    control: Control,
    written: Collection[str],
    excluded: KeyTable,
    sampler: Sampler | None,
) -> tuple[Tally, Tally, frozenset[str]]:
    """Read both sides once, at the same time; return their tallies and the namespaces that are compared.

    Of the target only these namespaces count: those that the source holds and those of `written`; all where there are
    none.
    """

    def of_target(only: frozenset[str] | None) -> Tally:
        return _summed(spread(target, lambda pages: _tally(pages, only, NO_KEYS, None), control))

    of_source, of_stored = both(
        lambda: _summed(spread(source, lambda pages: _tally(pages, None, excluded, sampler), control)),
        lambda: of_target(None),
        control,
    )
    compared = frozenset(of_source.namespaces).union(written) or frozenset(of_stored.namespaces)
    if not compared >= of_stored.namespaces.keys():
        of_stored = of_target(compared)  # it holds others' records as well, which was not known before
    return of_source, of_stored, compared


def inside(batch: RecordBatch, namespaces: frozenset[str] | None) -> RecordBatch:
    """Return the records of these namespaces; None is all."""
    if namespaces is None:
        return batch
    column = batch.table.column("namespace")
    if all(name in namespaces for name in pc.unique(column).to_pylist()):
        return batch
    return RecordBatch(batch.table.filter(pc.is_in(column, value_set=pa.array(sorted(namespaces), pa.string()))))


def without(batch: RecordBatch, excluded: KeyTable) -> tuple[RecordBatch, NDArray[np.uint64]]:
    """Return the records whose keys are not in the table, and the hashes (n, 2) of their keys."""
    keys = key_hashes(batch)
    out = excluded.has(keys)
    if not out.any():
        return batch, keys
    return batch.take(np.flatnonzero(~out)), keys[~out]


def buckets_of(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return (n,) the buckets of key hashes (n, 2)."""
    return (keys[:, 0] >> _SHIFT).astype(np.intp)


def namespace_counts(batch: RecordBatch) -> Counter[str]:
    counts = pc.value_counts(batch.table.column("namespace"))
    return Counter(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))


def _tally(
    pages: Iterator[RecordBatch],
    namespaces: frozenset[str] | None,
    excluded: KeyTable,
    sampler: Sampler | None,
) -> Tally:
    tally = Tally()
    for each in pages:
        page, keys = without(inside(each, namespaces), excluded)
        if len(page):
            tally.add(page, keys)
            if sampler is not None:
                sampler.add(page, keys)
    return tally


def _summed(tallies: list[Tally]) -> Tally:
    first, *others = tallies
    for other in others:
        first.sums += other.sums
        first.counts += other.counts
        first.namespaces.update(other.namespaces)
    return first
