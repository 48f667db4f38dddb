"""What an apply did, counted from its plan and the checkpoints in its state."""

from collections.abc import Sequence

from msgspec import Struct

from vecmig.model.plan import BuildIndex, CreateCollection, Plan
from vecmig.model.report import Report, Verdict
from vecmig.model.state import State

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
    seconds: float  # of this run
    resumed: bool = False
    quarantine_files: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()
    format_version: int = OUTCOME_FORMAT


def outcome_of(
    plan: Plan,
    state: State,
    *,
    seconds: float,
    resumed: bool = False,
    quarantine_files: Sequence[str] = (),
    reports: Sequence[Report] = (),
) -> Outcome:
    """Return what was done. `state`: after the last action, before `finished`, for that forgets the checkpoints."""
    done = plan.actions[: state.done]
    return Outcome(
        name=plan.name,
        environment=plan.environment,
        serial=state.serial,
        created=sum(isinstance(action, CreateCollection) for action in done),
        read=sum(each.read for each in state.checkpoints),
        written=sum(each.rows for each in state.checkpoints),
        deleted=sum(each.deleted for each in state.checkpoints),
        quarantined=sum(len(each.rejected) for each in state.checkpoints),
        indexed=sum(isinstance(action, BuildIndex) for action in done),
        seconds=seconds,
        resumed=resumed,
        quarantine_files=tuple(quarantine_files),
        reports=tuple(reports),
    )


def verdict_of(reports: Sequence[Report]) -> Verdict:
    """Return the worst: failed, then unknown, then passed; unknown where there is none."""
    found = {report.verdict for report in reports}
    if "failed" in found:
        return "failed"
    return "passed" if found == {"passed"} else "unknown"
