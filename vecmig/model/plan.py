"""A plan is data: what is shown is what runs."""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from vecmig.model.collection import Collection, FieldType, VectorKind
from vecmig.model.filter import Filter

PLAN_FORMAT = 1


class Partition(Struct, frozen=True):
    """A disjoint part of a collection; plain data: it pickles and is stored in the plan."""

    collection: str
    token: str  # an id range, a namespace, a file: the connector's own words


class Fingerprint(Struct, frozen=True):
    """Equal values at strength `exact` mean equal data; weaker ones can miss a change."""

    value: str
    strength: Literal["exact", "counters", "counts"]


TooLong = Literal["truncate", "split_and_average", "quarantine"]


class FieldRule(Struct, frozen=True):
    """What becomes of one field of the metadata: taken from `source`, made `type`, or dropped."""

    name: str
    source: str
    type: FieldType | None = None
    drop: bool = False


class VectorRule(Struct, frozen=True):
    """Which vector of the source becomes which of the target."""

    name: str
    source: str
    kind: VectorKind = "float32"
    dimensions: int | None = None  # it is cut to these and normalised again; None: it stays whole


class EmbedRule(Struct, frozen=True):
    """Which vector of the target is made anew, of what text, by which model."""

    name: str
    model: str  # provider/model
    dimensions: int
    text: str  # template over the metadata of the source
    before: str | None = None  # the source's vector that it replaces; None: there is none
    keep_text: str | None = None
    too_long: TooLong = "truncate"
    kind: VectorKind = "float32"


class Decision(Struct, frozen=True):
    """How one vector of the target comes about, and on what evidence."""

    vector: str
    how: Literal["copy", "truncate", "reembed"]
    dimensions: int
    model: str | None = None  # of the target; None: nobody says
    before: str = ""  # what the source's vectors are: model and dimensions, for people
    why: str = ""
    evidence: str = ""  # what the probe found, or why there was none
    unchecked: str = ""  # what was taken for granted
    refused: str = ""  # why this cannot be done, with the ways out
    stopped: str = ""  # why the evidence speaks against it, with the ways out


class Conversion(Struct, frozen=True):
    """How a record of the source becomes one of the target. Empty: it stays as it is."""

    fields: tuple[FieldRule, ...] = ()
    vectors: tuple[VectorRule, ...] = ()  # () keeps all, by name; where some are embedded, these are all that are kept
    embed: tuple[EmbedRule, ...] = ()
    where: Filter | None = None
    limit: int | None = None  # the first records that pass `where`, in the order of reading: one partition
    namespace_from: str | None = None

    @property
    def vectors_read(self) -> tuple[str, ...] | None:
        """The source's vectors that are needed; None: all."""
        if not self.vectors:
            return () if self.embed else None
        return tuple(rule.source for rule in self.vectors)


class CreateCollection(Struct, frozen=True, tag=True):
    migration: str
    collection: Collection


class LoadRecords(Struct, frozen=True, tag=True):
    """Fill a collection that this plan creates."""

    migration: str
    source: str  # names of collections
    target: str
    partitions: tuple[Partition, ...]  # fixed here: a resume cannot split them anew
    conversion: Conversion
    rows: int | None = None  # expected; None where a filter makes that unknown


class ReconcileRecords(Struct, frozen=True, tag=True):
    """Make a collection that holds records equal to the source."""

    migration: str
    source: str
    target: str
    conversion: Conversion
    prune: bool  # delete what only the target has
    rows: int | None = None


class BuildIndex(Struct, frozen=True, tag=True):
    """Make the target's indexes what the collection declares; an index of vecmig's that differs is replaced."""

    migration: str
    collection: Collection


Action = CreateCollection | LoadRecords | ReconcileRecords | BuildIndex


class Fidelity(Struct, frozen=True):
    """What happens to one field of the metadata, as a sample shows."""

    field: str
    source: str  # types seen, such as "int" or "int | text"
    target: str
    lossless: bool
    note: str = ""


