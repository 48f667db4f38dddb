"""Stops an embedded server once no process uses it; runs as a process of its own, with the standard library alone."""

import os
import subprocess
import sys
from pathlib import Path

STOP_TIMEOUT_S = 120


def hold(directory: Path) -> int:
    """Return a descriptor with a shared lock on the directory: "I use this server", until the process ends."""
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def keep(directory: str, user: str, stop: list[str]) -> None:
    """Wait until nobody holds the directory, then stop its server; a new user waits meanwhile."""
    import fcntl

    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_EX)
    if os.path.exists(os.path.join(directory, "postmaster.pid")):
        subprocess.run(stop, user=user or None, timeout=STOP_TIMEOUT_S, check=False)


if __name__ == "__main__" and os.fork() == 0:  # the process that was started ends at once, so that nobody waits for it
    keep(sys.argv[1], sys.argv[2], sys.argv[3:])
