"""A comparison of some records only, chosen by the hash of their key."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing

import numpy as np

from vecmig.comparison.compare import SHOWN, Comparison, table_of
from vecmig.comparison.reading import Control, Side, spread
from vecmig.comparison.sampler import Sampler
from vecmig.comparison.tally import namespace_counts, without
from vecmig.comparison.terms import EVERYTHING, Terms
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.digest import key_hashes, record_hashes
from vecmig.model.keytable import KeyTable, key_table
from vecmig.model.record import Key


def compare_sample(source: Side, target: Side, size: int, terms: Terms = EVERYTHING) -> Comparison:
    """Compare `size` records of the source with what the target has under their keys; the rest is `unknown`.

    The source's keys are all read, without vectors. One that the source then does not give whole is `missing`, unless
    it cannot be moved, which the side's `refused` tells. `extra` is what the target's count exceeds the source's by, in the
    namespaces compared (as in `compare`): all that can be known without reading the target.
    """
    shared = terms.control()
    chooser = Sampler(size)
    expected = counted(source, terms.excluded, shared, chooser, terms.sampler)
    actual = stored_counts(target, expected, terms.written)
    chosen = chooser.records()
    rows = sum(expected.values())
    extra = sum(max(0, count - expected.get(namespace, 0)) for namespace, count in actual.items())
    if chosen is None:
        return Comparison(0, extra=extra, sample=size, expected=expected, actual=actual)
    records = materialised(source, chosen, shared)
    lost = {*chosen.keys}.difference(records.keys, source.refused.keys)
    with closing(target.open()) as store:
        stored = target.fetch(store, records.keys) if target.fetch else store.fetch(target.collection, records.keys)
    table, at, _ = key_table(key_hashes(stored))
    position = table.find(key_hashes(records))
    there = position >= 0
    same = there.copy()
    same[there] = (record_hashes(stored)[at][position[there]] == record_hashes(records)[there]).all(axis=1)
    return Comparison(
        matching=int(same.sum()),
        mismatched=int((there & ~same).sum()),
        missing=int((~there).sum()) + len(lost),
        extra=extra,
        unknown=rows - len(records) - len(lost),
        sample=size,
        expected=expected,
        actual=actual,
        mismatched_keys=tuple(sorted(records.take(np.flatnonzero(there & ~same)).keys)[:SHOWN]),
        missing_keys=tuple(sorted([*records.take(np.flatnonzero(~there)).keys, *lost])[:SHOWN]),
    )


def count_only(source: Side, target: Side, terms: Terms = EVERYTHING) -> Comparison:
    """Compare the numbers of records per namespace; `missing` and `extra` are what they differ by, at least."""
    expected = counted(source, terms.excluded, terms.control(), terms.sampler)
    actual = stored_counts(target, expected, terms.written)
    surplus = {name: actual.get(name, 0) - expected.get(name, 0) for name in {*expected, *actual}}
    return Comparison(
        0,
        missing=-sum(min(0, each) for each in surplus.values()),
        extra=sum(max(0, each) for each in surplus.values()),
        unknown=sum(expected.values()),
        sample=0,
        expected=expected,
        actual=actual,
    )


def counted(source: Side, excluded: Collection[Key], shared: Control, *samplers: Sampler | None) -> dict[str, int]:
    """Return the expected records per namespace, read without vectors; show them to the samplers."""
    out = table_of(excluded)

    def work(pages: Iterator[RecordBatch]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for each in pages:
            page, keys = without(each, out)
            if len(page):
                counts.update(namespace_counts(page))
                for sampler in samplers:
                    if sampler is not None:
                        sampler.add(page, keys)
        return counts

    return dict(sorted(sum(spread(source, work, shared, vectors=()), Counter()).items()))


def stored_counts(target: Side, expected: dict[str, int], written: Collection[str]) -> dict[str, int]:
    """Return the target's records per namespace, in the namespaces compared."""
    with closing(target.open()) as store:
        counts = store.count(target.collection)
    compared = frozenset(expected).union(written) or frozenset(counts)
    return {name: count for name, count in sorted(counts.items()) if name in compared and count}


def materialised(side: Side, chosen: RecordBatch, shared: Control) -> RecordBatch:
    """Return the records with the keys of `chosen`, whole. One that cannot be moved after all is left out."""
    if side.fetch is not None:
        with closing(side.open()) as source:
            return side.fetch(source, chosen.keys)
    table: KeyTable = key_table(key_hashes(chosen))[0]

    def work(pages: Iterator[RecordBatch]) -> list[RecordBatch]:
        found = ((page, np.flatnonzero(table.has(key_hashes(page)))) for page in pages)
        return [page.take(rows) for page, rows in found if len(rows)]

    batches = [batch for share in spread(side, work, shared) for batch in share]
    if not batches:
        return chosen.slice(0, 0)
    together = concat(batches)
    return together.take(np.sort(key_table(key_hashes(together))[1]))
