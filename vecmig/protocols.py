"""The seams of vecmig: everything that a plug-in can be, and nothing else."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from vecmig.model.collection import Collection, Index
from vecmig.model.filter import Filter
from vecmig.model.plan import Bounds, Cost, Fingerprint, LoadRecords, Partition, ReconcileRecords
from vecmig.model.record import Key, Rejected
from vecmig.model.state import Cursor, Progress, State

if TYPE_CHECKING:  # `validate` passes here, and must not pay for Arrow
    import numpy as np
    from numpy.typing import NDArray

    from vecmig.model.batch import RecordBatch

Counts = Mapping[str, int]  # records per namespace; one that holds none is left out, but where the spec names it


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store is good for; the engine reads every field, or it goes."""

    max_batch_bytes: int  # of one upsert: the engine cuts batches to this size
    searchable: bool = True  # `search` with exact=False uses an index whose recall is worth measuring
    rounds_integers: bool = False  # numbers are doubles: an integer over 2**53 that it gives may be another's neighbour
    shows_late: bool = False  # what was written may be missing for a while, in reads and in counts
    switches: bool = False  # `switch` works: one collection can take the place of another without an outage
    keeps_cursors: bool = True  # a cursor still resumes behind the same record after others were written or deleted


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a collection will need. None is unknown."""

    disk_bytes: int | None = None  # records and indexes
    index_memory_bytes: int | None = None  # to build the index at full speed
    load_rows_per_s: float | None = None
    index_rows_per_s: float | None = None
    basis: str = ""  # what the speeds rest on


@dataclass(frozen=True, slots=True)
class Work:
    """What one step of a plan asks of one namespace."""

    step: str  # copy, comparison, load, proof
    namespace: str | None  # None: not known before; these records are in one namespace, or in several
    records: Bounds = Bounds()  # that are there
    passes: Bounds = Bounds()  # how often all of them are read
    fetched: Bounds = Bounds()  # records read by their keys
    written: Bounds = Bounds()  # records; what is deleted is not counted
    parts: int = 1  # in which they are written: each may begin a batch anew
    queries: Bounds = Bounds()  # each by the index
    exact: Bounds = Bounds()  # searches with `exact`, each for many queries


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Queries for the k nearest records, in one namespace."""

    queries: NDArray[np.float32]  # (q, d)
    k: int
    vector: str = ""
    namespace: str = ""
    filter: Filter | None = None
    index: Index | None = None  # for its settings of the query, such as ef_search; None: the store's own
    exact: bool = False  # compare with every record, use no approximate index


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The k records nearest to one query, or fewer; nearest first."""

    keys: Sequence[Key]
    distances: NDArray[
        np.float32
    ]  # ascending: 1 - cosine, minus the dot product, the l2 or l1 norm, or how many components differ


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an index build has come."""

    index: str
    phase: str
    fraction: float | None  # of this phase, 0 to 1; None: not known


class Source(Protocol):
    """A collection's home that can be read. One instance serves one thread or process.

    All but `describe` raise CollectionNotFound where there is no such collection. A client's errors are translated
    into those of vecmig.errors: TransientError where the same call may succeed later.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def describe(self, collection: str) -> Collection | None:
        """Return vectors, indexes, fields and vecmig's mark as they are now, or None."""

    def count(self, collection: str) -> Counts:
        """Return the number of records per namespace."""

    def fingerprint(self, collection: str) -> Fingerprint:
        """Return (value, strength), cheaply: equal values at strength exact mean equal data."""

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        """Split into disjoint parts whose union is the whole; in the order in which one part alone would be read."""

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        """Yield each batch with the cursor that resumes *after* it; `vectors=()` reads none, None all.

        The order is the same each time. A record that cannot be given whole has the reason in column `problem`.
        Closing it early is allowed and frees what it holds.
        """

    def fetch(self, collection: str, keys: Sequence[Key]) -> RecordBatch:
        """Return the records that exist, in the order of `keys`; missing ones are left out."""

    def search(self, collection: str, search: Search) -> list[Hits]:
        """Return one Hits for each row of `search.queries`, in their order.

        Raises UnsupportedError for a filter that the store cannot run.
        """

    def close(self) -> None: ...


