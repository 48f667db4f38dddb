"""Both sides as they are now: no intent yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection
from vecmig.model.plan import Decision, Fingerprint, Partition, TooLong


@dataclass(frozen=True, slots=True)
class Probe:
    """Stored vectors, held against those that a model makes of the same records' texts; or the model alone, tried."""

    texts: int
    median: float | None  # cosine; None: no vectors are stored
    least: float | None
    tokens: int  # that it was charged for
    usd: float | None  # None: the price is not known
    few: bool = False  # too few texts to show that two models are one


@dataclass(frozen=True, slots=True)
class Texts:
    """What a sample shows of the texts to embed with one model, and what the model takes. None is unknown."""

    sampled: int
    missing: int  # of them without a text
    cached: int  # of them embedded before
    tokens: tuple[int, ...]  # of each text that is there and was not embedded before
    exact: bool  # counted by the model's own tokenizer
    usd_per_million_tokens: float | None
    prices: str  # where the price is from
    service: str  # who charges
    max_items: int
    over: int = 0  # of the sampled ones: longer than the model takes
    too_long: TooLong = "truncate"  # what then becomes of it
    max_text_tokens: int | None = None
    max_request_tokens: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    texts_per_s: float | None = None  # as measured


@dataclass(frozen=True, slots=True)
class Observed:
    """One side. `collection` is None where there is none, and then all else is empty."""

    collection: Collection | None
    counts: Mapping[str, int]  # records per namespace
    fingerprint: Fingerprint | None = None
    sample: RecordBatch | None = None  # of the source: a few hundred to a few thousand records from several places
    partitions: tuple[Partition, ...] = ()  # of the source
    place: str = ""  # which database that is
    keeps_cursors: bool = True  # see Capabilities
    rounds_integers: bool = False  # likewise
    switches: bool = True  # likewise; of the target
    decisions: Mapping[str, Decision] = field(default_factory=dict)  # by vector of the target, with evidence
    texts: Mapping[str, Texts] = field(default_factory=dict)  # of those that are to be embedded
    risks: Sequence[str] = ()  # that were seen where the evidence was looked for

    @property
    def rows(self) -> int:
        return sum(self.counts.values())
