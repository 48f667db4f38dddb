"""Who of those that buy still lives: each holds a lock of its own beside the cache, which dies with its process."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


def sign_up(cache: Path) -> tuple[str, FileLock]:
    """Return a name that nobody else has, and its lock, held."""
    while True:
        name = uuid.uuid4().hex
        lock = _lock(cache, name)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            if _path(cache, name).exists():
                return name, lock
            lock.release()
        # another one saw it before it was held, looked whether it is, and removes it, or has


def sign_off(cache: Path, name: str, lock: FileLock) -> None:
    _path(cache, name).unlink(missing_ok=True)  # while it is held: whoever gets it next sees that it is gone
    lock.release()


def lives(cache: Path, name: str) -> bool:
    """Return whether somebody holds the lock of this name; if not, nothing of it is left afterwards."""
    if not _path(cache, name).exists():
        return False
    lock = _lock(cache, name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    sign_off(cache, name, lock)
    return False


def signed_up(cache: Path) -> Iterator[str]:
    """Yield the names of all that have a lock, held or left."""
    for path in cache.parent.glob(f"{cache.name}.*.lock"):
        yield path.name.removeprefix(f"{cache.name}.").removesuffix(".lock")


def _lock(cache: Path, name: str) -> FileLock:
    return FileLock(_path(cache, name), thread_local=False, fallback_to_soft=False)


def _path(cache: Path, name: str) -> Path:
    return cache.with_name(f"{cache.name}.{name}.lock")
