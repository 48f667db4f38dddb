"""A snapshot that vecmig made: what its files and manifest amount to now, finished or not."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vecmig.connectors.snapshot import manifest as manifests
from vecmig.connectors.snapshot import parts
from vecmig.connectors.snapshot.dataset import Rows
from vecmig.connectors.snapshot.manifest import Manifest
from vecmig.connectors.snapshot.overwritten import Keys, overwritten
from vecmig.connectors.snapshot.store import Entry, Store, listed
from vecmig.errors import ConnectorError
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.protocols import Counts


@dataclass(frozen=True, slots=True)
class Native:
    """A dataset (see dataset.py) as it was when it was listed."""

    store: Store
    collection: Collection
    manifest: Manifest
    files: tuple[Entry, ...]
    deletions: tuple[Entry, ...]
    dead: Mapping[str, NDArray[np.int64]]
    living: Mapping[str, int]  # records per namespace

    @property
    def finished(self) -> bool:
        """True if the manifest says it all."""
        return not self.deletions and [entry.name for entry in self.files] == [
            part.name for part in self.manifest.parts
        ]

    def counts(self) -> Counts:
        return self.living

    def columns(self, vectors: Sequence[VectorField], schema: pa.Schema) -> list[str]:
        return schema_of(vectors).names  # type: ignore[no-any-return]  # pyarrow has no types

    def records(self, rows: pa.RecordBatch, vectors: Sequence[VectorField], name: str, first: int) -> RecordBatch:
        return RecordBatch(parts.as_schema(rows, schema_of(vectors)))

    def key_columns(self) -> list[str]:
        return ["id", "namespace"]

    def keys(self, rows: pa.RecordBatch, name: str, first: int) -> RecordBatch:
        return RecordBatch(rows)

    def checked(self, entry: Entry, file: pq.ParquetFile) -> None:
        said = next((part.rows for part in self.manifest.parts if part.name == entry.name), None)
        if said is not None and said != file.metadata.num_rows:
            raise ConnectorError(
                f"{self.store.path(entry.name)} holds {file.metadata.num_rows:,} rows, and the manifest says {said:,}: "
                "restore it from a copy, or make the snapshot anew"
            )


def load(store: Store, name: str, manifest: Manifest, known: "Native | None" = None) -> Native:
    """Return the dataset. `known`: as it was before; where nothing changed, its work is not done again.

    Raises ConnectorError if a file that the manifest names is missing or has another size.
    """
    entries = listed(store, parts.DIRECTORY) or []
    _complete(store, manifest, entries)
    replaced = frozenset(manifest.replaced)
    files = tuple(entry for entry in entries if parts.is_part(entry.name) and entry.name not in replaced)
    deletions = tuple(entry for entry in entries if parts.is_deletion(entry.name) and entry.name not in replaced)
    if known is not None and (known.manifest, known.files, known.deletions) == (manifest, files, deletions):
        return known
    finished = Native(store, manifest.collection(name), manifest, files, deletions, {}, manifest.namespaces)
    if finished.finished:
        return finished
    dead, counts = overwritten(_keys(finished))
    living = {namespace: count for namespace, count in counts.items() if count}
    return Native(store, manifest.collection(name), manifest, files, deletions, dead, living)


def described(data: Native) -> list[manifests.Part]:
    """Return what each file says of itself; rows that count no more are among those counted."""
    known = {part.name: part for part in data.manifest.parts}
    result = []
    for entry in data.files:
        if entry.name in known:
            result.append(known[entry.name])
        else:
            with closing(Rows(data, entry)) as rows:
                result.append(parts.described(rows.file, entry.name, entry.size))
    return result


def _complete(store: Store, manifest: Manifest, entries: Sequence[Entry]) -> None:
    sizes = {entry.name: entry.size for entry in entries}
    for part in manifest.parts:
        size = sizes.get(part.name)
        if size != part.bytes:
            what = "is missing" if size is None else f"has {size:,} bytes instead of {part.bytes:,}"
            raise ConnectorError(
                f"{store.path(part.name)} {what}, though the manifest names it: restore it from a copy, or make the "
                "snapshot anew"
            )


def _keys(data: Native) -> list[Keys]:
    settled = {part.name for part in data.manifest.parts}
    result = []
    for entry in sorted((*data.files, *data.deletions), key=lambda entry: entry.name):
        with closing(Rows(data, entry)) as rows:
            count = rows.metadata.num_rows

        def pages(entry: Entry = entry) -> Iterator[tuple[int, RecordBatch]]:
            with closing(Rows(data, entry)) as rows:
                yield from rows.key_pages()

        deletion = parts.is_deletion(entry.name)
        result.append(Keys(entry.name, count, pages, entry.name not in settled, deletion))
    return result
