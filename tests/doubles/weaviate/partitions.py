"""The objects of one tenant, or of a collection without tenants: what the server calls a shard."""

import bisect
import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(slots=True)
class Object:
    id: bytes
    """16 bytes: objects are kept and given in this order."""
    properties: dict[str, Any]
    """As properties.py reads them."""
    vectors: dict[str, bytes]
    """By name, "" for the legacy one; float32 in little endian, as received."""
    created_ms: int = 0
    updated_ms: int = 0
    spelling: str = ""
    """Its id as it was first written, in capitals, say: by this alone do filters find it. "": as it is given."""
    wire: dict[tuple[str, ...] | None, bytes] = field(default_factory=dict)
    """Properties as a message, by the names that were asked for, None for all; made when first asked for, as a server that
    takes them from its disk is no slower where they are named."""


@dataclass(frozen=True, slots=True)
class Matrix:
    ids: list[bytes]
    rows: Vector
    """(n, d), in the order of the ids."""
    norms: Vector
    """(n,)"""


@dataclass(frozen=True, slots=True)
class Lag:
    """When a written vector is indexed: after so many seconds, and so many looks at the nodes or shards."""

    seconds: float = 0
    polls: int = 0


@dataclass(slots=True)
class _Queued:
    ids: set[bytes]
    vectors: int
    due: float
    polls: int


@dataclass(slots=True)
class Partition:
    status: str = "HOT"
    """HOT, COLD or FROZEN, as the API names them."""
    objects: dict[bytes, Object] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    """Of each vector, from the first one stored."""
    _unindexed: set[bytes] = field(default_factory=set)
    _unlogged: set[bytes] = field(default_factory=set)
    """Whose place in the index a killed server forgets: it logs that with the next batch only."""
    _queue: deque[_Queued] = field(default_factory=deque)
    _order: list[bytes] | None = None
    _matrices: dict[str, Matrix] = field(default_factory=dict)

    def put(self, objects: Iterable[Object], lag: Lag, *, is_indexed: bool = True) -> None:
        """Store or replace these objects, whose vectors are indexed when the lag allows, or not at all.

        As on the server the index is left alone where a vector is as it was: one that is not in it stays out."""
        now_ms = time.time_ns() // 1_000_000
        self._unlogged.clear()
        ids, vectors = set(), 0
        for item in objects:
            before = self.objects.get(item.id)
            item.created_ms = item.updated_ms = now_ms  # also of an object that was there
            if before is None or before.vectors != item.vectors:
                (self._unindexed.discard if is_indexed else self._unindexed.add)(item.id)
                self._unlogged.add(item.id)
            if before is None:
                self._order = None
            else:
                item.spelling = before.spelling
            self.objects[item.id] = item
            ids.add(item.id)
            vectors += len(item.vectors)
        self._matrices.clear()
        if vectors and lag != Lag():
            self._queue.append(_Queued(ids, vectors, time.monotonic() + lag.seconds, lag.polls))

    def die(self) -> None:
        """Forget what a killed server forgets."""
        self._unindexed |= self._unlogged
        self._unlogged.clear()
        self._matrices.clear()

    def delete(self, ids: Collection[bytes]) -> None:
        for id in ids:
            self.objects.pop(id, None)
        self._unindexed.difference_update(ids)
        self._unlogged.clear()
        self._order = None
        self._matrices.clear()

    def waiting(self, *, polling: bool = False) -> int:
        """The number of vectors that are not yet indexed. `polling` counts as one look at the nodes."""
        self._settle()
        count = sum(queued.vectors for queued in self._queue)
        if polling:
            for queued in self._queue:
                queued.polls -= 1
        return count

    def ids(self) -> list[bytes]:
        """The ids in order. Not to be changed."""
        if self._order is None:
            self._order = sorted(self.objects)
        return self._order

    def page(self, after: bytes, size: int) -> list[Object]:
        """Up to `size` objects that follow the id `after`; from the first one where it is empty."""
        ids = self.ids()
        start = bisect.bisect_right(ids, after) if after else 0
        return [self.objects[id] for id in ids[start : start + size]]

    def matrix(self, name: str) -> Matrix:
        """The vectors of this name that are indexed."""
        self._settle()
        hidden = set().union(*(queued.ids for queued in self._queue)) if self._queue else set()
        if not hidden and name in self._matrices:
            return self._matrices[name]
        found = {
            id: item.vectors[name]
            for id, item in self.objects.items()
            if name in item.vectors and id not in hidden and id not in self._unindexed
        }
        rows = np.frombuffer(b"".join(found.values()), "<f4").reshape(len(found), -1 if found else 0)
        made = Matrix(list(found), rows, np.linalg.norm(rows, axis=1))
        if not hidden:
            self._matrices[name] = made
        return made

    def _settle(self) -> None:
        now = time.monotonic()
        while self._queue and self._queue[0].due <= now and self._queue[0].polls <= 0:
            self._queue.popleft()