class Bounds(Struct, frozen=True):
    """A number that lies between two."""

    low: float = 0
    high: float = 0

    def __add__(self, other: "Bounds") -> "Bounds":
        return Bounds(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Bounds") -> "Bounds":
        """Return the product; neither number is below zero."""
        return Bounds(self.low * other.low, self.high * other.high)


def exactly(number: float) -> Bounds:
    return Bounds(number, number)


class Cost(Struct, frozen=True):
    """What a store that meters its use charges for one kind of it."""

    service: str  # who charges, such as "Pinecone"
    what: str  # such as "reads"
    unit: str  # such as "RU"
    units: Bounds
    usd: Bounds | None = None  # None: the price is not known
    prices: str = ""  # of which plan and date, from where
    namespaces: dict[str, Bounds] = {}  # the units of each; those whose namespace is not known before are in no share
    steps: tuple[str, ...] = ()  # that cause it: copy, comparison, load, proof
    monthly: bool = False  # charged for each month from then on; no part of what the plan costs
    side: Literal["source", "target"] | None = None
    store: str = ""  # label of that side
    basis: str = ""  # what the units rest on


class Estimate(Struct, frozen=True):
    """None is unknown, never a guess. Seconds and bytes."""

    rows: int | None = None
    disk_bytes: int | None = None
    index_memory_bytes: int | None = None
    load_s: float | None = None
    index_s: float | None = None
    verify_s: float | None = None
    basis: str = ""  # what the times rest on
    costs: tuple[Cost, ...] = ()
    embed_s: float | None = None


class DataDiff(Struct, frozen=True):
    """What `plan --data` counted, record by record."""

    matching: int
    mismatched: int
    missing: int
    extra: int


class MigrationPlan(Struct, frozen=True):
    """One migration: what is done, and all that a reviewer needs to judge it.

    Or a target that no migration fills, which has no source and no records to move.
    """

    name: str
    source: str | None  # labels, safe to show
    target: str
    actions: tuple[Action, ...]
    source_fingerprint: Fingerprint | None
    schema_digests: tuple[str, str]  # of source and target as observed
    source_counts: dict[str, int]  # records per namespace
    target_counts: dict[str, int]
    generation: int = 1  # of the target's collection
    beside: str = ""  # label of what serves meanwhile, where this is built beside it; "" where it serves itself
    places: tuple[str, str] = ("", "")  # which databases source and target are in
    endpoints_digest: str = ""  # of both sides' options
    verify: bool = False  # nothing to do, but the last verification did not pass
    why: str = ""  # why these actions, or what "no changes" rests on
    changes: tuple[str, ...] = ()  # of an existing target, such as "index m 16 -> 32"
    details: tuple[tuple[str, str], ...] = ()  # label and text: columns, index, vectors
    decisions: tuple[Decision, ...] = ()  # of vectors that the spec says something of
    fidelity: tuple[Fidelity, ...] = ()
    sampled: int = 0  # records that fidelity and risks rest on
    risks: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    estimate: Estimate = Estimate()
    data: DataDiff | None = None


class Plan(Struct, frozen=True):
    name: str  # of the spec
    environment: str
    spec_file: str
    spec_digest: str
    variables: dict[str, str]  # those given on the command line, so that apply resolves the spec alike
    only: tuple[str, ...]  # migrations chosen; () is all
    lineage: str
    serial: int
    migrations: tuple[MigrationPlan, ...]
    created_at: str
    vecmig_version: str
    format_version: int = PLAN_FORMAT
    max_usd: float | None = None  # `limits.max_usd`

    @property
    def costs(self) -> tuple[Cost, ...]:
        return tuple(cost for migration in self.migrations for cost in migration.estimate.costs)

    @property
    def usd(self) -> Bounds:
        """What the plan costs, without what has no known price, and without what each month costs."""
        return sum((cost.usd for cost in self.costs if cost.usd and not cost.monthly), Bounds())

    @property
    def over_budget(self) -> bool:
        """True if it may cost more than the spec allows."""
        return self.max_usd is not None and self.usd.high > self.max_usd

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions, in the order in which they run."""
        return tuple(action for migration in self.migrations for action in migration.actions)

    @property
    def empty(self) -> bool:
        """True if there is nothing to do, not even a verification."""
        return not self.actions and not any(migration.verify for migration in self.migrations)

    @property
    def id(self) -> str:
        """A digest of all that the plan says."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()
