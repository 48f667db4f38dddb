"""Whether a plan made before is still for here and now: every reason against it, from what is known and observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vecmig.migration import Project
from vecmig.model.observed import Observed
from vecmig.model.plan import CreateCollection, MigrationPlan, Plan
from vecmig.model.state import State
from vecmig.planning.digests import schema_digest


@dataclass(frozen=True, slots=True)
class Ends:
    """Both sides of one part of a plan as they are now; without counts and samples."""

    source: Observed | None  # None: a target that no migration fills
    target: Observed


def against_spec(plan: Plan, project: Project, only: Sequence[str]) -> list[str]:
    """Return why the plan is not for this spec, environment and choice of migrations."""
    reasons = []
    if (plan.name, plan.environment) != (project.name, project.environment):
        reasons.append(f"it is for {plan.name} in {plan.environment}, this is {project.name} in {project.environment}")
    if plan.spec_digest != project.digest:
        reasons.append("the spec or a variable changed since")
    if tuple(only) != plan.only:
        reasons.append(f"it is for {', '.join(plan.only) or 'all migrations'}")
    return reasons


def against_state(plan: Plan, state: State | None) -> list[str]:
    """Return why a saved plan that is not the one in progress does not fit the state."""
    if state is None:
        return ["its state is gone"] if plan.serial else []
    used = next((each for each in state.plans if each.id == plan.id), None)
    if used:
        begun = f"it was begun on {used.at}, and another took its place"
        return [f"it was applied on {used.at}" if used.result == "done" else begun]
    if state.lineage != plan.lineage:
        return ["it belongs to another state: another one was begun, or the state was replaced"]
    if state.serial != plan.serial:
        return [f"another run changed the state since (serial {plan.serial} -> {state.serial})"]
    return []


def against_world(plan: Plan, ends: Mapping[str, Ends], begun: State | None) -> list[str]:
    """Return what moved on either side. `begun`: the state of a plan in progress; None: of one that is not begun."""
    return [
        f"{planned.name}: {reason}"
        for planned in plan.migrations
        for reason in _moved(planned, plan, ends[planned.name], begun)
    ]


def _moved(planned: MigrationPlan, plan: Plan, ends: Ends, begun: State | None) -> list[str]:
    reasons = []
    places = (ends.source.place if ends.source else "", ends.target.place)
    for label, before, now in zip((planned.source, planned.target), planned.places, places, strict=True):
        if before != now:
            reasons.append(f"{label} is now in {now or 'another place'}, and was in {before or 'another place'}")
    source, target = ends.source, ends.target.collection
    if source and schema_digest(source.collection) != planned.schema_digests[0]:
        reasons.append(f"the schema of {planned.source} changed since")
    if begun and source and not source.keeps_cursors and source.fingerprint != planned.source_fingerprint:
        reasons.append(f"{planned.source} was written since, so what is left to read is not known")
    create = next((each for each in planned.actions if isinstance(each, CreateCollection)), None)
    if schema_digest(target) == planned.schema_digests[1]:
        # as it was planned: fine, unless it was made by then and is gone again
        if create and begun and begun.done > plan.actions.index(create):
            reasons.append(f"{planned.target} was made, and is gone again")
    elif not (begun and create and target and create.collection.agrees_with(target)):
        reasons.append(f"the schema of {planned.target} changed since")
    return reasons
