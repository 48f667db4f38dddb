"""Which rows count no more: a later file holds the same key, or deletes it. Memory does not grow with the files."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecmig.model.batch import RecordBatch
from vecmig.model.digest import key_hashes

ROUND_KEYS = 1 << 21  # keys held at once, about 100 MB with what sorting needs

Pages = Callable[[], Iterator[tuple[int, RecordBatch]]]  # (first row, ids and namespaces) of one file


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one file. Files are compared in their order: the later one wins."""

    name: str
    rows: int
    pages: Pages
    new: bool  # False: it shares no key with others that are not new
    deletion: bool = False


def overwritten(files: Sequence[Keys]) -> tuple[dict[str, NDArray[np.int64]], Counter[str]]:
    """Return the rows of each file that count no more, ascending, and the records per namespace that do count.

    Only keys of new files can make that happen, so only they are held, in as many rounds as they need; all files'
    keys are read in each round.
    """
    held = sum(file.rows for file in files if file.new)
    rounds = max(1, -(-held // ROUND_KEYS))
    dead: dict[str, list[NDArray[np.int64]]] = {}
    counts: Counter[str] = Counter()
    for turn in range(rounds):
        low, high = (np.uint64((2**64 - 1) * n // rounds) for n in (turn, turn + 1))
        last = turn == rounds - 1
        index = _Index([_Hashed(n, file, low, high, last) for n, file in enumerate(files) if file.new])
        for n, file in enumerate(files):
            if file.deletion:
                continue
            for first, page in file.pages():
                hashes = key_hashes(page)
                mine = _within(hashes, low, high, last)
                rows = np.flatnonzero(mine)
                lost = rows[index.latest(hashes[rows]) > n]
                if len(lost):
                    dead.setdefault(file.name, []).append(lost + first)
                alive = np.setdiff1d(rows, lost, assume_unique=True)
                counts.update(page.take(alive).strings("namespace"))
    return {name: np.sort(np.concatenate(rows)) for name, rows in dead.items()}, counts


@dataclass(frozen=True, slots=True)
class _Hashed:
    order: int
    file: Keys
    low: np.uint64
    high: np.uint64
    last: bool

    def hashes(self) -> NDArray[np.uint64]:
        """Return the (n, 2) hashes of the file's keys that belong to this round."""
        pages = [key_hashes(page) for _, page in self.file.pages()]
        found = np.concatenate(pages) if pages else np.empty((0, 2), np.uint64)
        return found[_within(found, self.low, self.high, self.last)]


class _Index:
    """The last file that each key is in."""

    def __init__(self, files: Sequence[_Hashed]) -> None:
        hashes = [file.hashes() for file in files]
        keys = np.concatenate([*hashes, np.empty((0, 2), np.uint64)])
        orders = np.repeat([file.order for file in files], [len(each) for each in hashes]).astype(np.int64)
        by = np.lexsort((orders, keys[:, 1], keys[:, 0]))
        keys, orders = keys[by], orders[by]
        keep = np.ones(len(keys), bool)
        keep[:-1] = (keys[1:] != keys[:-1]).any(axis=1)  # the last of equal keys is the one of the last file
        self.high, self.low, self.orders = keys[keep, 0].copy(), keys[keep, 1].copy(), orders[keep]

    def latest(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return (n,) the order of the last file with each key, or -1."""
        result = np.full(len(hashes), -1, np.int64)
        if not len(self.high):
            return result
        at = np.searchsorted(self.high, hashes[:, 0])
        for step in range(2):  # two keys may share the first half of their hashes; three will not before 10**12 keys
            here = np.minimum(at + step, len(self.high) - 1)
            same = (self.high[here] == hashes[:, 0]) & (self.low[here] == hashes[:, 1])
            result[same] = self.orders[here[same]]
        return result


def _within(hashes: NDArray[np.uint64], low: np.uint64, high: np.uint64, last: bool) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (hashes[:, 0] >= low) & ((hashes[:, 0] < high) | last)
    return inside
