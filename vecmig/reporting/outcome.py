"""What an apply did, counted from the state it began with and the events of its run."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from vecmig.model.plan import BuildIndex, CreateCollection, Plan, ReconcileRecords
from vecmig.model.report import Report, Verdict
from vecmig.model.state import Progress, State
from vecmig.protocols import Spent, Stage

OUTCOME_FORMAT = 1


class Outcome(Struct, frozen=True):
    """Counts of the whole plan, of an earlier run that this one went on with, too."""

    name: str  # of the spec
    environment: str
    serial: int
    created: int
    read: int
    written: int
    deleted: int
    quarantined: int
    indexed: int
    seconds: float = 0.0  # of this run
    tokens: int = 0  # embedded, over all runs of its migrations
    usd: float | None = 0.0  # paid for that; None: a price is not known
    resumed: bool = False
    quarantine_files: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()
    spent: dict[str, Spent] = {}  # by migration
    format_version: int = OUTCOME_FORMAT

    def after(self, event: object) -> "Outcome":
        """Return the outcome with one more event counted; what counts nothing changes nothing."""
        match event:
            case Stage(name="create"):
                return replace(self, created=self.created + 1)
            case Stage(name="index"):
                return replace(self, indexed=self.indexed + 1)
            case Progress():
                return replace(
                    self,
                    read=self.read + event.read,
                    written=self.written + event.rows,
                    deleted=self.deleted + event.deleted,
                    quarantined=self.quarantined + len(event.rejected),
                )
            case Spent():
                spent = {**self.spent, event.migration: event}
                usd = [each.usd for each in spent.values()]
                return replace(
                    self,
                    spent=spent,
                    tokens=sum(each.tokens for each in spent.values()),
                    usd=None if None in usd else sum(each for each in usd if each is not None),
                )
            case Report():
                return replace(self, reports=(*self.reports, event))
            case _:
                return self


def outcome_of(plan: Plan, state: State, resumed: bool = False) -> Outcome:
    """Return what earlier runs of this plan did. `state`: as it is before the run, whose events are counted by `after`."""
    same = state.plan is not None and state.plan.id == plan.id
    done = plan.actions[: state.done] if same else ()
    checkpoints = state.checkpoints if same else ()
    # a comparison that was broken off reads, and finds what is bad, from the beginning
    again = {each.migration for each in plan.actions[len(done) :] if isinstance(each, ReconcileRecords)}
    kept = [each for each in checkpoints if each.migration not in again]
    return Outcome(
        name=plan.name,
        environment=plan.environment,
        serial=state.serial,
        created=sum(isinstance(action, CreateCollection) for action in done),
        read=sum(each.read for each in kept),
        written=sum(each.rows for each in checkpoints),
        deleted=sum(each.deleted for each in checkpoints),
        quarantined=sum(len(each.rejected) for each in kept),
        indexed=sum(isinstance(action, BuildIndex) for action in done),
        resumed=resumed,
    )


def verdict_of(reports: Sequence[Report]) -> Verdict:
    """Return the worst: failed, then unknown, then passed; unknown where there is none."""
    found = {report.verdict for report in reports}
    if "failed" in found:
        return "failed"
    return "passed" if found == {"passed"} else "unknown"
