"""Which rows count no more: a later file holds the same key, or deletes it. Memory does not grow with the files."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecmig.model.batch import RecordBatch
from vecmig.model.digest import key_hashes
from vecmig.model.keytable import key_table

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
        inside = _Range(low, high, last=turn == rounds - 1)
        new = [(n, _hashes(file, inside)) for n, file in enumerate(files) if file.new]
        keys = np.concatenate([*(hashes for _, hashes in new), np.empty((0, 2), np.uint64)])
        orders = np.repeat([n for n, _ in new], [len(hashes) for _, hashes in new]).astype(np.int64)
        table, rows, _ = key_table(keys, orders)
        latest = np.append(orders[rows], -1)  # the last file that holds each key; -1 for a key that is not there
        for n, file in enumerate(files):
            if file.deletion:
                continue
            for first, page in file.pages():
                hashes = key_hashes(page)
                mine = np.flatnonzero(inside.of(hashes))
                lost = mine[latest[table.find(hashes[mine])] > n]
                if len(lost):
                    dead.setdefault(file.name, []).append(lost + first)
                alive = np.setdiff1d(mine, lost, assume_unique=True)
                counts.update(page.take(alive).strings("namespace"))
    return {name: np.sort(np.concatenate(rows)) for name, rows in dead.items()}, counts


@dataclass(frozen=True, slots=True)
class _Range:
    """A part of all hashes."""

    low: np.uint64
    high: np.uint64
    last: bool  # without an upper end

    def of(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return (n,) whether hashes (n, 2) lie in it."""
        inside: NDArray[np.bool_] = (hashes[:, 0] >= self.low) & ((hashes[:, 0] < self.high) | self.last)
        return inside


def _hashes(file: Keys, inside: _Range) -> NDArray[np.uint64]:
    pages = [key_hashes(page) for _, page in file.pages()]
    found = np.concatenate([*pages, np.empty((0, 2), np.uint64)])
    return found[inside.of(found)]
