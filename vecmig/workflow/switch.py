"""cutover, rollback and drop: which of a target's collections serves. Each may be killed anywhere, and run again."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Event as Flag
from typing import cast

import numpy as np
from msgspec.structs import replace

from vecmig.errors import CollectionNotFound, ConnectorError, GuardError, Problem, SpecError, VecmigError
from vecmig.migration import Endpoint, Migration, Project, at_generation
from vecmig.model.collection import Collection
from vecmig.model.state import Lineup, State
from vecmig.protocols import Search, StateStore, Target
from vecmig.retry import retrying
from vecmig.workflow.plan import chosen, make_plan, mark_of, now

SMOKE_QUERIES = 5  # searches after a switch, with vectors of records that are there
PATIENCE_S = 30.0  # a lock that is not had within seconds is asked for again, for so long


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of one target."""

    target: str  # the spec's name for it
    serving: str  # labels
    before: str  # "": what served was not there any more
    searches: int  # that found what they must
    instead: str = ""  # what the application has to change, where the store cannot switch
    written_since: str = ""  # to the build since it was verified, or to what served since the switch
    again: bool = False  # it was done before


def cutover(project: Project, store: StateStore, only: Sequence[str] = ()) -> Iterator[Switched]:
    """Let what was built beside serve. Call it under the state's lock.

    Raises GuardError unless the build is complete, verified, and not written since; whatever was changed is changed back
    where a search fails then.
    """
    state = _state(store)
    check_ended(project, state, only, "cutover")
    for endpoint, migrations in _targets(project, only):
        lineup = state.lineup(endpoint.name)
        if lineup.build is None:
            continue
        build, kept = at_generation(endpoint, lineup, lineup.build), _beside(endpoint, lineup.serving)
        done = _took_over(endpoint, lineup, lineup.build)
        if not done:
            _check(endpoint, build, migrations, state, lineup.build)
            _check_asked(project, endpoint, build, migrations, state)
        verified = state.applied[migrations[0].name].target_fingerprint if migrations[0].name in state.applied else None
        before = at_generation(endpoint, lineup, lineup.serving)
        gone = not done and _is_gone(before)  # by hand: there is no way back to it
        with closing(endpoint.open_target()) as connection:
            renames = connection.capabilities.switches
            if renames:
                _switch(connection, endpoint.options.collection, build.options.collection, kept.options.collection)
        after = replace(
            lineup.switched(lineup.build),
            build=None,
            kept=None if gone else lineup.serving,
            renames=renames,
            switched_at=now(),
            at_switch=verified,  # as it was checked before the switch: what is written from then on is seen
        )
        serving = at_generation(endpoint, after, after.serving)
        searches = _smoke_or_revert(serving, endpoint, renames, None if gone else kept, build)
        state = store.save(state.with_lineup(endpoint.name, after).with_event(f"cut over to {build.label}", now()))
        instead = "" if renames else f"let the application read {serving.label} instead of {before.label}"
        since = (
            ""
            if verified is None or verified.strength == "exact"
            else f"no write to it since its verification shows ({verified.strength})"
        )
        label = "" if gone else (kept if renames else before).label
        yield Switched(endpoint.name, serving.label, label, searches, instead, since, done)


