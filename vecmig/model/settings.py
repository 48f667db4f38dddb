"""Settings of the spec that stay as they are from the file to the run; each is also its fragment of the schema."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """A number of records, chosen by a hash of their key."""

    sample: Annotated[int, Meta(ge=1, description="How many.", examples=[200])]


class Queries(Struct, frozen=True, forbid_unknown_fields=True):
    """Where queries come from: one of both. `sample: 200` where none is given."""

    sample: Annotated[
        Positive | None, Meta(description="So many records of the source, by their vectors.", examples=[200])
    ] = None
    file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="Your own, a JSON object a line: `text`, which each side's own model embeds, or `vector` (a list, or"
            " lists by the vectors' names), and where wanted `filter`, `namespace` and `relevant`, which is a list of ids, or grades by id.",
            examples=["golden.jsonl"],
        ),
    ] = None


class Search(Struct, frozen=True, forbid_unknown_fields=True):
    """Queries that are run on both sides."""

    queries: Annotated[
        Queries,
        Meta(description="Where the queries come from.", examples=[{"sample": 200}, {"file": "golden.jsonl"}]),
    ] = Queries(sample=200)
    top_k: Annotated[int, Meta(ge=1, le=1000, description="Neighbours per query.", examples=[10])] = 10
    filters: Annotated[
        tuple[dict[str, Any], ...],
        Meta(description="Filters that the queries are also run with.", examples=[[{"tenant": "acme"}]]),
    ] = ()


# measured with queries that say what is relevant to them, and named as their thresholds
LABELLED_MEASURES = ("ndcg", "mrr", "labelled_recall")


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """What a verification must reach; below it, exit code 7."""

    missing: Annotated[int, Meta(ge=0, description="Records that the target may lack.", examples=[0])] = 0
    extra: Annotated[int, Meta(ge=0, description="Records that only the target may have.", examples=[0])] = 0
    mismatched: Annotated[int, Meta(ge=0, description="Records that may differ.", examples=[0])] = 0
    overlap: Annotated[Share, Meta(description="Least average top-k overlap of both sides.", examples=[0.95])] = 0.95
    recall: Annotated[
        Share, Meta(description="Least recall@k of the target's index, against exact search.", examples=[0.95])
    ] = 0.95
    ndcg: Annotated[
        Share, Meta(description="Least nDCG@k of the target; needs queries with `relevant`.", examples=[0.8])
    ] = 0
    mrr: Annotated[
        Share,
        Meta(description="Least mean reciprocal rank of the target; needs queries with `relevant`.", examples=[0.8]),
    ] = 0
    labelled_recall: Annotated[
        Share,
        Meta(
            description="Least share of the relevant ids in the target's top k; needs queries with `relevant`.",
            examples=[0.8],
        ),
    ] = 0


class Verification(Struct, frozen=True, forbid_unknown_fields=True):
    """How the target is proven to be equal to the source."""

    records: Annotated[
        Literal["all", "none"] | Sample,
        Meta(description="Which records are compared: ids, vectors, metadata.", examples=["all", {"sample": 1000}]),
    ] = "all"
    search: Annotated[Search | None, Meta(description="Search compared on both sides; null leaves it out.")] = Search()
    thresholds: Annotated[Thresholds, Meta(description="What must be reached.")] = Thresholds()


class Execution(Struct, frozen=True, forbid_unknown_fields=True):
    """How the work is done."""

    workers: Annotated[int, Meta(ge=1, le=64, description="Partitions moved at once.", examples=[4])] = 4
    engine: Annotated[Literal["local"], Meta(description="Where workers run.")] = "local"


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Guards: what a run may not exceed."""

    max_usd: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Most that a plan may cost by its upper estimate; more stops apply (6).", examples=[50]),
    ] = None
    max_cache_gb: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="Most that the cache of embeddings may hold; what an unfinished migration paid for stays.",
            examples=[20],
        ),
    ] = None
    max_quarantined: Annotated[
        int, Meta(ge=0, description="Bad records put aside before the run stops (6).", examples=[100])
    ] = 100
    read_records_per_s: Annotated[
        Positive | None, Meta(description="Throttle on the source, over all workers.", examples=[2000])
    ] = None
    write_records_per_s: Annotated[
        Positive | None, Meta(description="Throttle on the target, over all workers.", examples=[2000])
    ] = None
