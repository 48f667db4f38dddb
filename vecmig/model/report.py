"""What a verification found. Nothing unknown counts as passed."""

from typing import Literal

from msgspec import Struct

from vecmig.model.record import Key

REPORT_FORMAT = 1
Verdict = Literal["passed", "failed", "unknown"]


class Interval(Struct, frozen=True):
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


class CountCheck(Struct, frozen=True):
    """Records per namespace: expected (the source after conversion, less the quarantined) against actual."""

    expected: dict[str, int]
    actual: dict[str, int]


class RecordsCheck(Struct, frozen=True):
    """Every id, vector and metadata value (or those of a sample), compared."""

    compared: int
    matching: int
    mismatched: int = 0
    missing: int = 0
    extra: int = 0  # in the namespaces that the migration writes
    duplicates: int = 0  # keys that the source gives more than once
    unknown: int = 0
    sample: int | None = None  # None: all records were compared
    digests: tuple[str, str] | None = None  # of both sides, where all were compared
    mismatched_keys: tuple[Key, ...] = ()  # the first few of each
    missing_keys: tuple[Key, ...] = ()
    extra_keys: tuple[Key, ...] = ()
    duplicate_keys: tuple[Key, ...] = ()


class SearchCheck(Struct, frozen=True):
    """Queries run on both sides: with one vector, in one namespace, under one filter."""

    vector: str
    namespace: str
    filter: str  # as text; "" is none
    queries: int
    top_k: int
    overlap: Interval | None = None  # of the k ids that source and target return; None: not measured, see note
    perfect: int | None = None  # queries for which both return the same ids
    recall: Interval | None = None  # of the target's index against exact search in the target
    overlaps: tuple[float, ...] = ()  # a query each, for plots
    recalls: tuple[float, ...] = ()
    note: str = ""
    reembedded: bool = False  # each side was asked with vectors of its own model, and the overlap gates nothing


class Quality(Struct, frozen=True):
    """How well one side ranks what is relevant to the labelled queries."""

    ndcg: Interval  # at k
    mrr: Interval  # mean reciprocal rank, within k
    recall: Interval  # share of the relevant ids that are among the k
    ndcgs: tuple[float, ...] = ()  # a query each, for plots
    reciprocal_ranks: tuple[float, ...] = ()
    recalls: tuple[float, ...] = ()


class LabelledCheck(Struct, frozen=True):
    """The user's own queries whose relevant ids are known, run with one vector."""

    vector: str
    queries: int
    top_k: int
    source: Quality | None = None  # None: not known, see note
    target: Quality | None = None
    note: str = ""


class Breach(Struct, frozen=True):
    """A threshold that was not met."""

    measure: str
    limit: float
    actual: float | None  # None: could not be measured
    hint: str = ""


class Report(Struct, frozen=True):
    name: str  # of the spec
    environment: str
    migration: str
    source: str
    target: str
    verdict: Verdict
    started_at: str
    seconds: float
    quarantined: int = 0
    count: CountCheck | None = None
    records: RecordsCheck | None = None
    search: tuple[SearchCheck, ...] = ()
    labelled: tuple[LabelledCheck, ...] = ()
    breaches: tuple[Breach, ...] = ()
    notes: tuple[str, ...] = ()
    format_version: int = REPORT_FORMAT
