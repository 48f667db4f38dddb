"""Parts of the options: what a collection can be told besides the vocabulary that all stores share."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]


class Quantizer(Struct, frozen=True, forbid_unknown_fields=True):
    """How vectors are compressed for the search; what is stored and read stays as it was."""

    type: Annotated[
        Literal["pq", "bq", "sq", "rq", "none"],
        Meta(description="Product, binary, scalar or rotational quantization.", examples=["rq"]),
    ]
    bits: Annotated[Literal[1, 4, 8] | None, Meta(description="rq: bits a component.", examples=[8])] = None
    rescore_limit: Annotated[
        NotNegative | None,
        Meta(description="Candidates that are compared by the vectors themselves.", examples=[20]),
    ] = None
    training_limit: Annotated[
        Positive | None, Meta(description="pq, sq: records that it is trained with.", examples=[100000])
    ] = None
    segments: Annotated[NotNegative | None, Meta(description="pq: parts of a vector.", examples=[96])] = None
    centroids: Annotated[Positive | None, Meta(description="pq: centroids of each part.", examples=[256])] = None
    cache: Annotated[bool | None, Meta(description="flat: keep the compressed vectors in RAM.", examples=[True])] = None


class Hnsw(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of an hnsw index that only Weaviate has; `m`, `ef_construction` and `ef_search` stand in `index`."""

    ef_min: Annotated[Positive | None, Meta(description="Least ef where it is dynamic.", examples=[100])] = None
    ef_max: Annotated[Positive | None, Meta(description="Largest ef where it is dynamic.", examples=[500])] = None
    ef_factor: Annotated[Positive | None, Meta(description="ef a result, where it is dynamic.", examples=[8])] = None
    flat_search_cutoff: Annotated[
        NotNegative | None,
        Meta(description="A filter that lets fewer records pass is searched without the index.", examples=[40000]),
    ] = None
    filter_strategy: Annotated[
        Literal["acorn", "sweeping"] | None, Meta(description="How a filtered search walks.", examples=["acorn"])
    ] = None
    cleanup_interval_s: Annotated[
        NotNegative | None, Meta(description="Seconds between removals of deleted records.", examples=[300])
    ] = None
    vector_cache_max_objects: Annotated[
        Positive | None, Meta(description="Vectors kept in RAM.", examples=[1000000])
    ] = None


class Inverted(Struct, frozen=True, forbid_unknown_fields=True):
    """The inverted index, which filters and full-text search use."""

    bm25_b: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="BM25: how much a text's length counts.", examples=[0.75]),
    ] = None
    bm25_k1: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="BM25: how soon a repeated word counts no more.", examples=[1.2]),
    ] = None
    stopwords: Annotated[
        Literal["en", "none"] | None, Meta(description="Words that a search leaves out.", examples=["en"])
    ] = None
    null_state: Annotated[
        bool | None,
        Meta(
            description="Index which values are absent, for the filter `exists`. Absent: where a field is filtered.",
            examples=[True],
        ),
    ] = None
    property_length: Annotated[bool | None, Meta(description="Index the lengths of values.", examples=[True])] = None
    timestamps: Annotated[bool | None, Meta(description="Index when records were written.", examples=[True])] = None


class Oidc(Struct, frozen=True, forbid_unknown_fields=True):
    """What the client credentials flow of OpenID Connect asks for, besides the secret."""

    scope: Annotated[
        tuple[str, ...],
        Meta(description="Scopes of the token, besides those that the server names.", examples=[["email"]]),
    ] = ()
