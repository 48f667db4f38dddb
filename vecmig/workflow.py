"""The composition root: observe, plan, apply, verify. Each is a function over a project and its state."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Event as Flag
from uuid import uuid4

from msgspec.structs import replace

from vecmig.errors import CollectionNotFound, GuardError, SpecError, StalePlanError
from vecmig.execution.apply import apply as run_actions
from vecmig.execution.local import LocalExecutor
from vecmig.migration import Endpoint, Migration, Project
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection
from vecmig.model.observed import Observed
from vecmig.model.plan import CreateCollection, Plan
from vecmig.model.report import Report
from vecmig.model.state import State
from vecmig.planning.plan import plan_migration, schema_digest
from vecmig.protocols import Event, Source, StateStore

SAMPLE_ROWS, SAMPLE_PLACES = 2000, 8
PARTITIONS_PER_WORKER = 4  # so that workers end at about the same time


@dataclass(frozen=True, slots=True)
class Run:
    """A plan about to run: new, saved, or one that an earlier run left unfinished."""

    plan: Plan
    state: State
    resumed: bool


def now() -> str:
    """Return the time as ISO text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def mark_of(project: Project, lineage: str) -> str:
    """Return the mark that this state's collections carry."""
    return f"vecmig:{project.name}/{project.environment}:{lineage}"


def chosen(project: Project, only: Sequence[str]) -> list[Migration]:
    """Return the migrations to work on. Raises SpecError for a name that is none."""
    known = {migration.name: migration for migration in project.migrations}
    for name in only:
        if name not in known:
            raise SpecError.of(f"--only names no migration: {name!r}; there are {', '.join(known) or 'none'}")
    return [known[name] for name in only] if only else list(project.migrations)


def make_plan(project: Project, state: State | None, only: Sequence[str] = ()) -> Plan:
    """Observe both sides and plan. Writes nothing."""
    lineage = state.lineage if state else str(uuid4())
    applied = state.applied if state else {}
    mark = mark_of(project, lineage)
    return Plan(
        name=project.name,
        environment=project.environment,
        spec_file=project.file,
        spec_digest=project.digest,
        variables=dict(project.variables),
        only=tuple(only),
        lineage=lineage,
        serial=state.serial if state else 0,
        migrations=tuple(
            plan_migration(
                migration,
                observe_source(migration, project.execution.workers),
                observe_target(migration.target),
                applied.get(migration.name),
                mark,
            )
            for migration in chosen(project, only)
        ),
        created_at=now(),
        vecmig_version=version("vecmig"),
    )


def observe_source(migration: Migration, workers: int) -> Observed:
    """Return the source as it is now. Raises CollectionNotFound if it is not there."""
    name = migration.source.options.collection
    with closing(migration.source.open_source()) as source:
        collection = source.describe(name)
        if collection is None:
            raise CollectionNotFound(f"{migration.name}: the source {migration.source.label} is not there")
        parts = 1 if migration.limit is not None else workers * PARTITIONS_PER_WORKER
        return Observed(
            collection,
            source.count(name),
            source.fingerprint(name),  # before the partitions: what is written after it is a change
            _sample(source, name),
            tuple(source.partitions(name, parts)),
        )


def observe_target(endpoint: Endpoint) -> Observed:
    """Return the target as it is now; there may be none."""
    name = endpoint.options.collection
    with closing(endpoint.open_target()) as target:
        collection = target.describe(name)
        if collection is None:
            return Observed(None, {})
        return Observed(collection, target.count(name), target.fingerprint(name))


def prepare(project: Project, state: State | None, saved: Plan | None, only: Sequence[str] = ()) -> Run:
    """Return what apply is to run. Call it under the state's lock.

    An unfinished plan goes on where it still holds. Raises StalePlanError for a saved plan that does not hold any more,
    GuardError in a protected environment without one.
    """
    if saved is not None:
        _check(saved, project, state)
    unfinished = state.plan if state else None
    if state and unfinished and saved in (None, unfinished) and _still_holds(unfinished, state, project, only):
        return Run(unfinished, state, resumed=True)
    if saved is None and project.protected:
        raise GuardError(
            f"environment {project.environment!r} is protected: apply takes only a saved plan here. "
            f"Run: vecmig plan -e {project.environment} --out FILE, have it reviewed, then: vecmig apply FILE"
        )
    plan = saved or make_plan(project, state, only)
    return Run(plan, state or State(project.name, project.environment, plan.lineage), resumed=False)


