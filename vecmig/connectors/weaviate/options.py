"""What the spec says of a Weaviate collection. Imports no client: `validate` stays fast and works without one."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import replace

from vecmig.connectors.weaviate import limits
from vecmig.connectors.weaviate.addresses import grpc_address, rest_address
from vecmig.connectors.weaviate.footprint import footprint
from vecmig.connectors.weaviate.schema.names import beside, class_name
from vecmig.connectors.weaviate.schema.parameters import Hnsw, Inverted, Oidc, Quantizer
from vecmig.model.collection import Collection
from vecmig.model.plan import Cost
from vecmig.model.secret import Secret
from vecmig.protocols import Footprint, Work

if TYPE_CHECKING:
    from vecmig.connectors.weaviate.connector import WeaviateConnector
    from vecmig.model.batch import RecordBatch, Rejected


EMBEDDED = "embedded:"


class WeaviateOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A collection in Weaviate, 1.29 or later."""

    declares_metadata: ClassVar[bool] = True
    # how the server is reached, and settings of the collection, which are seen there and changed by an action of their own
    incidental: ClassVar[frozenset[str]] = frozenset(
        [
            "grpc_url",
            "api_key",
            "client_secret",
            "oidc",
            "headers",
            "quantizer",
            "hnsw",
            "dynamic_threshold",
            "inverted_index",
            "shards",
            "replicas",
            "async_replication",
            "deletion_strategy",
            "page_rows",
        ]
    )

    collection: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=246,
            pattern="^[A-Za-z][_0-9A-Za-z]*$",
            description="Name of the collection, or of an alias. A new one is made behind an alias of this name (from"
            " Weaviate 1.32 on), so that another can take its place.",
            examples=["SupportKb"],
        ),
    ]
    url: Annotated[
        str,
        Meta(
            pattern="^(https?://|embedded:)",
            description="Address of the server; `embedded:PATH` starts the client's own, which keeps its data there. A"
            " certificate authority of one's own stands in the environment's SSL_CERT_FILE.",
            examples=["https://my-cluster.weaviate.network", "http://localhost:8080", "embedded:.vecmig/weaviate"],
        ),
    ] = "http://localhost:8080"
    grpc_url: Annotated[
        Annotated[str, Meta(pattern="^(grpcs?|https?)://")] | None,
        Meta(
            description="Address for gRPC. Absent: that of Weaviate Cloud, or port 50051 of the server.",
            examples=["grpc://localhost:50051"],
        ),
    ] = None
    api_key: Annotated[Secret | None, Meta(description="API key.", examples=["{{ env.WEAVIATE_API_KEY }}"])] = None
    client_secret: Annotated[
        Secret | None,
        Meta(
            description="Secret of OpenID Connect's client credentials flow.",
            examples=["{{ env.WEAVIATE_CLIENT_SECRET }}"],
        ),
    ] = None
    oidc: Annotated[Oidc | None, Meta(description="Details of that flow.", examples=[{"scope": ["email"]}])] = None
    headers: Annotated[
        dict[str, Secret], Meta(description="Headers of every request.", examples=[{"X-Proxy": "{{ env.PROXY_KEY }}"}])
    ] = {}
    tenants: Annotated[
        bool | None,
        Meta(
            description="Whether a new collection has a tenant for each namespace. Absent: where records have namespaces.",
            examples=[True],
        ),
    ] = None
    without: Annotated[
        tuple[str, ...],
        Meta(
            description="Properties and vectors that are not read: references and vectors of many rows cannot be.",
            examples=[["hasAuthor"]],
        ),
    ] = ()
    quantizer: Annotated[
        Quantizer | None, Meta(description="How vectors are compressed for the search.", examples=[{"type": "rq"}])
    ] = None
    hnsw: Annotated[Hnsw | None, Meta(description="More parameters of an hnsw index.", examples=[{"ef_min": 100}])] = (
        None
    )
    dynamic_threshold: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Begin with a flat index, and go over to hnsw at so many records (the server needs"
            " ASYNC_INDEXING).",
            examples=[10000],
        ),
    ] = None
    inverted_index: Annotated[
        Inverted | None, Meta(description="The index of filters and full-text search.", examples=[{"bm25_b": 0.75}])
    ] = None
    shards: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Shards of a new collection.", examples=[3])
    ] = None
    replicas: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Nodes that each record is on.", examples=[3])
    ] = None
    async_replication: Annotated[bool | None, Meta(description="Mend replicas in the background.", examples=[True])] = (
        None
    )
    deletion_strategy: Annotated[
        Literal["NoAutomatedResolution", "DeleteOnConflict", "TimeBasedResolution"] | None,
        Meta(description="Which replica is right after a deletion.", examples=["TimeBasedResolution"]),
    ] = None
    page_rows: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(description="Records a batch that is read; absent: about 8 MB of them.", examples=[1000]),
    ] = None

    def __post_init__(self) -> None:
        if self.api_key is not None and self.client_secret is not None:
            raise ValueError("`api_key` and `client_secret` are two ways to log in: leave one out")
        if self.embedded_in is not None and (self.grpc_url or self.api_key or self.client_secret):
            raise ValueError("an embedded server has neither `grpc_url` nor keys: leave them out")
        if self.embedded_in is None:
            rest, grpc = rest_address(self.url), grpc_address(self.url, self.grpc_url)
            if (rest.host, rest.port) == (grpc.host, grpc.port):  # the client takes no such pair
                raise ValueError(
                    f"`url` and `grpc_url` are both {rest}, and Weaviate listens for gRPC on a port of its own, mostly"
                    " 50051: say it in `grpc_url`"
                )

    @property
    def label(self) -> str:
        return self.collection

    @property
    def place(self) -> str:
        return self.url if self.embedded_in is not None else urlsplit(self.url).netloc

    @property
    def embedded_in(self) -> str | None:
        """The directory of an embedded server."""
        return self.url.removeprefix(EMBEDDED) if self.url.startswith(EMBEDDED) else None

    def anchored(self, directory: str) -> "WeaviateOptions":
        url, path = self.url, self.embedded_in
        if path is not None and not path.startswith("~"):
            url = EMBEDDED + os.path.abspath(os.path.join(directory, path))
        return replace(self, collection=class_name(self.collection), url=url)

    def beside(self, generation: int) -> "WeaviateOptions":
        return replace(self, collection=beside(self.collection, generation))

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        return limits.complete(self, declared, actual)

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        return limits.refusals(self, self.complete(declared, actual), actual)

    def rewrites(self, declared: Collection, sample: "RecordBatch") -> Sequence[str]:
        from vecmig.connectors.weaviate.records.rewrites import rewrites

        return tuple(rewrites(declared, sample))

    def rejects(self, declared: Collection, sample: "RecordBatch") -> Sequence["Rejected"]:
        from vecmig.connectors.weaviate.records.rewrites import rejects

        return rejects(declared, sample)

    def search_settings(self, declared: Collection) -> Sequence[str]:
        return ()

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        return footprint(declared, rows, metadata_bytes)

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        return ()

    def open(self) -> "WeaviateConnector":
        """Connect. Raises ConnectorError."""
        from vecmig.connectors.weaviate.connector import connect

        return connect(self)

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        from vecmig.connectors.weaviate.doctor import diagnose

        return diagnose(self)
