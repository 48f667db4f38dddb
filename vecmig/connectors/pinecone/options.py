"""What the spec says of a Pinecone index. Imports no client: `validate` stays fast and works without one."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import replace

from vecmig.connectors.pinecone.costs import costs
from vecmig.connectors.pinecone.footprint import footprint
from vecmig.connectors.pinecone.limits import MAX_INDEX, complete, refusals
from vecmig.connectors.pinecone.schema.fields import Kind, kind_of
from vecmig.model.collection import Collection
from vecmig.model.plan import Cost
from vecmig.model.secret import Secret
from vecmig.protocols import Footprint, Work

if TYPE_CHECKING:
    from vecmig.connectors.pinecone.connector import PineconeConnector
    from vecmig.model.batch import RecordBatch, Rejected

CONTROL_PLANE = "api.pinecone.io"


class PineconeOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A serverless index of Pinecone."""

    incidental: ClassVar[frozenset[str]] = frozenset(
        ("cloud", "region", "deletion_protection", "transport", "page_rows")
    )

    api_key: Annotated[Secret, Meta(description="API key of the project.", examples=["{{ env.PINECONE_API_KEY }}"])]
    index: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_INDEX,
            pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            description="Name of the index: lower-case letters, digits and hyphens.",
            examples=["support-kb"],
        ),
    ]
    namespaces: Annotated[
        tuple[str, ...] | Literal["all"],
        Meta(
            description="Namespaces of a source that are read; '' is the default one.",
            examples=[["acme", "globex"]],
        ),
    ] = "all"
    id_prefixes: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(
            description="Beginnings of ids by which a source's namespace is read in parts, side by side; together they must"
            " cover every id.",
            examples=[["a#", "b#"]],
        ),
    ] = ()
    kind: Annotated[
        Kind | None,
        Meta(
            description="Data model of a new index: `vectors` is read and written by the vectors API, `documents` by the"
            " documents API. Absent: documents where a record has a dense and a sparse vector, else vectors.",
            examples=["documents"],
        ),
    ] = None
    hybrid: Annotated[
        bool | None,
        Meta(
            description="Whether records of an existing dotproduct index hold sparse values beside the dense vector."
            " Absent: its first records show it.",
            examples=[True],
        ),
    ] = None
    cloud: Annotated[Literal["aws", "gcp", "azure"], Meta(description="Cloud of a new index.")] = "aws"
    region: Annotated[str, Meta(min_length=1, description="Region of a new index.", examples=["eu-west-1"])] = (
        "us-east-1"
    )
    deletion_protection: Annotated[bool, Meta(description="Protect a new index from being deleted.")] = False
    transport: Annotated[
        Literal["grpc", "rest"],
        Meta(description="How vectors travel; gRPC is several times faster, REST passes any proxy."),
    ] = "grpc"
    host: Annotated[
        Annotated[str, Meta(pattern="^https?://")] | None,
        Meta(
            description="Address of the control plane, where it is not Pinecone's own.",
            examples=["http://localhost:5080"],
        ),
    ] = None
    page_rows: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Records a batch that is read; absent: about 8 MB of them.", examples=[1000]),
    ] = None

    def __post_init__(self) -> None:
        for one, other in combinations(sorted(self.id_prefixes), 2):
            if other.startswith(one):
                raise ValueError(f"`id_prefixes`: an id that begins with {other!r} begins with {one!r}, too")

    @property
    def collection(self) -> str:
        return self.index

    @property
    def label(self) -> str:
        return self.index

    @property
    def place(self) -> str:
        """The control plane; which project of it, only the key says."""
        return urlsplit(self.host).netloc if self.host else CONTROL_PLANE

    @property
    def chosen(self) -> frozenset[str] | None:
        """The namespaces to read, in vecmig's words; None is all."""
        return None if self.namespaces == "all" else frozenset(map(plain, self.namespaces))

    def anchored(self, directory: str) -> "PineconeOptions":
        return self

    def beside(self, generation: int) -> "PineconeOptions":
        return replace(self, index=_beside(self.index, generation))

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        held = complete(declared)
        if actual is not None:
            return held
        metrics = ", ".join(dict.fromkeys(vector.metric for vector in held.vectors))
        made = f"{self.cloud} {self.region}, serverless, kind {kind_of(self.kind, held)}, {metrics}"
        return replace(held, settings=(("made in", made + ", protected from deletion" * self.deletion_protection),))

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        return [
            *(
                f"`{name}` says what is read of a source, and a target is compared whole: leave it out"
                for name, given in (("namespaces", self.chosen is not None), ("id_prefixes", bool(self.id_prefixes)))
                if given
            ),
            *refusals(self.complete(declared), self.kind),
        ]

    def rewrites(self, declared: Collection, sample: "RecordBatch") -> Sequence[str]:
        from vecmig.connectors.pinecone.records.rewrites import rewrites

        return tuple(rewrites(declared, self.kind, sample))

    def rejects(self, declared: Collection, sample: "RecordBatch") -> Sequence["Rejected"]:
        from vecmig.connectors.pinecone.records.rewrites import rejects

        return rejects(declared, self.kind, sample)

    def search_settings(self, declared: Collection) -> Sequence[str]:
        return ()

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        return footprint(declared, rows, metadata_bytes)

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        return costs(work, record_bytes, len(self.id_prefixes), self.page_rows)

    def open(self) -> "PineconeConnector":
        """Connect. Raises ConnectorError."""
        from vecmig.connectors.pinecone.connector import connect

        return connect(self)

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        from vecmig.connectors.pinecone.doctor import diagnose

        return diagnose(self)


def plain(namespace: str) -> str:
    """Return vecmig's name of a namespace: Pinecone's default one has two."""
    return "" if namespace == "__default__" else namespace


def _beside(index: str, generation: int) -> str:
    """Return the name of an index beside this one, within what Pinecone takes."""
    tail = f"-v{generation}"
    if len(index) + len(tail) > MAX_INDEX:
        tail = f"-{hashlib.sha256(index.encode()).hexdigest()[:4]}{tail}"
    return index[: MAX_INDEX - len(tail)].rstrip("-") + tail
