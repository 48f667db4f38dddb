"""Files on disk, or wherever fsspec reaches: found by a pattern, opened, told apart."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from stat import S_ISREG
from typing import Any

import fsspec
from fsspec.utils import glob_translate

from vecmig.errors import CollectionNotFound, ConnectorError, TransientError

KINDS = {
    **dict.fromkeys((".md", ".markdown", ".mdown"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".txt", ".text", ".rst", ".adoc", ".org"), "text"),
    ".pdf": "pdf",
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
_MAGIC = re.compile(r"[*?[]")
CHECKSUMS = ("ETag", "etag", "md5Hash", "content_md5")  # as S3, Azure and Google Cloud name them


@dataclass(frozen=True, slots=True)
class File:
    name: str  # relative to the root
    size: int
    checksum: str | None  # as a remote store tells it
    stamp: str  # time of the last change, where it tells no checksum

    @property
    def kind(self) -> str:
        """What it is by its ending; one that is not known is text."""
        return KINDS.get(self.ending, "text")

    @property
    def ending(self) -> str:
        _, dot, ending = self.name.rpartition("/")[2].rpartition(".")
        return f"{dot}{ending}".lower()


@dataclass(frozen=True, slots=True)
class Folder:
    fs: Any
    root: str

    @property
    def local(self) -> bool:
        return "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def full(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open a file to read. Raises ConnectorError that names it."""
        with translated(self.full(name)), self.fs.open(self.full(name), "rb") as file:
            yield file

    def digest(self, file: File) -> tuple[str, bool]:
        """Return what tells its content, and whether any change of it shows.

        A local file is read: times and inodes are others in every checkout, and a plan made there would see changes
        where there are none.
        """
        if not self.local:
            return file.checksum or f"{file.size} {file.stamp}", file.checksum is not None
        with self.open(file.name) as content:
            return hashlib.file_digest(content, "sha256").hexdigest(), True


def found(path: str, include: Sequence[str]) -> tuple[Folder, list[File]]:
    """Return the folder that names are relative to, and the files by name.

    Raises ConnectorError, also for a folder that cannot be looked into: what is in it would be missing in silence.
    """
    try:
        fs, root = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise ConnectorError(f"cannot open {path!r}: {error}") from error
    root = root.rstrip("/") or root
    with translated(root):
        if magic := _MAGIC.search(root):
            folder = Folder(fs, root[: magic.start()].rpartition("/")[0])
            files = _matching(folder, [root])
        elif fs.isfile(root):
            folder = Folder(fs, root.rpartition("/")[0])
            files = [_file(fs.info(root), root.rpartition("/")[2])]
        else:
            folder = Folder(fs, root)
            files = _matching(folder, [folder.full(each) for each in include or ("**",)])
            files = [file for file in files if include or file.ending in KINDS]
    for file in files:
        try:
            file.name.encode()
        except UnicodeEncodeError:
            raise ConnectorError(f"{folder.full(file.name)!a}: the name is not UTF-8, and ids are: rename it") from None
    return folder, sorted(files, key=lambda file: file.name)


def required(path: str, include: Sequence[str]) -> tuple[Folder, list[File]]:
    """Return what `found` does. Raises CollectionNotFound where there is no file."""
    folder, files = found(path, include)
    if files:
        return folder, files
    if include or _MAGIC.search(path):
        raise CollectionNotFound(
            f"{', '.join(include) or path} matches no file{f' in {path}' if include else ''}: `**/` stands for any"
            " folders, and names that begin with a dot are left out"
        )
    endings = ", ".join(KINDS)
    raise CollectionNotFound(
        f"{path} is no file, and no directory with files that end with {endings}: correct `path`, or say which files are"
        " text in `include`"
    )


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn errors of files into vecmig's, naming the file."""
    try:
        yield
    except (TimeoutError, ConnectionError) as error:
        raise TransientError(f"could not read {path}: {error}") from error
    except FileNotFoundError as error:
        raise ConnectorError(f"{path} is gone: somebody removed it. Run again to see what is there") from error
    except PermissionError as error:
        raise ConnectorError(
            f"{error.filename or path} cannot be read: permission denied. Let this user read it, or leave it out with a"
            " narrower `path` or `include`"
        ) from error
    except OSError as error:
        raise ConnectorError(f"could not read {path}: {error}") from error


def _matching(folder: Folder, patterns: Sequence[str]) -> list[File]:
    """Return the files that match; a name that begins with a dot is matched by a pattern only that says so."""
    begin = len(folder.root) + 1
    hidden = any("/." in pattern[begin - 1 :] for pattern in patterns)
    deep = any("**" in pattern for pattern in patterns)
    depth = None if deep else max(pattern.count("/") for pattern in patterns) - folder.root.count("/")
    matches = [re.compile(glob_translate(pattern)).match for pattern in patterns]
    walk = _local if folder.local else _remote
    return [
        _file(info, name[begin:])
        for name, info in walk(folder, depth, hidden)
        if any(match(name) for match in matches) and (hidden or "/." not in name[begin - 1 :])
    ]


def _local(folder: Folder, depth: int | None, hidden: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the regular files, and links to such; links to folders are not followed, for they may lead back."""
    if not os.path.isdir(folder.root or "/"):
        return
    for place, folders, names in os.walk(folder.root or "/", onerror=_raised):
        place = place.rstrip("/")
        if depth is not None and place.count("/") - folder.root.count("/") >= depth - 1:
            folders.clear()
        folders[:] = [each for each in folders if hidden or not each.startswith(".")]
        for name in names:
            with suppress(FileNotFoundError):  # a link to nothing
                stat = os.stat(f"{place}/{name}")
                if S_ISREG(stat.st_mode):
                    yield f"{place}/{name}", {"size": stat.st_size}


def _remote(folder: Folder, depth: int | None, hidden: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        infos = folder.fs.find(folder.root, maxdepth=depth, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from ((name, info) for name, info in infos.items() if info["type"] == "file")


def _raised(error: OSError) -> None:
    raise error


def _file(info: dict[str, Any], name: str) -> File:
    checksum = next((str(info[key]) for key in CHECKSUMS if info.get(key)), None)
    stamp = info.get("mtime") or info.get("last_modified") or info.get("LastModified") or info.get("created") or ""
    return File(name, int(info["size"] or 0), checksum, str(stamp))
