"""Apply and verify: each is a function over a project and its state."""

from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from dataclasses import replace as changed
from importlib.metadata import version
from pathlib import Path
from threading import Event as Flag

from msgspec.structs import replace

from vecmig.embedding.models import spent_of
from vecmig.errors import GuardError, StalePlanError, TransientError
from vecmig.execution.apply import apply as run_actions
from vecmig.execution.copy import check_stop
from vecmig.execution.local import LocalExecutor
from vecmig.migration import DeclaredTarget, Migration, Project, at_generation
from vecmig.model.plan import Plan
from vecmig.model.report import Report
from vecmig.model.state import State
from vecmig.planning.stale import against_spec, against_state, against_world
from vecmig.protocols import Event, IndexProgress, StateStore
from vecmig.verification.migration import Proof, prove
from vecmig.workflow.embeddings import embeds, finished, purses
from vecmig.workflow.observe import ends_now, works_of
from vecmig.workflow.plan import chosen, lined_up, make_plan, now, working
from vecmig.workflow.switch import check_ended

COUNTED_S = 60.0  # until a target shows and counts what was written; Pinecone takes 10 to 30 s
EMBED_PAGE_ROWS = 1000  # of a source whose texts are embedded: a page without vectors is small, and becomes large


@dataclass(frozen=True, slots=True)
class Run:
    """A plan about to run: new, saved, or one that an earlier run left unfinished."""

    plan: Plan
    state: State
    resumed: bool
    against: tuple[str, ...] = ()  # why the one that was left unfinished does not go on


def prepare(project: Project, state: State | None, saved: Plan | None, only: Sequence[str] = ()) -> Run:
    """Return what apply is to run. Call it under the state's lock.

    An unfinished plan goes on where it still holds. Raises StalePlanError for a saved plan that does not hold any more,
    GuardError in a protected environment without one, where the plan may cost more than the spec allows, and where a
    switch was broken off.
    """
    check_ended(project, state, only)
    unfinished = state.plan if state else None
    goes_on = unfinished is not None and (saved is None or saved.id == unfinished.id)
    against: list[str] = []
    if unfinished is not None and goes_on and state is not None:
        against = against_unfinished(project, state, unfinished.only if saved else only)
        if not against:
            return Run(_affordable(unfinished, project), state, resumed=True)
    if saved is not None:
        if not goes_on:
            against = against_spec(saved, project, saved.only) + against_state(saved, state)
            against = against or against_world(saved, ends_now(project, saved, state), None)
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


def against_unfinished(project: Project, state: State, only: Sequence[str]) -> list[str]:
    """Return why apply would not go on with the plan that was left unfinished. Writes nothing."""
    assert state.plan is not None
    against = against_spec(state.plan, project, only)
    return against or against_world(state.plan, ends_now(project, state.plan, state), state)


def execute(project: Project, run: Run, store: StateStore, stop: Flag) -> Generator[Event | Report, None, None]:
    """Run a plan and prove it; yield what happens, and a Report for each migration. Call it under the state's lock.

    Raises Stopped after `stop`; the same plan goes on then.
    """
    state = lined_up(project, run.plan.migrations, run.state)
    works = _at_work(project, run.plan, state)
    migrations = {name: work for name, work in works.items() if isinstance(work, Migration)}
    with purses(project, run.plan.lineage, embeds(run.plan), at_work=True) as found:
        slow = {name: _with_small_pages(work) if name in found else work for name, work in migrations.items()}
        directory = quarantine_of(project, run.plan)
        executor = LocalExecutor(slow, project.execution, project.limits, directory, stop, found)
        try:
            for event in run_actions(
                run.plan, works=works, executor=executor, store=store, state=state, now=now, stop=stop
            ):
                yield event
                if isinstance(event, IndexProgress):
                    check_stop(stop)
        except TransientError:
            check_stop(stop)  # the wait for a store to come back ends as the user wished
            raise
        verdicts = []
        for planned in run.plan.migrations:
            if planned.name in migrations and (planned.actions or planned.verify):
                work = migrations[planned.name]
                report = yield from _verified(project, work, store, stop, COUNTED_S)
                if purse := found.get(planned.name):  # queries of the user's own are paid, too
                    yield spent_of(work, [each.model for each in planned.decisions if each.model], purse)
                _note_target(work, report, store)
                verdicts.append(f"{planned.name} {report.verdict}")
                yield report
        state = _stored(store)
        what = f"applied {run.plan.id[:12]}: {', '.join(verdicts) or 'done'}"
        store.save(state.finished(now()).with_event(what, now()))
        finished(found)


