"""A set of key hashes, in arrays: 16 bytes a key, searched for whole batches at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class KeyTable:
    """Distinct keys in ascending order of their hashes."""

    high: NDArray[np.uint64]  # (n,) halves of the 128-bit hashes
    low: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.high)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """The (n, 2) hashes."""
        return np.stack([self.high, self.low], axis=1)

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return (m,) the position of each of these hashes (m, 2) in the table, or -1."""
        result = np.full(len(hashes), -1, np.intp)
        if len(self) and len(hashes):
            at = np.searchsorted(self.high, hashes[:, 0])
            for step in range(2):  # two keys may share their first half; three do not before some 10**12 keys
                here = np.minimum(at + step, len(self) - 1)
                same = (self.high[here] == hashes[:, 0]) & (self.low[here] == hashes[:, 1])
                result[same] = here[same]
        return result

    def has(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return (m,) whether each of these hashes (m, 2) is in the table."""
        return self.find(hashes) >= 0


def key_table(
    hashes: NDArray[np.uint64], rank: NDArray[np.int64] | None = None
) -> tuple[KeyTable, NDArray[np.intp], NDArray[np.int64]]:
    """Return the table of hashes (n, 2), the row that stands for each of its keys, and how often each occurs.

    Of rows with the same key that of the highest `rank` (n,) stands, or else the last.
    """
    rank = np.arange(len(hashes)) if rank is None else rank
    order = np.lexsort((rank, hashes[:, 1], hashes[:, 0]))
    ordered = hashes[order]
    last = np.ones(len(order), bool)
    last[:-1] = (ordered[1:] != ordered[:-1]).any(axis=1)
    ends = np.flatnonzero(last)
    counts = np.diff(ends, prepend=-1)
    return KeyTable(ordered[last, 0].copy(), ordered[last, 1].copy()), order[last], counts.astype(np.int64)
