"""What reconcile writes and deletes, found by the same two passes as `compare`."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecmig.comparison.compare import table_of
from vecmig.comparison.reading import Side, streamed
from vecmig.comparison.rounds import begun, differing, found_in, named, planned
from vecmig.comparison.tally import tallies
from vecmig.comparison.terms import EVERYTHING, Terms
from vecmig.model.batch import RecordBatch
from vecmig.model.effort import ROUND_ROWS
from vecmig.model.keytable import key_table
from vecmig.model.record import Key


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Comes first, once: records that are equal already, for their whole bucket is."""

    equal: int
    rows: int  # of the source


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Records of the source that the target is to get; their keys differ from each other."""

    batch: RecordBatch
    missing: NDArray[np.bool_]  # (n,) True: the target has no such key; False: it has another record under it


@dataclass(frozen=True, slots=True)
class Extra:
    """Keys that only the target has."""

    keys: tuple[Key, ...]


def differences(
    source: Side,
    target: Side,
    terms: Terms = EVERYTHING,
    round_rows: int = ROUND_ROWS,
    extra_keys: int = 10_000,
) -> Generator[Compared | Changed | Extra, None, None]:
    """Yield what the target lacks or holds otherwise, then what only it has; round by round.

    Where the source is empty, nothing is extra: more likely it is the wrong one.
    What was yielded may be written before the next is asked for: a round's records are read before. At most
    `extra_keys` keys come at once.
    """
    shared = terms.control()
    out = table_of(terms.excluded)
    of_source, of_target, compared = tallies(source, target, shared, terms.written, out, terms.sampler)
    if not of_source.rows:
        compared = frozenset()
    differs = differing(of_source, of_target)
    yield Compared(int(of_source.counts[~differs].sum()), of_source.rows)
    for buckets in planned(differs, of_target.counts, round_rows):
        this = begun(target, buckets, compared, shared)

        def changed(page: RecordBatch) -> Changed | None:
            found = found_in(this, page, out)  # noqa: B023  # used up before the next round begins
            if found is None:
                return None
            _, rows, _ = key_table(found.keys)  # of a key that a page holds twice, the last
            rows = np.sort(rows[~found.same[rows]])
            if not len(rows):
                return None
            return Changed(found.batch.take(rows), found.position[rows] < 0)

        yield from streamed(source, changed, shared)
        known = table_of(source.refused.keys.union(terms.excluded)).has(this.table.hashes)
        keys = named(target, key_table(this.table.hashes[this.only & ~known])[0], shared)
        for start in range(0, len(keys), extra_keys):
            yield Extra(tuple(keys[start : start + extra_keys]))
