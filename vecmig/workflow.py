"""The composition root: observe, plan, apply, verify. Each is a function over a project and its state."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Event as Flag
from uuid import uuid4

from msgspec.structs import replace

from vecmig.comparison.compare import compare
from vecmig.errors import CollectionNotFound, GuardError, Problem, SpecError, StalePlanError
from vecmig.execution.apply import apply as run_actions
from vecmig.execution.copy import check_stop
from vecmig.execution.local import LocalExecutor
from vecmig.migration import DeclaredTarget, Endpoint, Migration, Project
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection
from vecmig.model.observed import Observed
from vecmig.model.plan import CreateCollection, DataDiff, LoadRecords, MigrationPlan, Plan
from vecmig.model.report import Report
from vecmig.model.state import State
from vecmig.planning.plan import plan_migration, schema_digest
from vecmig.planning.target import plan_target
from vecmig.protocols import Event, IndexProgress, Source, StateStore
from vecmig.verification.migration import PARTITIONS_PER_WORKER, prove, sides_of

SAMPLE_ROWS, SAMPLE_PLACES = 2000, 8


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
            raise SpecError(
                Problem(f"--only names no migration: {name!r}", hint=f"there are {', '.join(known) or 'none'}")
            )
    return [known[name] for name in only] if only else list(project.migrations)


def make_plan(project: Project, state: State | None, only: Sequence[str] = (), data: bool = False) -> Plan:
    """Observe both sides and plan. Writes nothing. `data`: read everything, too, and count what differs."""
    lineage = state.lineage if state else str(uuid4())
    mark = mark_of(project, lineage)
    applied = state.applied if state else {}
    planned = []
    for migration in chosen(project, only):
        source = observe_source(migration, project.execution.workers)
        target = observe_target(migration.target)
        each = plan_migration(migration, source, target, applied.get(migration.name), mark)
        planned.append(_data(project, each, migration) if data else each)
    if not only:
        planned += [plan_target(each, observe_target(each.target), mark) for each in project.targets]
    return Plan(
        name=project.name,
        environment=project.environment,
        spec_file=project.file,
        spec_digest=project.digest,
        variables=dict(project.variables),
        only=tuple(only),
        lineage=lineage,
        serial=state.serial if state else 0,
        migrations=tuple(planned),
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
    fresh = State(project.name, project.environment, plan.lineage)
    return Run(plan, replace(state or fresh, vecmig_version=version("vecmig")), resumed=False)


def execute(project: Project, run: Run, store: StateStore, stop: Flag) -> Generator[Event | Report, None, None]:
    """Run a plan and prove it; yield what happens, and a Report for each migration. Call it under the state's lock.

    Raises Stopped after `stop`; the same plan goes on then.
    """
    migrations = {migration.name: migration for migration in project.migrations}
    executor = LocalExecutor(migrations, project.execution, project.limits, quarantine_of(project, run.plan), stop)
    works = _works(project)
    for event in run_actions(run.plan, works=works, executor=executor, store=store, state=run.state, now=now):
        yield event
        if isinstance(event, IndexProgress):
            check_stop(stop)
    verdicts = []
    for planned in run.plan.migrations:
        if planned.name in migrations and (planned.actions or planned.verify):
            report = yield from _verified(project, migrations[planned.name], store, stop)
            verdicts.append(f"{planned.name} {report.verdict}")
            yield report
    state = _stored(store)
    store.save(state.finished(now()).with_event(f"applied {run.plan.id[:12]}: {', '.join(verdicts) or 'done'}", now()))


def verify(
    project: Project, store: StateStore, stop: Flag, only: Sequence[str] = ()
) -> Generator[Event | Report, None, None]:
    """Hold each target against its source; keep the reports in the state, if there is one. Call it under its lock."""
    for migration in chosen(project, only):
        report = yield from _verified(project, migration, store, stop)
        yield report
        if state := store.load():
            store.save(state.with_event(f"verified {migration.name}: {report.verdict}", now()))


def inspect(endpoint: Endpoint) -> Collection:
    """Return a live collection. Raises CollectionNotFound."""
    found = _described(endpoint)
    if found is None:
        raise CollectionNotFound(f"{endpoint.label} is not there")
    return found


def diagnose(project: Project) -> Iterator[tuple[str, bool, str]]:
    """Yield a check after the other, for every target and every source that a migration uses."""
    works = _works(project).values()
    sources = {work.source.name: work.source for work in works if isinstance(work, Migration)}
    targets = {work.target.name: work.target for work in works}
    for endpoint in (*sources.values(), *targets.values()):
        for what, well, detail in endpoint.options.diagnose():
            yield f"{endpoint.name}: {what}", well, detail


def quarantine_of(project: Project, plan: Plan) -> Path:
    """Return the directory for the bad records of a plan."""
    return Path(project.directory, ".vecmig", project.name, f"{project.environment}.quarantine", plan.id[:12])


def _verified(project: Project, migration: Migration, store: StateStore, stop: Flag) -> Generator[Event, None, Report]:
    """Prove a migration and keep the report with what was applied."""
    state = store.load()
    applied = state.applied.get(migration.name) if state else None
    report = yield from prove(
        migration,
        project=project.name,
        environment=project.environment,
        excluded=[each.key for each in applied.rejected] if applied else [],
        workers=project.execution.workers,
        stop=stop,
    )
    if state and applied:
        store.save(state.with_applied(migration.name, replace(applied, report=report)))
    return report


def _data(project: Project, planned: MigrationPlan, migration: Migration) -> MigrationPlan:
    """Count, record by record, what the actions will find."""
    if any(isinstance(action, CreateCollection | LoadRecords) for action in planned.actions):
        return replace(planned, data=DataDiff(0, 0, sum(planned.source_counts.values()), 0))
    source, target, *_ = sides_of(migration, project.execution.workers, lambda converted, part, cursor: None, Flag())
    found = compare(source, target)
    unchecked = tuple(each for each in planned.unchecked if "--data" not in each)
    return replace(
        planned, data=DataDiff(found.matching, found.mismatched, found.missing, found.extra), unchecked=unchecked
    )


def _stored(store: StateStore) -> State:
    state = store.load()
    assert state is not None, "a run saves its state before anything else"
    return state


def _check(saved: Plan, project: Project, state: State | None) -> None:
    """Raise StalePlanError, with every reason, if a saved plan is not for here and now."""
    reasons = []
    if (saved.name, saved.environment) != (project.name, project.environment):
        reasons.append(
            f"it is for {saved.name} in {saved.environment}, this is {project.name} in {project.environment}"
        )
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
    works = _works(project)
    moved = []
    for planned in plan.migrations:
        for endpoint, digest in zip(_ends(works[planned.name]), planned.schema_digests, strict=True):
            if endpoint is not None and schema_digest(_described(endpoint)) != digest:
                moved.append(f"{planned.name}: the schema of {endpoint.label} changed since")
    return moved


def _still_holds(plan: Plan, state: State, project: Project, only: Sequence[str]) -> bool:
    """Return whether an unfinished plan can go on: spec and schemas are those it was made from, or that it made."""
    if plan.spec_digest != project.digest or (only and tuple(only) != plan.only):
        return False
    works = _works(project)
    for planned in plan.migrations:
        source_end, target_end = _ends(works[planned.name])
        if source_end is not None and schema_digest(_described(source_end)) != planned.schema_digests[0]:
            return False
        target = _described(target_end)
        create = next((each for each in planned.actions if isinstance(each, CreateCollection)), None)
        if schema_digest(target) == planned.schema_digests[1]:
            # as it was planned: fine, unless it was made by then and is gone again
            if create and state.done > plan.actions.index(create):
                return False
        elif not (create and target and create.collection.agrees_with(target)):
            return False
    return True


def _works(project: Project) -> dict[str, Migration | DeclaredTarget]:
    """Return all that a plan may work on, by name."""
    works: list[Migration | DeclaredTarget] = [*project.migrations, *project.targets]
    return {work.name: work for work in works}


def _ends(work: Migration | DeclaredTarget) -> tuple[Endpoint | None, Endpoint]:
    return (work.source if isinstance(work, Migration) else None), work.target


def _described(endpoint: Endpoint) -> Collection | None:
    with closing(endpoint.open_source()) as source:
        return source.describe(endpoint.options.collection)


def _sample(source: Source, name: str) -> RecordBatch | None:
    """Return the first records of several partitions; None where there are none."""
    pages = []
    parts = source.partitions(name, SAMPLE_PLACES)
    for part in parts:
        with closing(source.read(part, after=None)) as batches:
            for batch, _ in batches:
                pages.append(batch.slice(0, SAMPLE_ROWS // len(parts)))
                break
    return concat(pages) if pages else None
