"""What has been done: frozen values, moved on by making new ones."""

from typing import Literal, NewType

from msgspec import Struct
from msgspec.structs import replace

from vecmig.model.plan import Decision, Fingerprint, Partition, Plan
from vecmig.model.record import Digest, Rejected
from vecmig.model.report import Report

STATE_FORMAT = 1
KEPT_EVENTS = 100
Cursor = NewType("Cursor", str)  # where to resume a read; opaque to all but the connector that made it


class Progress(Struct, frozen=True):
    """One batch, after the target acknowledged it; rows and digest are those that it took."""

    migration: str
    partition: Partition
    cursor: Cursor  # resumes after this batch
    read: int  # records that the source gave for it
    rows: int  # of them written
    digest: Digest = Digest()
    rejected: tuple[Rejected, ...] = ()
    deleted: int = 0
    bytes: int = 0
    anew: bool = False  # the partition is gone through from its beginning: what its checkpoint says is void


class Checkpoint(Struct, frozen=True):
    """How far one partition has come: the sum of its Progress."""

    migration: str
    partition: Partition
    cursor: Cursor | None = None
    read: int = 0
    rows: int = 0
    digest: Digest = Digest()
    rejected: tuple[Rejected, ...] = ()
    deleted: int = 0


class Applied(Struct, frozen=True):
    """What the last finished apply of a migration left behind: `No changes.` rests on it."""

    plan: str
    at: str
    source_fingerprint: Fingerprint
    target_fingerprint: Fingerprint
    conversion_digest: str
    rows: int  # that the target held then
    generation: int = 1  # of the target's collection
    decisions: tuple[
        Decision, ...
    ] = ()  # how its vectors came about: verification, and a plan without a probe, rest on it
    rejected: tuple[Rejected, ...] = ()  # kept: verification does not expect them
    namespaces: tuple[str, ...] = ()  # all that the migration has written to: what it holds there is its business
    endpoints_digest: str = ""  # of both sides' options: others mean other records
    rows_per_s: float | None = None  # measured: the next plan's estimate
    report: Report | None = None  # of the last verification


class Resource(Struct, frozen=True):
    """A collection that vecmig made or adopted."""

    target: str  # the spec's name for it
    label: str
    collection: str
    mark: str | None
    created_at: str


class Lineup(Struct, frozen=True):
    """The collections of one target, by generation: what serves, what is built beside, what served before."""

    serving: int = 1
    build: int | None = None  # complete or not; `cutover` lets it serve
    kept: int | None = None  # what served before: `rollback` lets it serve again
    latest: int = 1  # no number is used twice
    renames: bool = True  # what serves has the spec's name; False: each has its own, and the first has the spec's
    switched_at: str = ""
    at_switch: Fingerprint | None = None  # of what serves, then: what was written since shows against it
    others: tuple[int, ...] = ()  # superseded builds, which `drop` may remove

    @property
    def superseded(self) -> tuple[int, ...]:
        """What neither serves nor is being built."""
        kept = () if self.kept is None else (self.kept,)
        return tuple(sorted({*kept, *self.others} - {self.serving, self.build or self.serving}))

    def switched(self, generation: int) -> "Lineup":
        """Return the line-up where this one serves; what else was kept or built is superseded from then on."""
        left = [each for each in (self.kept, self.build) if each is not None and each != generation]
        others = tuple(each for each in (*self.others, *left) if each != generation)
        return replace(self, serving=generation, others=others)

    def building(self, generation: int) -> "Lineup":
        """Return the line-up with this build; another that was not switched to is superseded."""
        if generation in (self.build, self.serving):
            return self
        others = self.others if self.build is None else (*self.others, self.build)
        left = tuple(each for each in others if each != generation)
        kept = None if self.kept == generation else self.kept
        return replace(self, build=generation, latest=max(self.latest, generation), others=left, kept=kept)

    def giving_up(self) -> "Lineup":
        """Return the line-up where nothing is built beside: what was is superseded."""
        others = self.others if self.build is None else (*self.others, self.build)
        return replace(self, build=None, others=others)


class UsedPlan(Struct, frozen=True):
    id: str
    at: str
    result: Literal["started", "done"] = "started"


class Event(Struct, frozen=True):
    at: str
    serial: int
    what: str


class State(Struct, frozen=True):
    """`done` and `checkpoints` belong to one plan: what another plan did, only the target itself can tell."""

    name: str
    environment: str
    lineage: str
    serial: int = 0
    plan: Plan | None = None  # the unfinished one, whole, so that it can go on without its file
    done: int = 0  # its actions that are finished: they run in order
    checkpoints: tuple[Checkpoint, ...] = ()
    plans: tuple[UsedPlan, ...] = ()
    resources: tuple[Resource, ...] = ()
    applied: dict[str, Applied] = {}
    lineups: dict[str, Lineup] = {}  # by target; absent: one collection, which serves
    history: tuple[Event, ...] = ()
    vecmig_version: str = ""
    format_version: int = STATE_FORMAT

    def begun(self, plan: Plan, at: str) -> "State":
        """Return this state if it names this very plan, so that it resumes; else one with nothing done."""
        if self.plan is not None and self.plan.id == plan.id:
            return self
        used = (*self.plans, UsedPlan(plan.id, at))
        return replace(self, plan=plan, done=0, checkpoints=(), plans=used)

    def finished(self, at: str) -> "State":
        """Return the state with its plan done; what it left behind is in `applied`."""
        plans = tuple(
            replace(used, result="done") if self.plan and used.id == self.plan.id else used for used in self.plans
        )
        return replace(self, plan=None, done=0, checkpoints=(), plans=plans)

    def with_done(self) -> "State":
        return replace(self, done=self.done + 1)

    def with_event(self, what: str, at: str) -> "State":
        return replace(self, history=(*self.history, Event(at, self.serial, what))[-KEPT_EVENTS:])

    def with_applied(self, migration: str, applied: Applied) -> "State":
        return replace(self, applied=self.applied | {migration: applied})

    def with_resource(self, resource: Resource) -> "State":
        others = tuple(each for each in self.resources if each.target != resource.target)
        known = next(
            (each for each in self.resources if each == replace(resource, created_at=each.created_at)), resource
        )
        return replace(self, resources=(*others, known))

    def lineup(self, target: str) -> Lineup:
        return self.lineups.get(target, Lineup())

    def with_lineup(self, target: str, lineup: Lineup) -> "State":
        return replace(self, lineups=self.lineups | {target: lineup})

    def checkpoints_of(self, migration: str) -> tuple[Checkpoint, ...]:
        return tuple(each for each in self.checkpoints if each.migration == migration)

    def checkpoint_of(self, migration: str, partition: Partition) -> Checkpoint:
        """Return how far this partition has come: an empty checkpoint if it has not begun."""
        found = (each for each in self.checkpoints_of(migration) if each.partition == partition)
        return next(found, Checkpoint(migration, partition))

    def with_progress(self, progress: Progress) -> "State":
        known = self.checkpoint_of(progress.migration, progress.partition)
        old = Checkpoint(progress.migration, progress.partition) if progress.anew else known
        new = replace(
            old,
            cursor=progress.cursor,
            read=old.read + progress.read,
            rows=old.rows + progress.rows,
            digest=old.digest + progress.digest,
            rejected=old.rejected + progress.rejected,
            deleted=old.deleted + progress.deleted,
        )
        return replace(self, checkpoints=(*(each for each in self.checkpoints if each is not known), new))
