"""What was done, as text: the end of an apply, the status of an environment, its whole state, the list of states."""

from collections.abc import Sequence

from vecmig.model.plan import Bounds, LoadRecords, ReconcileRecords
from vecmig.model.state import Applied, Lineup, State
from vecmig.reporting.escape import visible
from vecmig.reporting.outcome import Outcome, verdict_of
from vecmig.reporting.quantities import duration, number, quantity, rate, usd
from vecmig.reporting.states import ListedState, standing
from vecmig.reporting.summary import total
from vecmig.reporting.terminal.ink import Colour, document, headline, ink, labelled, wrapped

MOST_EVENTS = 10
_SHADES: dict[str, Colour] = {"passed": "green", "failed": "red", "unknown": "yellow"}


def outcome_text(outcome: Outcome, next_command: str = "", colour: bool = False, width: int = 100) -> str:
    """Return what an apply did; `next_command` is what to type now."""
    parts = [f"{quantity(outcome.written, 'record')} written"]
    if outcome.created:
        parts.insert(0, f"{number(outcome.created)} created")
    if outcome.deleted:
        parts.append(f"{number(outcome.deleted)} deleted")
    parts.append(f"{number(outcome.quarantined)} quarantined")
    left, right = headline(
        "Applied: " + ", ".join(parts),
        f"{outcome.name} · {outcome.environment} · serial {number(outcome.serial)}",
        width,
    )
    lines = [ink(left, "bold", colour) + ink(right, "dim", colour), ""]
    if outcome.resumed:
        lines += labelled("Resumed", "an earlier run of this plan; what it had done is counted", width)
    lines += labelled("Took", duration(outcome.seconds), width)
    if outcome.tokens:
        price = "price unknown" if outcome.usd is None else usd(Bounds(outcome.usd, outcome.usd))
        lines += labelled("Embedded", f"{quantity(outcome.tokens, 'token')}, {price}, over all runs", width)
    if outcome.quarantined:
        where = ", ".join(outcome.quarantine_files)
        lines += labelled(
            "Put aside", quantity(outcome.quarantined, "record") + (f" in {where}" if where else ""), width
        )
    if outcome.reports:
        said = verdict_of(outcome.reports)
        lines.append(f"Verified    {ink({'unknown': 'could not decide'}.get(said, said), _SHADES[said], colour)}")
    if next_command:
        lines.append(f"Next        {ink(visible(next_command), 'bold', colour)}")
    return document(lines)


def status_text(
    name: str, environment: str, state: State | None, holder: str = "", colour: bool = False, width: int = 100
) -> str:
    """Return where an environment stands. `holder`: who works on it now, or ""."""
    serial = f" · serial {number(state.serial)}" if state else ""
    left, right = headline(standing(state, bool(holder)), f"{name} · {environment}{serial}", width)
    lines = [ink(left, "bold", colour) + ink(right, "dim", colour)]
    if holder:
        lines += ["", *labelled("Running", holder, width)]
    if state is None:
        return document(lines)
    if state.plan is not None:
        lines += ["", *_unfinished(state, width)]
    for target, lineup in sorted(state.lineups.items()):
        lines += labelled("Line-up", _lineup(target, lineup), width)
    if state.applied:
        lines.append("")
    for migration, applied in sorted(state.applied.items()):
        lines += _applied(migration, applied, colour, width)
    return document(lines)


def state_text(state: State, path: str, colour: bool = False, width: int = 100) -> str:
    """Return all that a state holds but for its checkpoints, which are summed up."""
    lines = status_text(state.name, state.environment, state, "", colour, width).splitlines()
    lines += ["", *labelled("File", path, width), *labelled("Lineage", state.lineage, width)]
    lines += labelled("Written by", f"vecmig {state.vecmig_version or 'unknown'}", width)
    for resource in state.resources:
        owned = f"mark {resource.mark}" if resource.mark else "adopted"
        lines += labelled(
            "Resource", f"{resource.target}: {resource.label}, {owned}, since {resource.created_at}", width
        )
    for used in state.plans[-MOST_EVENTS:]:
        lines += labelled("Plan", f"{used.id[:12]}  {used.result} {used.at}", width)
    for event in state.history[-MOST_EVENTS:]:
        lines += labelled("History", f"{event.at}  serial {number(event.serial)}  {event.what}", width)
    return document(lines)


def states_text(found: Sequence[ListedState], width: int = 100) -> str:
    """Return a line for each state, and what is wrong with those that cannot be read."""
    if not found:
        return "No states here: nothing has been applied yet.\n"
    lines = []
    for each in found:
        name = visible(f"{each.name} · {each.environment}")
        if each.state is None:
            lines += wrapped(each.problem, width, f"{name:<32}  ! ", "    ")
        else:
            lines.append(
                f"{name:<32}  {visible(f'serial {number(each.state.serial)} · {standing(each.state, False)}')}"
            )
    return document(lines)


def unfinished_text(state: State, width: int = 100) -> str:
    """Return how far the plan in progress has come."""
    return document(_unfinished(state, width))


def _lineup(target: str, lineup: Lineup) -> str:
    """Return which of a target's collections serves, and what may be done with the others."""
    parts = [f"{target}: generation {number(lineup.serving)} serves"]
    if lineup.build is not None:
        parts.append(f"{number(lineup.build)} is built beside (`vecmig cutover`)")
    if lineup.kept is not None:
        parts.append(f"{number(lineup.kept)} served before (`vecmig rollback`, `vecmig drop`)")
    if left := [number(each) for each in lineup.superseded if each != lineup.kept]:
        parts.append(f"{', '.join(left)} superseded (`vecmig drop`)")
    return ", ".join(parts)


def _unfinished(state: State, width: int) -> list[str]:
    assert state.plan is not None
    actions = state.plan.actions
    expected = total(a.rows for a in actions if isinstance(a, LoadRecords | ReconcileRecords))
    rows = sum(each.rows for each in state.checkpoints)
    of = f" of {number(expected)}" if expected is not None else ""
    text = (
        f"plan {state.plan.id[:12]} of {state.plan.created_at}: {number(state.done)} of "
        f"{quantity(len(actions), 'action')} done, {number(rows)}{of} records written; `vecmig apply` goes on with it"
    )
    return labelled("Unfinished", text, width)


def _applied(migration: str, applied: Applied, colour: bool, width: int) -> list[str]:
    said = applied.report.verdict if applied.report else "unknown"
    verified = {"passed": "verified", "failed": "verification FAILED"}.get(said, "not shown to be right")
    text = f"{quantity(applied.rows, 'record')}, applied {applied.at}"
    if applied.rejected:
        text += f", {number(len(applied.rejected))} quarantined"
    if applied.rows_per_s:
        text += f", {rate(applied.rows_per_s)}"
    lines = wrapped(text, width - 24, "", "")
    head = f"{visible(migration):<20}  {ink(f'{verified:<21}', _SHADES[said], colour)} "
    return [head + lines[0], *(" " * 44 + line for line in lines[1:])]
