"""The composition root: observe, plan, apply, verify. Each is a function over a project and its state."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Event as Flag
from uuid import uuid4

from msgspec.structs import replace

from vecmig.comparison.compare import compare
from vecmig.comparison.reading import control
from vecmig.comparison.sampled import counted
from vecmig.comparison.sides import partitions_of, source_side
from vecmig.conversion.convert import Converted
from vecmig.errors import CollectionNotFound, GuardError, Problem, SpecError, StalePlanError, TransientError
from vecmig.execution.apply import apply as run_actions
from vecmig.execution.copy import check_stop
from vecmig.execution.local import LocalExecutor
from vecmig.migration import DeclaredTarget, Endpoint, Migration, Project
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection
from vecmig.model.observed import Observed
from vecmig.model.plan import DataDiff, LoadRecords, MigrationPlan, Partition, Plan
from vecmig.model.report import Report
from vecmig.model.state import Applied, Cursor, State
from vecmig.planning.plan import plan_migration, with_data
from vecmig.planning.stale import Ends, against_spec, against_state, against_world
from vecmig.planning.target import plan_target
from vecmig.protocols import Event, IndexProgress, Source, StateStore
from vecmig.verification.migration import prove, sides_of

SAMPLE_ROWS, SAMPLE_PLACES = 2000, 8
COUNTED_S = 60.0  # until a target shows and counts what was written; Pinecone takes 10 to 30 s


@dataclass(frozen=True, slots=True)
class Run:
    """A plan about to run: new, saved, or one that an earlier run left unfinished."""

    plan: Plan
    state: State
    resumed: bool
    against: tuple[str, ...] = ()  # why the one that was left unfinished does not go on


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
        if data:
            found = _data(project, each, migration, applied.get(migration.name))
            if not each.actions and (found.mismatched or found.missing or (migration.prune and found.extra)):
                # the fingerprints did not show it, the records do
                anew = plan_migration(migration, source, target, None, mark)
                each = replace(anew, why="the fingerprints are the same, and the records differ, as `--data` found")
            each = with_data(each, found, migration)
        planned.append(each)
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
        max_usd=project.limits.max_usd,
    )


def observe_source(migration: Migration, workers: int) -> Observed:
    """Return the source as it is now. Raises CollectionNotFound if it is not there."""
    name = migration.source.options.collection
    with closing(migration.source.open_source()) as source:
        collection = source.describe(name)
        if collection is None:
            raise CollectionNotFound(
                f"{migration.name}: the source {migration.source.label} is not there: look at `sources.{migration.source.name}`"
            )
        return Observed(
            collection,
            source.count(name),
            source.fingerprint(name),  # before the partitions: what is written after it is a change
            _sample(source, name),
            partitions_of(migration, source, workers),
            migration.source.options.place,
            source.capabilities.keeps_cursors,
            source.capabilities.rounds_integers,
        )


def observe_target(endpoint: Endpoint) -> Observed:
    """Return the target as it is now; there may be none."""
    name = endpoint.options.collection
    with closing(endpoint.open_target()) as target:
        collection = target.describe(name)
        place = endpoint.options.place
        if collection is None:
            return Observed(None, {}, place=place)
        return Observed(collection, target.count(name), target.fingerprint(name), place=place)


def prepare(project: Project, state: State | None, saved: Plan | None, only: Sequence[str] = ()) -> Run:
    """Return what apply is to run. Call it under the state's lock.

    An unfinished plan goes on where it still holds. Raises StalePlanError for a saved plan that does not hold any more,
    GuardError in a protected environment without one, and where the plan may cost more than the spec allows.
    """
    unfinished = state.plan if state else None
    goes_on = unfinished is not None and (saved is None or saved.id == unfinished.id)
    against: list[str] = []
    if unfinished is not None and goes_on and state is not None:
        against = against_spec(unfinished, project, unfinished.only if saved else only)
        against = against or against_world(unfinished, _ends_now(project, unfinished), state)
        if not against:
            return Run(_affordable(unfinished, project), state, resumed=True)
    if saved is not None:
        if not goes_on:
            against = against_spec(saved, project, saved.only) + against_state(saved, state)
            against = against or against_world(saved, _ends_now(project, saved), None)
        if against:
            lines = "\n".join(f"  - {reason}" for reason in against)
            raise StalePlanError(
                f"the plan is stale, and nothing more was changed\n{lines}\n  Plan again, and apply that"
            )
    elif project.protected:
        raise GuardError(
            f"environment {project.environment!r} is protected: apply takes only a saved plan here. "
            f"Run: vecmig plan -e {project.environment} --out FILE, have it reviewed, then: vecmig apply FILE"
        )
    plan = _affordable(saved or make_plan(project, state, only), project)
    fresh = State(project.name, project.environment, plan.lineage)
    return Run(plan, replace(state or fresh, vecmig_version=version("vecmig")), False, tuple(against))


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
            report = yield from _verified(project, migrations[planned.name], store, stop, COUNTED_S)
            _note_target(migrations[planned.name], report, store)
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
        sound = True
        for what, well, detail in endpoint.options.diagnose():
            sound = sound and well
            yield f"{endpoint.name}: {what}", well, detail
        if sound and endpoint.name in sources and _described(endpoint) is None:
            yield f"{endpoint.name}: as a source", False, f"{endpoint.label} is not there: nothing can be read from it"


def quarantine_of(project: Project, plan: Plan) -> Path:
    """Return the directory for the bad records of a plan."""
    return Path(project.directory, ".vecmig", project.name, f"{project.environment}.quarantine", plan.id[:12])


def _affordable(plan: Plan, project: Project) -> Plan:
    """Return the plan. Raises GuardError where its upper estimate is above `limits.max_usd`."""
    limit = project.limits.max_usd
    if limit is None or plan.usd.high <= limit:
        return plan
    dearest = max(plan.costs, key=lambda cost: cost.usd.high if cost.usd and not cost.monthly else 0)
    raise GuardError(
        f"the plan may cost USD {plan.usd.high:,.2f}, more than limits.max_usd ({limit:,.2f}), most of it for"
        f" {dearest.what} of {dearest.store}; nothing was changed. Raise the limit, prove less (`verification:"
        " {records: {sample: 1000}, search: null}`), or move less at once (`--only MIGRATION`); `vecmig plan -v` shows"
        " what it rests on"
    )


def _verified(
    project: Project, migration: Migration, store: StateStore, stop: Flag, lag_s: float = 0.0
) -> Generator[Event, None, Report]:
    """Prove a migration and keep the report with what was applied. `lag_s`: see `prove`."""
    state = store.load()
    applied = state.applied.get(migration.name) if state else None
    report = yield from prove(
        migration,
        project=project.name,
        environment=project.environment,
        excluded=[each.key for each in applied.rejected] if applied else [],
        refused=[each.key for each in applied.rejected if each.by_target] if applied else None,
        written=applied.namespaces if applied else (),
        lag_s=lag_s,
        read_records_per_s=project.limits.read_records_per_s,
        workers=project.execution.workers,
        stop=stop,
    )
    if state and applied:
        namespaces = {*applied.namespaces, *(report.count.expected if report.count else ())}
        known = replace(applied, report=report, namespaces=tuple(sorted(namespaces)))
        store.save(state.with_applied(migration.name, known))
    return report


def _note_target(migration: Migration, report: Report, store: StateStore) -> None:
    """Keep what the target shows of itself once it shows what the verification counted.

    Counts may lag behind the records, and a fingerprint that rests on them would look like a change to the next plan.
    """
    state = _stored(store)
    applied = state.applied.get(migration.name)
    if applied is None or report.count is None:
        return
    name = migration.target.options.collection
    with closing(migration.target.open_target()) as target:
        if target.fingerprint(name).strength == "exact":
            return
        with suppress(TransientError):  # then the next plan compares both sides once more
            target.settle(name, report.count.actual, COUNTED_S)
            rows = sum(target.count(name).values())
            known = replace(applied, target_fingerprint=target.fingerprint(name), rows=rows)
            store.save(state.with_applied(migration.name, known))


def _data(project: Project, planned: MigrationPlan, migration: Migration, applied: Applied | None) -> DataDiff:
    """Count, record by record, what the actions will find."""
    workers = project.execution.workers
    load = next((each for each in planned.actions if isinstance(each, LoadRecords)), None)
    if load:
        side = source_side(migration, load.partitions, load.conversion, workers, _ignore, Flag())
        return DataDiff(0, 0, sum(counted(side, (), control(), None).values()), 0)
    source, target, *_ = sides_of(migration, workers, _ignore, Flag())
    refused = [each.key for each in applied.rejected if each.by_target] if applied else ()
    found = compare(source, target, excluded=refused, written=applied.namespaces if applied else ())
    return DataDiff(found.matching, found.mismatched, found.missing, found.extra)


def _ignore(converted: Converted, part: Partition, cursor: Cursor) -> None:
    """What cannot be moved is among the risks of the plan, as far as the sample shows."""


def _stored(store: StateStore) -> State:
    state = store.load()
    assert state is not None, "a run saves its state before anything else"
    return state


def _ends_now(project: Project, plan: Plan) -> dict[str, Ends]:
    """Observe what staleness depends on."""
    works, found = _works(project), {}
    for planned in plan.migrations:
        work = works[planned.name]
        source = _glimpse(work.source) if isinstance(work, Migration) else None
        found[planned.name] = Ends(source, _glimpse(work.target))
    return found


def _glimpse(endpoint: Endpoint) -> Observed:
    """Return a side without counts, sample and partitions."""
    name = endpoint.options.collection
    with closing(endpoint.open_source()) as connection:
        collection = connection.describe(name)
        fingerprint = connection.fingerprint(name) if collection else None
        keeps = connection.capabilities.keeps_cursors
    return Observed(collection, {}, fingerprint, place=endpoint.options.place, keeps_cursors=keeps)


def _works(project: Project) -> dict[str, Migration | DeclaredTarget]:
    """Return all that a plan may work on, by name."""
    works: list[Migration | DeclaredTarget] = [*project.migrations, *project.targets]
    return {work.name: work for work in works}


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
                # copied: a slice would keep the whole page alive
                pages.append(batch.take(range(min(len(batch), SAMPLE_ROWS // len(parts)))))
                break
    return concat(pages) if pages else None
