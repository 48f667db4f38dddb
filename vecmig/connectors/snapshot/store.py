"""Files in a directory, on disk or wherever fsspec reaches: listed, read, replaced whole, removed."""

import errno
import glob
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from vecmig.errors import ConnectorError, TransientError

TEMPORARY = ".tmp-"  # what a killed writer leaves behind; no reader looks at it
RESTORE = "Restore it from a copy, or make the snapshot anew"
CHECKSUMS = ("ETag", "etag", "md5Hash", "content_md5")  # as S3, Azure and Google Cloud name them


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. Equal entries mean equal content, as far as `exact` says."""

    name: str  # relative to the store
    size: int
    stamp: str  # time of the last change, or a checksum
    exact: bool


@dataclass(frozen=True, slots=True)
class Store:
    """A directory."""

    fs: Any
    root: str

    @property
    def local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root


def open_store(path: str) -> Store:
    """Return the directory at a path or URL, which need not exist. Raises ConnectorError for an unknown protocol."""
    try:
        fs, root = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise ConnectorError(f"cannot open {path!r}: {error}") from error
    return Store(fs, root.rstrip("/") or root)


@contextmanager
def translated(store: Store, name: str, doing: str) -> Iterator[None]:
    """Turn errors of files into vecmig's, naming the file. `doing`: "read" or "write"."""
    path = store.path(name)
    try:
        yield
    except (TimeoutError, ConnectionError) as error:
        raise TransientError(f"could not {doing} {path}: {error}") from error
    except FileNotFoundError as error:
        raise ConnectorError(
            f"{path} is gone: somebody removed or replaced it. Run again to see what is there"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConnectorError(f"no space left to write {path}: free some and run again, it goes on here") from error
        if error.errno is None and doing == "read":  # Arrow's word for a file that is not what it ought to be
            raise ConnectorError(f"{path} is damaged: {error}. {RESTORE}") from error
        raise ConnectorError(f"could not {doing} {path}: {error}") from error
    except pa.ArrowException as error:
        raise ConnectorError(f"{path} is damaged: {error}. {RESTORE}") from error


def listed(store: Store, directory: str = "") -> list[Entry] | None:
    """Return the files and directories in it by name; None where there is no such directory."""
    with translated(store, directory, "list"):
        try:
            found = store.fs.ls(store.path(directory), detail=True, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
    prefix, own = f"{directory}/" if directory else "", store.path(directory).strip("/")
    names = [(info, info["name"].strip("/")) for info in found]
    # object stores list the marker of an empty directory, and what is a file lists itself
    inside = [_entry(info, prefix + name.rsplit("/", 1)[-1]) for info, name in names if name != own]
    return sorted(inside, key=lambda entry: entry.name) if inside or not found else None


def matching(store: Store) -> tuple[Store, list[Entry]]:
    """Return the Parquet files that the path means: those below a directory, those of a pattern, or one; by name.

    Their names are relative to the store returned: the directory above a file, or above what a pattern leaves open.
    """
    with translated(store, "", "list"):
        if glob.has_magic(store.root):
            root = store.root[: re.search(r"[*?[]", store.root).start()].rpartition("/")[0]  # type: ignore[union-attr]
            found = store.fs.glob(store.root, detail=True)
        elif store.fs.isdir(store.root):
            root = store.root
            found = store.fs.find(store.root, detail=True)
            found = {path: info for path, info in found.items() if path.endswith((".parquet", ".pq"))}
        elif store.fs.isfile(store.root):
            root = store.root.rpartition("/")[0]
            found = {store.root: store.fs.info(store.root)}
        else:
            root, found = store.root, {}
    files = [path for path in sorted(found) if found[path]["type"] == "file"]
    return Store(store.fs, root), [_entry(found[path], path.removeprefix(root).lstrip("/")) for path in files]


def fetched(store: Store, name: str) -> bytes | None:
    """Return the content of a small file, or None if there is none."""
    with translated(store, name, "read"):
        try:
            return bytes(store.fs.cat_file(store.path(name)))
        except (FileNotFoundError, NotADirectoryError):
            return None


def put(store: Store, name: str, data: bytes | memoryview) -> None:
    """Write a file whole or not at all: durable on return, and no reader ever sees a half of it."""
    with translated(store, name, "write"):
        if store.local:
            _put_local(Path(store.path(name)), data)
        else:
            store.fs.pipe_file(store.path(name), bytes(data))  # object stores show an object when it is complete


def remove(store: Store, name: str) -> None:
    """Remove a file; one that is gone is no error."""
    with translated(store, name, "remove"), suppress(FileNotFoundError):
        store.fs.rm_file(store.path(name))


def opened(store: Store, name: str) -> pq.ParquetFile:
    """Open a Parquet file; reads as it goes, not whole columns at once. The caller closes it."""
    with translated(store, name, "read"):
        file = pa.OSFile(store.path(name)) if store.local else store.fs.open(store.path(name), "rb")
        try:
            return pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True)
        except BaseException:
            file.close()
            raise


def _put_local(path: Path, data: bytes | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the name, too, survives a loss of power
    finally:
        os.close(directory)


def _entry(info: dict[str, Any], name: str) -> Entry:
    checksum = next((str(info[key]) for key in CHECKSUMS if info.get(key)), None)
    if checksum:
        return Entry(name, int(info["size"] or 0), checksum, exact=True)
    if "ino" in info:  # a local file: `created` is the time of the inode's change, which no program can set
        return Entry(name, int(info["size"]), f"{info['mtime']!r}/{info['created']!r}/{info['ino']}", exact=True)
    stamp = info.get("mtime") or info.get("last_modified") or info.get("LastModified") or info.get("created") or ""
    return Entry(name, int(info["size"] or 0), str(stamp), exact=False)
