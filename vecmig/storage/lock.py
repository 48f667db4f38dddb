"""A lock of the operating system, which ends with its process, and beside it who holds it: for people only."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct

from vecmig.errors import StateError, StateLocked

SHORTEST_WAIT_S = 0.3  # even without a timeout: `holder` may hold the lock for a moment, only to see whether it can


class Holder(Struct, frozen=True):
    """Who holds a lock."""

    who: str  # user@host
    pid: int
    since: str
    command: str

    def __str__(self) -> str:
        return f"{self.who} (pid {self.pid}), `{self.command}`, since {self.since}"


@contextmanager
def held(path: Path, command: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock. Raises StateLocked that names the holder, or StateError if there can be no lock here."""
    lock = _file_lock(path, max(timeout_s, SHORTEST_WAIT_S))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StateLocked(_locked(path)) from None
    except (OSError, NotImplementedError) as error:
        raise StateError(
            f"cannot lock {path}: {error}; the state needs a local directory in which you may write"
        ) from error
    try:
        information = _information(path)
        with suppress(OSError):  # it is only a courtesy
            information.write_bytes(msgspec.json.encode(_me(command)) + b"\n")
        yield
        with suppress(OSError):
            information.unlink(missing_ok=True)
    finally:
        lock.release()


def holder(path: Path) -> Holder | None:
    """Return the live holder of the lock, or None where it is free; takes the lock for a moment to know."""
    if not path.exists():
        return None
    lock = _file_lock(path, 0)
    try:
        with lock:
            return None
    except Timeout:
        return _read(path) or Holder("another run", 0, "an unknown time", "unknown")
    except (OSError, NotImplementedError) as error:
        raise StateError(f"cannot see who holds {path}: {error}") from error


def clear(path: Path) -> Holder | None:
    """Remove what a dead process left beside the lock and return it. Raises StateLocked while a live one holds it."""
    if not path.exists():
        return None
    stale = _read(path)
    with held(path, "vecmig state unlock", 0):
        return stale


def _file_lock(path: Path, timeout_s: float) -> FileLock:
    # without `fallback_to_soft`, which would leave a lock behind a dead process where the file system knows no flock
    return FileLock(path, timeout_s, 0o600, thread_local=False, poll_interval=0.05, fallback_to_soft=False)


def _me(command: str) -> Holder:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        user = f"user {os.getuid()}"
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Holder(f"{user}@{socket.gethostname()}", os.getpid(), since, command)


def _information(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(_information(path).read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _locked(path: Path) -> str:
    found = _read(path)
    if found is None:
        return f"the state is locked by another run ({path}): wait for it with --lock-timeout, or stop it"
    return (
        f"the state is locked by {found}: wait for it with --lock-timeout, or stop it (kill {found.pid}); "
        f"the lock ({path}) ends with its process, so for a dead one there is nothing to unlock"
    )
