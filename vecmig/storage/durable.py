"""Files that survive a loss of power: what was written, and the name under which it stands."""

import os
from pathlib import Path


def replace_durably(path: Path, data: bytes) -> None:
    """Let a file, new or not, hold `data`: durable on return, and at every moment whole, the old one or the new."""
    temporary = path.with_name(path.name + ".tmp")  # one name: what a crash leaves is overwritten
    try:
        write_through(temporary, data)
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_through(path: Path, data: bytes) -> None:
    """Write a file that none but its owner may read, to the disk itself."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
