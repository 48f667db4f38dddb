"""Records that the source holds but that cannot be moved: known to it, expected of nobody."""

from collections.abc import Iterable
from threading import Lock

from vecmig.model.record import Key, Rejected


class Refused:
    """What reading a side left out, each key once, however often it is read. May be fed by several threads."""

    def __init__(self) -> None:
        self._found: dict[Key, Rejected] = {}
        self._lock = Lock()

    def add(self, rejected: Iterable[Rejected]) -> None:
        with self._lock:
            self._found.update({each.key: each for each in rejected})

    @property
    def records(self) -> tuple[Rejected, ...]:
        with self._lock:
            return tuple(self._found.values())

    @property
    def keys(self) -> frozenset[Key]:
        with self._lock:
            return frozenset(self._found)