def execute(project: Project, run: Run, store: StateStore, stop: Flag) -> Iterator[Event | Report]:
    """Run a plan and prove it; yield what happens, and a Report for each migration. Call it under the state's lock."""
    migrations = {migration.name: migration for migration in project.migrations}
    quarantine = Path(
        project.directory, ".vecmig", project.name, "quarantine", f"{project.environment}-{run.plan.id[:8]}"
    )
    executor = LocalExecutor(migrations, project.execution, project.limits, quarantine, stop)
    yield from run_actions(run.plan, migrations=migrations, executor=executor, store=store, state=run.state, now=now)
    for planned in run.plan.migrations:
        if planned.actions or planned.verify:
            yield from verify_migration(project, migrations[planned.name], store, stop)
    state = _stored(store)
    what = f"applied {run.plan.id[:8]}: " + ", ".join(
        f"{each.name} {each.report.verdict}" for each in _reported(state, run.plan) if each.report
    )
    store.save(state.finished(now()).with_event(what, now()))


def _check(saved: Plan, project: Project, state: State | None) -> None:
    """Raise StalePlanError, with every reason, if a saved plan is not for here and now."""
    reasons = []
    if (saved.name, saved.environment) != (project.name, project.environment):
        reasons.append(f"it is for {saved.name} in {saved.environment}, this is {project.name} in {project.environment}")
    if saved.spec_digest != project.digest:
        reasons.append("the spec or a variable changed since")
    used = next((each for each in state.plans if each.id == saved.id), None) if state else None
    goes_on = bool(state and state.plan and state.plan.id == saved.id)
    if used and not goes_on:
        reasons.append(f"it was applied on {used.at}")
    elif state and not goes_on:
        if state.lineage != saved.lineage:
            reasons.append("it belongs to another state: another one was begun, or the state was replaced")
        elif state.serial != saved.serial:
            reasons.append(f"another run changed the state since (serial {saved.serial} -> {state.serial})")
    elif not state and saved.serial:
        reasons.append("its state is gone")
    if not reasons and not goes_on:
        reasons += _schemas_moved(saved, project)
    if reasons:
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        raise StalePlanError(f"the plan is stale, and nothing was changed\n{lines}\n  Plan again, and apply that")


def _schemas_moved(plan: Plan, project: Project) -> list[str]:
    migrations = {migration.name: migration for migration in project.migrations}
    moved = []
    for planned in plan.migrations:
        migration = migrations[planned.name]
        for endpoint, digest in zip((migration.source, migration.target), planned.schema_digests, strict=True):
            if schema_digest(_described(endpoint)) != digest:
                moved.append(f"{planned.name}: the schema of {endpoint.label} changed since")
    return moved


def _still_holds(plan: Plan, state: State, project: Project, only: Sequence[str]) -> bool:
    """Return whether an unfinished plan can go on: spec and schemas are those it was made from, or that it made."""
    if plan.spec_digest != project.digest or (only and tuple(only) != plan.only):
        return False
    migrations = {migration.name: migration for migration in project.migrations}
    for planned in plan.migrations:
        migration = migrations[planned.name]
        if schema_digest(_described(migration.source)) != planned.schema_digests[0]:
            return False
        target = _described(migration.target)
        create = next((each for each in planned.actions if isinstance(each, CreateCollection)), None)
        if schema_digest(target) == planned.schema_digests[1]:
            # as it was planned: fine, unless it was made by then and is gone again
            if create and state.done > plan.actions.index(create):
                return False
        elif not (create and target and create.collection.agrees_with(target)):
            return False
    return True


def _described(endpoint: Endpoint) -> Collection | None:
    with closing(endpoint.open_source()) as source:
        return source.describe(endpoint.options.collection)


def _sample(source: Source, name: str) -> RecordBatch:
    """Return the first records of several partitions."""
    pages = []
    parts = source.partitions(name, SAMPLE_PLACES)
    for part in parts:
        with closing(source.read(part, after=None)) as batches:  # type: ignore[type-var]  # every connector's is a generator
            for batch, _ in batches:
                pages.append(batch.slice(0, SAMPLE_ROWS // len(parts)))
                break
    return concat(pages)
