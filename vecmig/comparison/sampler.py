"""A sample of records by the hash of their key: the same records each time, in whatever order they are read."""

from collections.abc import Collection
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vecmig.model.batch import RecordBatch, concat
from vecmig.model.digest import key_hashes
from vecmig.model.keytable import key_table


class Sampler:
    """Keeps the `size` records with the smallest key hashes: of all, or of each of some namespaces.

    May be fed by several threads.
    """

    def __init__(self, size: int, namespaces: Collection[str] | None = None) -> None:
        self._size, self._lock = size, Lock()
        self._namespaces = None if namespaces is None else frozenset(namespaces)
        self._pools: dict[str | None, _Pool] = {}

    def add(self, batch: RecordBatch, keys: NDArray[np.uint64]) -> None:
        """Look at records, whose key hashes (n, 2) are `keys`."""
        with self._lock:
            if self._namespaces is None:
                self._pool(None).add(batch, keys)
                return
            names = np.array(batch.strings("namespace"), object)
            for name in sorted(self._namespaces.intersection(names.tolist())):
                rows = np.flatnonzero(names == name)
                self._pool(name).add(batch.take(rows), keys[rows])

    def records(self, namespace: str | None = None) -> RecordBatch | None:
        """Return the sample, of one namespace if there are several; None if there was no record."""
        pool = self._pools.get(namespace)
        return pool.records() if pool else None

    def _pool(self, name: str | None) -> "_Pool":
        return self._pools.setdefault(name, _Pool(self._size))


class _Pool:
    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[RecordBatch] = []
        self._rows = 0
        self._bound = np.uint64(2**64 - 1)  # what is above it cannot be among the smallest any more

    def add(self, batch: RecordBatch, keys: NDArray[np.uint64]) -> None:
        rows = np.flatnonzero(keys[:, 0] <= self._bound)
        if len(rows) > self._size:
            rows = rows[np.argsort(keys[rows, 0], kind="stable")[: self._size]]
        if not len(rows):
            return
        self._kept.append(batch.take(rows))
        self._rows += len(rows)
        if self._rows >= 2 * self._size:
            self._shrink()

    def records(self) -> RecordBatch:
        self._shrink()
        return self._kept[0]

    def _shrink(self) -> None:
        together = concat(self._kept)
        hashes = key_hashes(together)
        _, rows, _ = key_table(hashes)  # a key that was read twice is one
        rows = rows[: self._size]  # the table ascends
        self._kept, self._rows = [together.take(rows)], len(rows)
        if len(rows) == self._size:
            self._bound = hashes[rows[-1], 0]