def rollback(project: Project, store: StateStore, only: Sequence[str] = ()) -> Iterator[Switched]:
    """Let what served before the last `cutover` serve again. Call it under the state's lock.

    Raises CollectionNotFound where it was dropped. What was changed is changed back where a search fails then.
    """
    state = _state(store)
    check_ended(project, state, only, "rollback")
    for endpoint, _ in _targets(project, only):
        lineup = state.lineup(endpoint.name)
        if lineup.kept is None:
            continue
        kept = at_generation(endpoint, lineup, lineup.kept)
        aside = _beside(endpoint, lineup.serving)
        done = lineup.renames and _took_over(endpoint, lineup, lineup.kept)
        if not done and _is_gone(kept):
            raise CollectionNotFound(
                f"{endpoint.name}: {kept.label}, which served before, is not there any more; `vecmig drop --allow-destroy"
                f" {kept.options.collection}` takes it out of the state"
            )
        serving = at_generation(endpoint, lineup, lineup.serving)
        gone = not done and _is_gone(serving)  # by hand: then nothing is in the way of what served before
        since = "" if gone else _written_since(aside if done else serving, lineup)
        if lineup.renames:
            with closing(endpoint.open_target()) as connection:
                _switch(connection, endpoint.options.collection, kept.options.collection, aside.options.collection)
        build = None if gone else lineup.serving
        after = replace(lineup.switched(lineup.kept), build=build, kept=None, switched_at=now(), at_switch=None)
        old = at_generation(endpoint, after, after.serving)
        searches = _smoke_or_revert(old, endpoint, lineup.renames, None if gone else aside, kept)
        event = f"rolled back to {kept.label}"
        state = store.save(state.with_lineup(endpoint.name, after).with_event(event, now()))
        instead = "" if lineup.renames else f"let the application read {kept.label} instead of {serving.label}"
        before = "" if gone else (aside if lineup.renames else serving).label
        yield Switched(endpoint.name, old.label, before, searches, instead, since, done)


def check_ended(project: Project, state: State | None, only: Sequence[str] = (), command: str = "") -> None:
    """Raise GuardError where another command than this one was killed before the state said what it switched.

    Until it goes on, the state tells wrong what has which name: nothing may be planned, written or verified by it.
    """
    if state is None:
        return
    for endpoint, _ in _targets(project, only):
        mark = mark_of(project, state.lineage)
        killed = retrying(Flag(), PATIENCE_S)(_broken_off, endpoint, state.lineup(endpoint.name), mark)
        if killed and command not in killed:
            again = " or ".join(f"`vecmig {each}`" for each in killed)
            raise GuardError(
                f"{endpoint.name}: a {' or a '.join(killed)} was broken off: run {again} again, and then this"
            )


def superseded(project: Project, state: State | None) -> list[tuple[Endpoint, int, Endpoint]]:
    """Return what neither serves nor is built: target, generation, and the collection."""
    if state is None:
        return []
    return [
        (endpoint, generation, at_generation(endpoint, lineup, generation))
        for endpoint, _ in _targets(project, ())
        for lineup in [state.lineup(endpoint.name)]
        for generation in lineup.superseded
    ]


def drop(project: Project, store: StateStore, names: Sequence[str], allowed: bool) -> Iterator[str]:
    """Remove superseded collections by name; yield the label of each. Call it under the state's lock.

    One that is gone already is passed over. Raises GuardError unless it is `allowed`, and after a `rollback` that was
    broken off; SpecError for a name that is none of them, CollectionConflict for one
    without vecmig's mark.
    """
    state = _state(store)
    known = {
        each.options.collection: (endpoint, generation, each)
        for endpoint, generation, each in superseded(project, state)
    }
    gone = _gone(project, state) - {*known}
    names = [name for name in names if name not in gone]
    for name in names:
        if name not in known:
            there = ", ".join(known) or "nothing"
            raise SpecError(Problem(f"{name!r} is nothing that may be dropped", hint=f"superseded is {there}"))
    if names and not allowed:
        raise GuardError(f"{', '.join(names)} would be destroyed: say --allow-destroy where that is meant")
    for name in names:
        endpoint, generation, each = known[name]
        lineup = state.lineup(endpoint.name)
        if generation == lineup.kept and lineup.renames and _took_over(endpoint, lineup, generation):
            raise GuardError(
                f"{endpoint.name}: a rollback was broken off, and {each.label} serves: run `vecmig rollback` first"
            )
        with closing(each.open_target()) as connection:
            connection.drop(each.options.collection)
        after = replace(
            lineup,
            kept=None if lineup.kept == generation else lineup.kept,
            others=tuple(other for other in lineup.others if other != generation),
        )
        state = store.save(state.with_lineup(endpoint.name, after).with_event(f"dropped {each.label}", now()))
        yield each.label


