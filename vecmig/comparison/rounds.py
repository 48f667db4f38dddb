"""The second pass: buckets that differ, key by key, in rounds that hold a bounded number of the target's keys."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vecmig.comparison.reading import Control, Side, spread
from vecmig.comparison.tally import BUCKETS, Tally, buckets_of, inside
from vecmig.model.batch import RecordBatch
from vecmig.model.digest import key_hashes, record_hashes
from vecmig.model.keytable import KeyTable, key_table
from vecmig.model.record import Key


@dataclass(slots=True)
class Round:
    """What the target holds in some buckets, and which of it the source has given."""

    buckets: NDArray[np.bool_]  # (BUCKETS,)
    namespaces: frozenset[str]
    table: KeyTable  # of the target's keys
    records: NDArray[np.uint64]  # (n, 2) hashes of the target's records, in the order of the table
    copies: NDArray[np.int64]  # (n,) how often the target gave each
    given: NDArray[np.int64]  # (n,) how often the source did
    matched: NDArray[np.bool_]  # (n,) the source gave the same
    lock: Lock = field(default_factory=Lock)

    @property
    def only(self) -> NDArray[np.bool_]:
        """(n,) what the source has not given."""
        result: NDArray[np.bool_] = self.given == 0
        return result


@dataclass(frozen=True, slots=True)
class Found:
    """Records of the source that lie in the round's buckets, and where their keys stand in its table."""

    batch: RecordBatch
    keys: NDArray[np.uint64]  # (n, 2) hashes
    position: NDArray[np.intp]  # (n,) -1: the target has no such key
    same: NDArray[np.bool_]  # (n,) the target has the same record


def differing(source: Tally, target: Tally) -> NDArray[np.bool_]:
    """Return (BUCKETS,) which buckets are not equal."""
    result: NDArray[np.bool_] = (source.sums != target.sums).any(axis=0) | (source.counts != target.counts)
    return result


def planned(buckets: NDArray[np.bool_], rows: NDArray[np.int64], round_rows: int) -> Iterator[NDArray[np.bool_]]:
    """Split the marked buckets into sets of at most `round_rows` rows, or of one bucket."""
    held, chosen = 0, np.zeros(BUCKETS, bool)
    for bucket in np.flatnonzero(buckets).tolist():
        if held and held + int(rows[bucket]) > round_rows:
            yield chosen
            held, chosen = 0, np.zeros(BUCKETS, bool)
        held += int(rows[bucket])
        chosen[bucket] = True
    if chosen.any():
        yield chosen


def begun(target: Side, buckets: NDArray[np.bool_], namespaces: frozenset[str], control: Control) -> Round:
    """Read the target's records of these buckets."""

    def work(pages: Iterator[RecordBatch]) -> list[NDArray[np.uint64]]:
        found = [_in_buckets(inside(page, namespaces), buckets) for page in pages]
        return [np.concatenate([keys, record_hashes(batch)], axis=1) for batch, keys in found if len(batch)]

    shares = spread(target, work, control)
    hashes = np.concatenate([*(page for share in shares for page in share), np.empty((0, 4), np.uint64)])
    table, rows, copies = key_table(hashes[:, :2])
    zeros, no = np.zeros(len(table), np.int64), np.zeros(len(table), bool)
    return Round(buckets, namespaces, table, hashes[rows, 2:], copies, zeros, no)


def found_in(this: Round, page: RecordBatch, excluded: KeyTable) -> Found | None:
    """Classify a page of the source, and mark in the round what it gave. For several threads.

    A record that is not expected, for the target refused it before, is left out.
    """
    batch, keys = _in_buckets(page, this.buckets)
    position = this.table.find(keys)
    same = position >= 0
    same[same] = (this.records[position[same]] == record_hashes(batch)[same]).all(axis=1)
    out = excluded.has(keys)
    with this.lock:
        np.add.at(this.given, position[~out & (position >= 0)], 1)
        this.matched[position[~out & same]] = True
    if out.any():
        rows = np.flatnonzero(~out)
        batch, keys, position, same = batch.take(rows), keys[rows], position[rows], same[rows]
    return Found(batch, keys, position, same) if len(batch) else None


def named(side: Side, wanted: KeyTable, control: Control, most: int | None = None) -> list[Key]:
    """Return the keys with these hashes, in order, reading no vectors; at most so many."""

    def work(pages: Iterator[RecordBatch]) -> list[Key]:
        keys: list[Key] = []
        for page in pages:
            rows = np.flatnonzero(wanted.has(key_hashes(page)))
            if len(rows):
                keys += page.take(rows).keys
            if most is not None and len(keys) > most:
                keys = sorted({*keys})[:most]
        return keys

    if not len(wanted):
        return []
    return sorted({key for share in spread(side, work, control, vectors=()) for key in share})[:most]


def _in_buckets(page: RecordBatch, buckets: NDArray[np.bool_]) -> tuple[RecordBatch, NDArray[np.uint64]]:
    keys = key_hashes(page)
    rows = np.flatnonzero(buckets[buckets_of(keys)])
    if len(rows) == len(page):
        return page, keys
    return page.take(rows), keys[rows]