def give_up(project: Project, run: Run, store: StateStore) -> None:
    """Forget an unfinished plan that does not go on, where there is nothing to do in the place of any part of it."""
    looked_at = {each.name for each in run.plan.migrations}
    if run.state.plan is not None and looked_at.issuperset(each.name for each in run.state.plan.migrations):
        abandoned = replace(lined_up(project, run.plan.migrations, run.state), plan=None, done=0, checkpoints=())
        store.save(abandoned.with_event(f"gave up {run.state.plan.id[:12]}: {'; '.join(run.against)}", now()))


def verify(
    project: Project, store: StateStore, stop: Flag, only: Sequence[str] = ()
) -> Generator[Event | Report, None, None]:
    """Hold each target against its source; keep the reports in the state, if there is one. Call it under its lock.

    Raises GuardError where a switch was broken off.
    """
    check_ended(project, store.load(), only)
    for migration in chosen(project, only):
        state = store.load()
        work = migration
        if state is not None:
            lineup, applied = state.lineup(migration.target.name), state.applied.get(migration.name)
            work = working(migration, lineup, applied.generation if applied else lineup.serving)
        report = yield from _verified(project, work, store, stop)
        yield report
        if state := store.load():
            store.save(state.with_event(f"verified {migration.name}: {report.verdict}", now()))


def quarantine_of(project: Project, plan: Plan) -> Path:
    """Return the directory for the bad records of a plan."""
    return Path(project.directory, ".vecmig", project.name, f"{project.environment}.quarantine", plan.id[:12])


def _at_work(project: Project, plan: Plan, state: State) -> dict[str, Migration | DeclaredTarget]:
    """Return what the plan works on, each with the collection of its target that is meant."""
    generations = {planned.name: planned.generation for planned in plan.migrations}
    return {
        name: changed(
            work,
            target=at_generation(
                work.target, lineup := state.lineup(work.target.name), generations.get(name, lineup.serving)
            ),
        )
        for name, work in works_of(project).items()
    }


def _with_small_pages(migration: Migration) -> Migration:
    options = migration.source.options
    if not hasattr(options, "page_rows"):  # a plug-in's own need not have it
        return migration
    rows = min(options.page_rows or EMBED_PAGE_ROWS, EMBED_PAGE_ROWS)
    return changed(migration, source=changed(migration.source, options=replace(options, page_rows=rows)))  # type: ignore[type-var]


def _affordable(plan: Plan, project: Project) -> Plan:
    """Return the plan. Raises GuardError where its upper estimate is above `limits.max_usd`."""
    limit = project.limits.max_usd
    if limit is None:
        return plan
    unpriced = [
        cost for cost in plan.costs if cost.usd is None and cost.units.high and cost.what.startswith("embedding")
    ]
    if unpriced:
        raise GuardError(
            f"limits.max_usd ({limit:,.2f}) cannot be held: the price of {unpriced[0].store} is not known. Say it in"
            f" `providers: {{{unpriced[0].service}: {{usd_per_million_tokens: …}}}}`, or remove the limit"
        )
    if plan.usd.high <= limit:
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
    made = applied is not None and any(each.how == "reembed" for each in applied.decisions)
    asked = migration.golden is not None and migration.golden.texts > 0
    with purses(project, state.lineage if state else "", [migration.name] if made or asked else []) as found:
        proof = Proof(
            project=project.name,
            environment=project.environment,
            excluded=frozenset(each.key for each in applied.rejected) if applied else frozenset(),
            refused={each.key: each.digest for each in applied.rejected if each.by_target} if applied else None,
            written=applied.namespaces if applied else (),
            decisions=applied.decisions if applied else (),
            purse=found.get(migration.name),
            lag_s=lag_s,
            read_records_per_s=project.limits.read_records_per_s,
            workers=project.execution.workers,
        )
        report = yield from prove(migration, proof, stop)
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


def _stored(store: StateStore) -> State:
    state = store.load()
    assert state is not None, "a run saves its state before anything else"
    return state