class Target(Source, Protocol):
    """A Source that can also be written. Every method is safe to repeat."""

    def create(self, collection: Collection) -> None:
        """Create it, without its indexes; nothing if one exists that agrees. Raises CollectionConflict if one differs."""

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        """Return what cannot be held; the rest is durable. Raises TransientError where a retry may help.

        The keys of a batch differ from each other.
        """

    def delete(self, collection: str, keys: Sequence[Key]) -> None:
        """Delete these records; a missing one is no error."""

    def settle(self, collection: str, expected: Counts, timeout_s: float) -> None:
        """Wait until writes are visible and the index has caught up. Raises TransientError if they are not in time."""

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        """Make the indexes what `collection` declares, which may take long: an index that is right stays, one of

        vecmig's that differs is replaced without a gap. Yields nothing where the store indexes as it goes.
        """

    def mend(self, collection: str) -> Iterator[IndexProgress]:
        """Make whole what a write that was broken off may have left: called before a run goes on where another died.

        Yields nothing where an upsert is done as a whole or not at all, or where repeating it is enough.
        """

    def switch(self, serving: str, build: str, kept: str) -> None:
        """Give the name `serving` to what is `build`, and `kept` to what served, in one step: a search never fails.

        Nothing if that is done: no `build` is left, and `kept` is there. Where nothing serves, `build` takes the name.
        Raises, before anything is changed, UnsupportedError with the way out where the store cannot (see
        `Capabilities.switches`) or something depends on what serves, CollectionConflict where one of both does not carry
        vecmig's mark, TransientError where it was not let in within seconds.
        """

    def hindrance(self, serving: str, build: str) -> str:
        """Return why `switch` would not give `serving` to a `build` that is still to be made, with the way out.

        "" where it would. Changes nothing.
        """

    def drop(self, collection: str) -> None:
        """Remove a collection, if it is there. Raises CollectionConflict if it does not carry vecmig's mark."""


