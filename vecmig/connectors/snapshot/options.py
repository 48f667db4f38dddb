"""What the spec says of a snapshot. Imports no Arrow: `validate` must not pay for it."""

import glob
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import replace

from vecmig.model.collection import Collection, Metric
from vecmig.model.plan import Cost
from vecmig.protocols import Footprint, Work

if TYPE_CHECKING:
    from vecmig.connectors.snapshot.connector import SnapshotConnector
    from vecmig.model.batch import RecordBatch, Rejected

MIB = 1 << 20


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns of foreign Parquet files hold what."""

    id: Annotated[str, Meta(description="Column of the ids: texts or integers.", examples=["doc_id"])] = "id"
    vector: Annotated[
        str | dict[str, str] | None,
        Meta(
            description="Column of the vectors, or a mapping of names to columns; absent: the only column of vectors.",
            examples=["emb", {"title": "title_emb"}],
        ),
    ] = None
    metadata: Annotated[
        tuple[str, ...] | None,
        Meta(description="Columns that become metadata; absent: all others.", examples=[["title", "tags"]]),
    ] = None
    namespace: Annotated[str | None, Meta(description="Column of the namespaces.", examples=["tenant"])] = None


class SnapshotOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A Parquet dataset on disk or in an object store: the export, the backup, the way back."""

    path: Annotated[
        str,
        Meta(
            description="A directory or a URL that fsspec knows; for Parquet files made by others a file or a pattern, too.",
            examples=["backup/kb", "s3://bucket/kb", "dump/*.parquet"],
            min_length=1,
        ),
    ]
    columns: Annotated[
        Columns | None,
        Meta(description="Reads Parquet files made by others.", examples=[{"id": "doc_id", "vector": "emb"}]),
    ] = None
    metric: Annotated[Metric, Meta(description="Metric of the vectors in files made by others.")] = "cosine"
    part_mib: Annotated[int, Meta(ge=1, le=64, description="Most MiB of records in a file that is written.")] = 16
    page_rows: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Most records a page that is read; it holds about 8 MB.", examples=[5000]),
    ] = None

    def __post_init__(self) -> None:
        if self.remote and urlsplit(self.path).password:
            raise ValueError("`path` holds a password: leave it to the environment or fsspec's own configuration")

    @property
    def remote(self) -> bool:
        return "://" in self.path

    @property
    def collection(self) -> str:
        return self.path

    @property
    def label(self) -> str:
        near = self.path if self.remote else os.path.relpath(self.path)
        return self.path if near.startswith("..") else near

    @property
    def place(self) -> str:
        return ""

    def anchored(self, directory: str) -> "SnapshotOptions":
        return self if self.remote else replace(self, path=os.path.join(directory, os.path.expanduser(self.path)))

    def beside(self, generation: int) -> "SnapshotOptions":
        base = self.path.rstrip("/") if self.remote else os.path.normpath(self.path)
        return replace(self, path=f"{base}__v{generation}")

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        return replace(declared, vectors=tuple(replace(vector, index=None) for vector in declared.vectors))

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        if glob.has_magic(self.path) or self.path.endswith(".parquet"):
            return (f"{self.path!r} names files, and a snapshot is a directory: give the path of one",)
        return ()

    def rewrites(self, declared: Collection, sample: "RecordBatch") -> Sequence[str]:
        return ()

    def rejects(self, declared: Collection, sample: "RecordBatch") -> Sequence["Rejected"]:
        return ()

    def search_settings(self, declared: Collection) -> Sequence[str]:
        return ()

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        # vectors are written as they are; texts shrink to a third or so, ids (not counted in metadata) hardly
        vectors = sum(4 * vector.dimensions for vector in declared.vectors if vector.kind != "sparse")
        return Footprint(disk_bytes=rows * (vectors + metadata_bytes // 3 + 16))

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        return ()

    def open(self) -> "SnapshotConnector":
        from vecmig.connectors.snapshot.connector import SnapshotConnector

        return SnapshotConnector(self)

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        from vecmig.connectors.snapshot.diagnose import diagnose

        yield from diagnose(self)
