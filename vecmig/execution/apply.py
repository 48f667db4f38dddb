"""The one loop over actions, and the one writer of state."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from threading import Event as Flag
from typing import assert_never

from vecmig.migration import DeclaredTarget, Endpoint, Migration
from vecmig.model.plan import Action, BuildIndex, CreateCollection, LoadRecords, MigrationPlan, Plan, ReconcileRecords
from vecmig.model.state import Applied, Progress, Resource, State
from vecmig.planning.digests import conversion_digest
from vecmig.protocols import Event, Executor, IndexProgress, Stage, StateStore, Target
from vecmig.retry import begun_again, retrying

SETTLE_S = 600.0
Clock = Callable[[], str]  # the time now, ISO text in UTC
Works = Mapping[str, Migration | DeclaredTarget]  # by the name that stands in the plan


def apply(
    plan: Plan,
    *,
    works: Works,
    executor: Executor,
    store: StateStore,
    state: State,
    now: Clock,
    stop: Flag | None = None,
) -> Iterator[Event]:
    """Do what is not done yet; yield what happens, once it is safe. `state`: as stored, under its lock.

    To resume, call it again with the same plan. The plan stays the one in progress: it is verified next. After `stop`, a
    store that is away is not waited for.
    """
    stop = stop or Flag()
    broken_off = state.plan.actions[state.done :] if state.plan is not None else ()
    yield from _mended(broken_off, works, stop)  # first: killed in it, the next run knows that it is to be done
    state = store.save(state.begun(plan, now()))
    speeds: dict[str, float] = {}
    for action in plan.actions[state.done :]:
        target = works[action.migration].target
        match action:
            case CreateCollection():
                yield Stage(action.migration, "create")
                with closing(_opened(target, stop)) as connection:
                    retrying(stop)(connection.create, action.collection)
            case LoadRecords() | ReconcileRecords():
                started, rows = time.monotonic(), 0
                for event in executor.run(action, state):
                    if isinstance(event, Progress):
                        state = store.checkpoint(state.with_progress(event))
                        rows += event.rows
                    yield event
                if isinstance(action, LoadRecords) and rows:
                    speeds[action.migration] = rows / max(time.monotonic() - started, 1e-3)
            case BuildIndex():
                yield Stage(action.migration, "index")
                with closing(_opened(target, stop)) as connection:
                    yield from _built(connection, action, stop)
            case _:
                assert_never(action)  # a new Action fails the type checker here, not a user
        state = store.save(state.with_done())
    for planned in plan.migrations:
        if planned.actions:
            target = works[planned.name].target
            speed = speeds.get(planned.name)
            state = retrying(stop)(_recorded, state, plan, planned, target, speed, now())
    store.save(state)


def _opened(endpoint: Endpoint, stop: Flag) -> Target:
    opened: Target = retrying(stop)(endpoint.open_target)
    return opened


def _built(connection: Target, action: BuildIndex, stop: Flag) -> Iterator[IndexProgress]:
    """Build again after a transient error: an index that is right by then stays."""
    yield from begun_again(lambda: connection.build_index(action.collection), retrying(stop))


def _mended(broken_off: Sequence[Action], works: Works, stop: Flag) -> Iterator[Event]:
    """Mend the targets that another run was writing to, or was about to."""
    for action in broken_off:
        if isinstance(action, LoadRecords | ReconcileRecords) and action.migration in works:
            with closing(_opened(works[action.migration].target, stop)) as connection:
                if retrying(stop)(connection.describe, action.target) is None:
                    continue
                for number, progress in enumerate(connection.mend(action.target)):
                    if number == 0:  # most stores have nothing to mend
                        yield Stage(action.migration, "mend")
                    yield progress


def _recorded(
    state: State, plan: Plan, planned: MigrationPlan, endpoint: Endpoint, rows_per_s: float | None, at: str
) -> State:
    """Note the target as a resource, and what its records are now: `No changes.` will rest on that."""
    name = endpoint.options.collection
    with closing(endpoint.open_target()) as target:
        made = target.describe(name)
        mark = made.mark if made else None
        state = state.with_resource(Resource(endpoint.name, endpoint.label, name, mark, at))
        move = next((each for each in planned.actions if isinstance(each, LoadRecords | ReconcileRecords)), None)
        if move is None or planned.source_fingerprint is None:
            return state
        if target.fingerprint(name).strength == "exact":
            target.settle(name, {}, SETTLE_S)  # a snapshot is finished then, and has the fingerprint that it keeps
        # that of another store is taken anew after the verification, which waits until everything is visible
        checkpoints = state.checkpoints_of(planned.name)
        before = state.applied.get(planned.name)
        applied = Applied(
            plan=plan.id,
            at=at,
            # as it was before the first read: what changed since is found by the next plan
            source_fingerprint=planned.source_fingerprint,
            target_fingerprint=target.fingerprint(name),
            conversion_digest=conversion_digest(move.conversion),
            decisions=planned.decisions,
            rows=sum(target.count(name).values()),
            rejected=tuple(rejected for each in checkpoints for rejected in each.rejected),
            namespaces=before.namespaces if before else (),
            generation=planned.generation,
            endpoints_digest=planned.endpoints_digest,
            rows_per_s=rows_per_s or (before.rows_per_s if before else None),
        )
    return state.with_applied(planned.name, applied)