class ConnectorOptions(Protocol):
    """What the spec says of one endpoint: a frozen, picklable msgspec.Struct, and its fragment of the schema.

    Its module must not import the vendor's client, so that `validate` is fast and works without it. The attribute
    `page_rows` (records a page, so that tests can put cursors to work) is no key of the spec. A class attribute
    `published = False` keeps a connector that is for tests only out of schema.json, one `declares_metadata = True` says
    that the store types all metadata, so that what the spec leaves open is inferred from the source, and `incidental` names
    the keys that say neither which records are meant nor how they are read: a change of them compares nothing anew.
    """

    @property
    def collection(self) -> str:
        """The store's word for the collection: a table, an index, a path. Holds no secret."""

    @property
    def label(self) -> str:
        """What a person calls the collection. Holds no secret."""

    @property
    def place(self) -> str:
        """Which database that is, as host, port and name: a plan is bound to it. Holds no secret; "" adds nothing to `label`.

        Raises SpecError where a secret is not set.
        """

    def anchored(self, directory: str) -> ConnectorOptions:
        """Return these options with relative paths made absolute, from `directory`."""

    def beside(self, generation: int) -> ConnectorOptions:
        """Return these options for the collection that is built beside, or was served before: a name made of this one's.

        The same number gives the same name, which the store takes; 1 and up.
        """

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        """Return the collection as the store would hold it: kinds of vector, defaults of the index and settings filled in.

        `actual`: the one that is there, which a store that can never change a default leaves as it is.
        """

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        """Return why the store cannot hold it, each with the ways out; without a connection. `dimensions` 0: not known.

        `actual`: the one that is there; then also what of its indexes and settings can never be changed into that.
        """

    def rewrites(self, declared: Collection, sample: RecordBatch) -> Sequence[str]:
        """Return what of these records the store would hold in another form, each with what that means to applications.

        All of it is undone when they are read. Without a connection; `declared` is complete.
        """

    def rejects(self, declared: Collection, sample: RecordBatch) -> Sequence[Rejected]:
        """Return those of these records that the store cannot hold, each with the reason that `upsert` would give.

        Without a connection; `declared` is complete. A vector without a column is yet to be made, and is not judged.
        """

    def search_settings(self, declared: Collection) -> Sequence[str]:
        """Return what an application has to say before its searches, for them to be those that are proven here.

        Nothing where the store keeps such settings with the collection. Without a connection; `declared` is complete.
        """

    def footprint(self, declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
        """Return what `rows` records with so much metadata each will need, without a connection."""

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        """Return what this work costs, without a connection; nothing where the store does not meter.

        `record_bytes`: mean of a record's id, vectors (4 bytes a component, 8 a sparse one) and metadata as JSON. The
        caller fills in `side`, `store` and `basis`.
        """

    def open(self) -> Source | Target:
        """Connect. Raises ConnectorError."""

    def diagnose(self) -> Iterator[tuple[str, bool, str]]:
        """Yield checks for `doctor`: (what, whether it is well, detail or way out): versions, connectivity, rights."""


TextKind = Literal["passage", "query"]


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """What one request gave."""

    vectors: NDArray[np.float32]  # (n, d), in the order of the texts; not finite where the model makes none of a text
    tokens: int  # that were charged


@dataclass(frozen=True, slots=True)
class EmbedderLimits:
    """What a model takes. None is unknown, or no limit."""

    max_items: int  # texts of one request
    max_request_tokens: int | None = None  # of all texts of one request
    max_text_tokens: int | None = None  # of one text
    requests_per_minute: float | None = None  # over all keys; as measured, once answers told
    tokens_per_minute: float | None = None
    at_once: int = 1  # requests that may be under way


class Embedder(Protocol):
    """A model that makes vectors of texts. One instance serves several threads."""

    @property
    def limits(self) -> EmbedderLimits: ...

    @property
    def identity(self) -> str:
        """All that its vectors depend on but the text: model, revision, dimensions, prefixes. The cache rests on it."""

    @property
    def counts_exactly(self) -> bool:
        """Whether `count_tokens` is the model's own count, not an estimate."""

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        """Embed the texts in one request, within the limits; it waits where the rate asks for that.

        Raises TransientError where the same request may succeed later (LostAnswer where it may have been charged all the
        same), RefusedText where the provider does not take the texts (one of them, or all together, where there are
        several), ConnectorError where nothing helps: a wrong key, an unknown model, a spent quota. No message holds a key
        or a text.
        """

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the tokens of each text, prefixes included."""

    def truncate(self, text: str, tokens: int) -> str:
        """Return the beginning of the text, at most so many tokens with its prefix."""

    def close(self) -> None: ...


class EmbedderOptions(Protocol):
    """What the spec says of one provider: a frozen, picklable msgspec.Struct, and its fragment of the schema.

    Its module must not import the provider's library, so that `validate` is fast and works without it. A class attribute
    `published = False` keeps one that is for tests only out of schema.json.
    """

    @property
    def label(self) -> str:
        """Where it is, for people, such as a host. Holds no secret."""

    def anchored(self, directory: str) -> EmbedderOptions:
        """Return these options with relative paths made absolute, from `directory`."""

    def open(self, model: str, dimensions: int | None) -> Embedder:
        """Load the model, or connect. `model` is its name without the provider's; `dimensions` None: its own.

        Raises ConnectorError, UnsupportedError for dimensions that it does not have.
        """


class Executor(Protocol):
    def run(self, action: LoadRecords | ReconcileRecords, state: State) -> Iterator[Stage | Progress | Looked | Spent]:
        """Go on from the state's checkpoints; yield Progress after each acknowledged batch."""


class StateStore(Protocol):
    """Where the state of one spec in one environment is kept."""

    def load(self) -> State | None:
        """Return the state, or None where there is none yet. Raises StateError if it is damaged or newer."""

    def save(self, state: State) -> State:
        """Replace the stored state, atomically; return it with the serial moved on."""

    def checkpoint(self, state: State) -> State:
        """Save, but leave the serial; may skip some, for checkpoints only save work."""

    def flush(self) -> None:
        """Save the last checkpoint if it was skipped."""

    def lock(self, timeout_s: float) -> AbstractContextManager[None]:
        """Hold the state against every other run; the lock dies with its process. Raises StateLocked."""


class Stage(Struct, frozen=True):
    """A part of a run begins: for those who watch."""

    migration: str
    name: str  # mend, create, load, reconcile, index, verify
    rows: int | None = None  # expected
    done: int = 0  # of them finished by an earlier run


class Looked(Struct, frozen=True):
    """Records were gone through, on either side, and nothing was written: for those who watch."""

    migration: str
    rows: int
    of: int | None = None  # on both sides together, once that is known


class Spent(Struct, frozen=True):
    """What a migration has paid for embeddings, over all its runs: for those who watch."""

    migration: str
    tokens: int
    usd: float | None  # None: the price is not known


Event = Stage | Progress | Looked | IndexProgress | Spent
