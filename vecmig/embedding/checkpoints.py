"""Moving what was committed from the log of a SQLite file into the file itself, beside those who commit.

SQLite does it within the commit that finds 1,000 pages in the log, and who waits for the file waits for the disk, too: a
fifth of the time where a provider answers at once. So it is done before by a thread of its own, of which nobody waits.
"""

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

AFTER_BYTES = 4 << 20  # a few hundred vectors; what is left at the end is waited for


class Checkpoints:
    """Of one file. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path, self._written = path, 0
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._last: Future[None] | None = None

    def wrote(self, size: int) -> None:
        """Take notice of so many bytes that were committed."""
        self._written += size
        if self._written >= AFTER_BYTES and (self._last is None or self._last.done()):
            self._written = 0
            self._last = self._pool.submit(self._move)

    def close(self) -> None:
        self._pool.shutdown()

    def _move(self) -> None:
        # What fails here is still in the log: the next commit, or the last close, meets the same and tells it.
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
