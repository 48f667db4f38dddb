"""What the spec says of a PostgreSQL table. Imports no client: `validate` stays fast and works without one."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from vecmig.connectors.pgvector.footprint import footprint
from vecmig.connectors.pgvector.limits import complete, refusals, unsearchable
from vecmig.connectors.pgvector.schema.names import beside
from vecmig.connectors.pgvector.settings import statements
from vecmig.model.collection import Collection
from vecmig.model.plan import Cost
from vecmig.model.secret import Secret
from vecmig.protocols import Footprint, Work

if TYPE_CHECKING:
    from vecmig.connectors.pgvector.connector import PgvectorConnector
    from vecmig.model.batch import RecordBatch, Rejected

EMBEDDED = "embedded:"
Name = Annotated[str, Meta(min_length=1)]


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """Which columns of a table that vecmig did not make hold what."""

    id: Annotated[
        Name | tuple[Name, ...],
        Meta(description="Column of the id; a list is a composite key.", examples=["doc_id", ["tenant", "doc_id"]]),
    ] = ()
    vector: Annotated[
        Name | dict[str, Name] | None,
        Meta(
            description="Column of the vector, or the columns of several by name.",
            examples=["emb", {"title": "title_emb", "body": "body_emb"}],
        ),
    ] = None
    metadata: Annotated[
        Name | tuple[Name, ...] | None,
        Meta(
            description="A json or jsonb column that is the metadata; or a list of columns, each a field of it, where"
            " `column.*` stands for the fields of a json column. Absent: all other columns.",
            examples=["cmetadata", ["title", "tags", "extra.*"]],
        ),
    ] = None
    namespace: Annotated[Name | None, Meta(description="Column of the namespace.", examples=["tenant"])] = None


class PgvectorOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A table in PostgreSQL with the pgvector extension."""

    dsn: Annotated[
        Secret,
        Meta(
            description="Connection string; `embedded:PATH` starts a server of its own that keeps its data there.",
            examples=["{{ env.DATABASE_URL }}", "embedded:.vecmig/postgres"],
        ),
    ]
    table: Annotated[
        str,
        Meta(
            min_length=1,
            description="Name of the table, with its schema where it is not on the search path; taken letter by letter.",
            examples=["kb_chunks", "search.kb_chunks"],
        ),
    ]
    columns: Annotated[
        Columns | None,
        Meta(
            description="Which columns hold what, where vecmig did not make the table.",
            examples=[{"id": "doc_id", "vector": "emb", "metadata": ["title", "tags"], "namespace": "tenant"}],
        ),
    ] = None
    vector_type: Annotated[
        Literal["vector", "halfvec", "sparsevec"] | None,
        Meta(
            description="Type of new vector columns: halfvec has 16 bits a component. Absent: as the source has it.",
            examples=["halfvec"],
        ),
    ] = None
    text_search: Annotated[
        str,
        Meta(
            description="PostgreSQL's text search configuration for fields with `search: true`.", examples=["english"]
        ),
    ] = "simple"
    page_rows: Annotated[
        int, Meta(ge=1, description="Most records a batch that is read; it holds about 16 MB.", examples=[5000])
    ] = 20_000

    @property
    def collection(self) -> str:
        return self.table

    @property
    def label(self) -> str:
        return self.table

    @property
    def place(self) -> str:
        from vecmig.connectors.pgvector.client.session import endpoint

        return endpoint(self)

    def anchored(self, directory: str) -> "PgvectorOptions":
        """Return these options with the path of an embedded server made absolute, from `directory`."""
        path = self.dsn.expression.removeprefix(EMBEDDED)
        if path == self.dsn.expression or path.startswith(("~", "{{")):
            return self
        return replace(self, dsn=Secret(EMBEDDED + os.path.abspath(os.path.join(directory, path))))

    def beside(self, generation: int) -> "PgvectorOptions":
        return replace(self, table=beside(self.table, generation))

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        return complete(declared, self.vector_type)

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        return [*refusals(self.complete(declared)), *(unsearchable(declared, actual) if actual else ())]

    def rewrites(self, declared: Collection, sample: "RecordBatch") -> Sequence[str]:
        return ()

    def rejects(self, declared: Collection, sample: "RecordBatch") -> Sequence["Rejected"]:
        return ()

    def search_settings(self, declared: Collection) -> Sequence[str]:
        return statements(vector.index for vector in declared.vectors if vector.index is not None)

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        return footprint(self.complete(declared), rows, metadata_bytes)

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        return ()

    def open(self) -> "PgvectorConnector":
        """Connect. Raises ConnectorError."""
        from vecmig.connectors.pgvector.connector import connect

        return connect(self)

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        from vecmig.connectors.pgvector.doctor import diagnose

        return diagnose(self)
