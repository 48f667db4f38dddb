"""What the spec says of documents. Imports no parser: `validate` stays fast and works without one."""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import replace

from vecmig.errors import PluginError
from vecmig.model.collection import Collection
from vecmig.model.plan import Cost
from vecmig.model.secret import Secret
from vecmig.protocols import Footprint, Work

if TYPE_CHECKING:
    from vecmig.connectors.documents.connector import DocumentsConnector
    from vecmig.model.batch import RecordBatch, Rejected

Name = Annotated[str, Meta(min_length=1)]
Size = Annotated[int, Meta(ge=1, le=100_000)]


class Chunk(Struct, frozen=True, forbid_unknown_fields=True):
    """How documents are cut: at headings, paragraphs, sentences, words, in that order, as far as pieces fit."""

    size: Annotated[Size, Meta(description="Most of a chunk, in `unit`.", examples=[1000])] = 1000
    overlap: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="Most that a chunk repeats of the one before it.", examples=[100])
    ] = 0
    unit: Annotated[
        Literal["characters", "tokens"],
        Meta(description="What `size` and `overlap` count; tokens are those of OpenAI's embedding models (cl100k)."),
    ] = "characters"

    def __post_init__(self) -> None:
        if self.overlap >= self.size:
            raise ValueError(f"`overlap` ({self.overlap}) must be smaller than `size` ({self.size})")


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns of rows (JSONL, CSV, Parquet, a query) hold what."""

    id: Annotated[Name, Meta(description="Column of the ids: texts or integers, each once.", examples=["doc_id"])] = (
        "id"
    )
    text: Annotated[Name, Meta(description="Column of the texts.", examples=["body"])] = "text"
    metadata: Annotated[
        tuple[Name, ...] | None,
        Meta(description="Columns that become metadata; absent: all others.", examples=[["title", "tags"]]),
    ] = None
    namespace: Annotated[Name | None, Meta(description="Column of the namespaces.", examples=["tenant"])] = None


class DocumentsOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Texts to be chunked and embedded: files, rows of files, or rows of a PostgreSQL query. Source only."""

    path: Annotated[
        Name | None,
        Meta(
            description="A file, a pattern or a directory, also as a URL that fsspec knows: Markdown, HTML, PDF and other"
            " text, a document each; JSONL, CSV and Parquet, a document a row. Ids begin with the path relative to the"
            " directory, or to what stands before the pattern.",
            examples=["docs", "docs/**/*.md", "s3://bucket/faq.jsonl"],
        ),
    ] = None
    include: Annotated[
        tuple[Name, ...],
        Meta(
            description="Patterns of the files in the directory `path`; absent: all with a known ending.",
            examples=[["**/*.md", "**/*.pdf"]],
        ),
    ] = ()
    query: Annotated[
        Name | None,
        Meta(
            description="A SELECT whose rows are documents, in the place of `path`.",
            examples=["SELECT id, title, body AS text FROM articles WHERE published"],
        ),
    ] = None
    dsn: Annotated[
        Secret | None,
        Meta(description="PostgreSQL connection string for `query`.", examples=["{{ env.DATABASE_URL }}"]),
    ] = None
    columns: Annotated[
        Columns, Meta(description="Which columns of rows hold what.", examples=[{"id": "doc_id", "text": "body"}])
    ] = Columns()
    chunk: Annotated[
        Chunk, Meta(description="How documents are cut.", examples=[{"size": 300, "overlap": 30, "unit": "tokens"}])
    ] = Chunk()
    max_document_mib: Annotated[
        int, Meta(ge=1, le=1024, description="Largest document, in MiB; a larger one is a bad record.", examples=[32])
    ] = 32
    page_rows: Annotated[int, Meta(ge=1, description="Most chunks a batch that is read.", examples=[1000])] = 1000

    def __post_init__(self) -> None:
        if (self.path is None) == (self.query is None):
            raise ValueError("give either `path` (files) or `query` (rows of PostgreSQL)")
        if (self.query is None) != (self.dsn is None):
            raise ValueError("`query` and `dsn` go together: which rows, and of which database")
        if self.include and (self.path is None or glob.has_magic(self.path)):
            raise ValueError("`include` chooses files of a directory: give its name, without a pattern, as `path`")
        if self.path and "://" in self.path and urlsplit(self.path).password:
            raise ValueError("`path` holds a password: leave it to the environment or fsspec's own configuration")

    @property
    def collection(self) -> str:
        if self.path is not None:
            return self.path
        # not the query itself, which may quote values
        return f"query {hashlib.sha256(str(self.query).encode()).hexdigest()[:8]}"

    @property
    def label(self) -> str:
        if self.path is None or "://" in self.path:
            return self.collection
        near = os.path.relpath(self.path)
        return self.path if near.startswith("..") else near

    @property
    def place(self) -> str:
        if self.dsn is None:
            return ""
        from vecmig.connectors.documents.session import endpoint

        return endpoint(self.dsn)

    def anchored(self, directory: str) -> "DocumentsOptions":
        if self.path is None or "://" in self.path:
            return self
        return replace(self, path=os.path.join(directory, os.path.expanduser(self.path)))

    def beside(self, generation: int) -> "DocumentsOptions":
        return self  # only targets are built beside

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        return declared

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        return ("`documents` can only be read: they are a source, and a target is a store of vectors, or a `snapshot`",)

    def rewrites(self, declared: Collection, sample: "RecordBatch") -> Sequence[str]:
        return ()

    def rejects(self, declared: Collection, sample: "RecordBatch") -> Sequence["Rejected"]:
        return ()

    def search_settings(self, declared: Collection) -> Sequence[str]:
        return ()

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        return Footprint()

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        return ()

    def open(self) -> "DocumentsConnector":
        """Connect, where there is a query. Raises ConnectorError, PluginError where a parser is not installed."""
        try:
            from vecmig.connectors.documents.connector import connect
        except ModuleNotFoundError as error:
            raise PluginError(f"documents needs the module {error.name!r}: pip install 'vecmig[documents]'") from error
        return connect(self)

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        from vecmig.connectors.documents.doctor import diagnose

        yield from diagnose(self)
