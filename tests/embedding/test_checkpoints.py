"""What was committed goes from the log into the file while the cache is in use."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.embedding.test_cache import bought, vectors
from vecmig.embedding import checkpoints
from vecmig.embedding.cache import Cache

SOME, MORE = 64, 320  # vectors of 16 kB: 1 and 5 MiB, far below the log that SQLite itself would empty
DIMENSIONS = 4096


def test_the_file_takes_what_was_committed_before_the_log_is_full(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with closing(Cache(path)) as cache:
        bought(cache, vectors(SOME, DIMENSIONS))
        assert path.stat().st_size < 1 << 20
        bought(cache, vectors(MORE, DIMENSIONS, start=SOME))
        until = time.monotonic() + 20
        while path.stat().st_size < checkpoints.AFTER_BYTES and time.monotonic() < until:
            time.sleep(0.01)
        assert path.stat().st_size > checkpoints.AFTER_BYTES
        assert len(cache.find([*vectors(SOME + MORE, DIMENSIONS)])) == SOME + MORE


def test_nobody_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moving, go_on = threading.Event(), threading.Event()

    def move(_: checkpoints.Checkpoints) -> None:
        moving.set()
        assert go_on.wait(20)

    monkeypatch.setattr(checkpoints.Checkpoints, "_move", move)
    with closing(Cache(tmp_path / "c.sqlite")) as cache:
        bought(cache, vectors(MORE, DIMENSIONS))
        assert moving.wait(20)
        bought(cache, vectors(MORE, DIMENSIONS, start=MORE))  # while the first is still being moved
        assert cache.size().entries == 2 * MORE
        go_on.set()


def test_a_log_that_cannot_be_emptied_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real, failed = tmp_path / "c.sqlite", sqlite3.connect, threading.Event()
    with closing(Cache(path)) as cache:

        def connect(*_: object, **__: object) -> sqlite3.Connection:
            failed.set()
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(sqlite3, "connect", connect)
        bought(cache, vectors(MORE, DIMENSIONS))
        assert failed.wait(20)
        monkeypatch.setattr(sqlite3, "connect", real)
    with closing(Cache(path)) as cache:
        assert len(cache.find([*vectors(MORE, DIMENSIONS)])) == MORE