def _gone(project: Project, state: State) -> set[str]:
    """Return the names of collections that once were built beside, or served, and neither do so nor are there now."""
    found = set()
    for endpoint, _ in _targets(project, ()):
        lineup = state.lineup(endpoint.name)
        for generation in set(range(1, lineup.latest + 1)) - {lineup.serving, lineup.build, lineup.kept}:
            each = at_generation(endpoint, lineup, generation)
            if _is_gone(each):
                found.add(each.options.collection)
    return found


def _state(store: StateStore) -> State:
    state = store.load()
    if state is None:
        raise SpecError(Problem("nothing was applied yet, so there is nothing to switch", hint="vecmig apply"))
    return state


def _targets(project: Project, only: Sequence[str]) -> list[tuple[Endpoint, list[Migration]]]:
    """Return the targets of the chosen migrations, each with all the migrations that fill it."""
    names = dict.fromkeys(migration.target.name for migration in chosen(project, only))
    filled = {name: [each for each in project.migrations if each.target.name == name] for name in names}
    return [(each[0].target, each) for each in filled.values()]


def _beside(endpoint: Endpoint, generation: int) -> Endpoint:
    """Return the collection of this generation where it does not serve."""
    return at_generation(endpoint, Lineup(serving=generation + 1), generation)


def _broken_off(endpoint: Endpoint, lineup: Lineup, mark: str) -> list[str]:
    """Return the command that was killed in the midst of a switch; both where the names do not tell which, [] for none.

    What the state says serves has its name beside then, and what was to serve has none, but between Weaviate's steps.
    """
    made = {"cutover": lineup.build, "rollback": lineup.kept}
    begun = {command: generation for command, generation in made.items() if generation is not None}
    if not begun or not lineup.renames:
        return []
    with closing(endpoint.open_target()) as target:
        if not target.capabilities.switches:
            return []
        aside = target.describe(_beside(endpoint, lineup.serving).options.collection)
        if aside is None or aside.mark != mark:
            return []
    gone = [command for command, each in begun.items() if _is_gone(at_generation(endpoint, lineup, each))]
    return gone[:1] or list(begun)


def _took_over(endpoint: Endpoint, lineup: Lineup, generation: int) -> bool:
    """Return whether this generation has the serving name, though the state says another: no save after the switch."""
    return _is_gone(at_generation(endpoint, lineup, generation)) and not _is_gone(_beside(endpoint, lineup.serving))


def _check(endpoint: Endpoint, build: Endpoint, migrations: Sequence[Migration], state: State, generation: int) -> None:
    """Raise GuardError unless the build is complete, verified, and has not been written since."""

    def refuse(why: str, then: str) -> GuardError:
        return GuardError(f"{build.label} does not serve yet: {why}. {then}; {endpoint.label} is as it was")

    if state.plan is not None:
        raise refuse("an apply was left unfinished", "Run `vecmig apply`")
    if _is_gone(build):
        raise refuse("it is not there", "Run `vecmig apply`")
    fingerprint = _fingerprint(build)
    for migration in migrations:
        applied = state.applied.get(migration.name)
        if applied is None or applied.generation != generation:
            raise refuse(f"{migration.name} was not applied into it", "Run `vecmig apply`")
        report = applied.report
        if report is None or report.verdict != "passed":
            said = (
                "its verification failed"
                if report and report.verdict == "failed"
                else "its verification could not decide"
            )
            verdict = said if report else "it was not verified"
            raise refuse(f"{migration.name}: {verdict}", "Run `vecmig verify`, and mend what it tells")
        if report.records is None and not report.search and not report.labelled:
            why = f"{migration.name}: its verification only counted the records, which shows none of them to be right"
            raise refuse(why, "Say `verification: {records: {sample: 1000}}` or more, and run `vecmig verify`")
        if applied.target_fingerprint != fingerprint or report.started_at < applied.at:
            raise refuse("it was written after it was verified", "Run `vecmig apply`, which verifies again")


