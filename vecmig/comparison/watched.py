"""A comparison that goes on for minutes, told of while it runs."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from threading import Lock
from typing import TypeVar

from vecmig.protocols import Looked

T = TypeVar("T")
EVERY_S = 0.2


class Count:
    """Records gone through, counted by several threads: the `watch` of a comparison."""

    def __init__(self) -> None:
        self._rows, self._lock = 0, Lock()

    def add(self, side: str, rows: int) -> None:
        with self._lock:
            self._rows += rows

    def taken(self) -> int:
        """Return the records since the last call."""
        with self._lock:
            rows, self._rows = self._rows, 0
        return rows


def watched(migration: str, count: Count, work: Callable[[], T]) -> Generator[Looked, None, T]:
    """Do `work` in a thread, yield how many records it has gone through meanwhile, and return its result."""
    with ThreadPoolExecutor(1, thread_name_prefix="watched") as pool:
        future = pool.submit(work)
        while not wait_for([future], EVERY_S).done:
            if rows := count.taken():
                yield Looked(migration, rows)
        if rows := count.taken():
            yield Looked(migration, rows)
        return future.result()