def _check_asked(
    project: Project, endpoint: Endpoint, build: Endpoint, migrations: Sequence[Migration], state: State
) -> None:
    """Raise GuardError where the spec, as it is now, asks for what serves: then the build is of another one."""
    lineup = state.lineup(endpoint.name)
    if _is_gone(at_generation(endpoint, lineup, lineup.serving)):
        return  # anything is better than nothing
    if not _is_gone(_beside(endpoint, lineup.serving)):
        return  # killed between the steps of a switch: it was looked at when that began, and both names are the build's now
    planned = make_plan(project, state, [each.name for each in migrations], probes=False)
    for each in planned.migrations:
        if each.generation != lineup.build:
            raise GuardError(
                f"{build.label} does not serve: {each.name} does not fill it any more, as the spec stands now. Put the spec"
                f" back that it was built by, or run `vecmig apply`, which gives it up; {endpoint.label} is as it was"
            )


def _switch(connection: Target, serving: str, build: str, kept: str) -> None:
    retrying(Flag(), PATIENCE_S)(connection.switch, serving, build, kept)


def _smoke_or_revert(
    serving: Endpoint, endpoint: Endpoint, renames: bool, back: Endpoint | None, away: Endpoint
) -> int:
    """Search what serves now. Where that fails, let `back` serve again under the name, call this `away`, and raise."""
    try:
        return _smoke(serving)
    except VecmigError as error:
        if back is None:
            raise ConnectorError(
                f"{serving.label} does not answer a search, and what served before is not there any more: run `vecmig"
                f" apply`, which looks at what is there: {error}"
            ) from error
        if renames:
            with closing(endpoint.open_target()) as connection:
                _switch(connection, endpoint.options.collection, back.options.collection, away.options.collection)
        raise ConnectorError(
            f"{serving.label} does not answer a search once it serves, so what served before serves again: {error}"
        ) from error


def _is_gone(endpoint: Endpoint) -> bool:
    with closing(endpoint.open_source()) as source:
        return source.describe(endpoint.options.collection) is None


def _fingerprint(endpoint: Endpoint) -> object:
    with closing(endpoint.open_source()) as source:
        return source.fingerprint(endpoint.options.collection)


def _written_since(serving: Endpoint, lineup: Lineup) -> str:
    """Return what can be told of writes to what served since the switch, which it alone holds."""
    with closing(serving.open_source()) as source:
        name = serving.options.collection
        current, rows = source.fingerprint(name), sum(source.count(name).values())
    if lineup.at_switch is None:
        return "it is not known what was written to it since"
    if current == lineup.at_switch:
        return "" if current.strength == "exact" else f"no write since shows ({current.strength})"
    return (
        f"it was written since the switch of {lineup.switched_at} and holds {rows:,} records; those writes stay there"
    )


def _smoke(endpoint: Endpoint) -> int:
    """Search with vectors of records that are there; return how many searches found something.

    Raises ConnectorError where a collection with vectors gives nothing back.
    """
    name = endpoint.options.collection
    with closing(endpoint.open_source()) as source:
        collection = cast(Collection, source.describe(name))
        dense = [vector.name for vector in collection.vectors if vector.kind != "sparse"]
        done = 0
        for part in source.partitions(name, 1):
            with closing(source.read(part, None)) as pages:
                batch = next((page for page, _ in pages), None)
            if batch is None:
                continue
            for vector in dense:
                rows, vectors = batch.present_vectors(vector)
                namespaces = batch.strings("namespace")
                for row, query in list(zip(rows.tolist(), vectors, strict=True))[:SMOKE_QUERIES]:
                    asked = Search(np.asarray([query], np.float32), 1, vector, namespaces[row])
                    if not source.search(name, asked)[0].keys:
                        raise ConnectorError("a search with the vector of one of its own records finds nothing")
                    done += 1
            break
    return done
