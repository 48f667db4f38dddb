"""Observe and plan: what would be done, and what it takes. Writes to neither side."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace as changed
from datetime import UTC, datetime
from importlib.metadata import version
from threading import Event as Flag
from uuid import uuid4

from msgspec.structs import replace

from vecmig.comparison.compare import compare
from vecmig.comparison.reading import control
from vecmig.comparison.sampled import counted
from vecmig.comparison.sides import source_side
from vecmig.comparison.terms import Terms
from vecmig.conversion.convert import Converted
from vecmig.embedding.embed import NotCached
from vecmig.embedding.evidence import evidence_of
from vecmig.errors import Problem, RebuildNeeded, SpecError, UnsupportedError
from vecmig.migration import Migration, Project, at_generation
from vecmig.model.observed import Observed
from vecmig.model.plan import CreateCollection, DataDiff, LoadRecords, MigrationPlan, Partition, Plan, ReconcileRecords
from vecmig.model.state import Applied, Cursor, Lineup, State
from vecmig.planning.differ import rebuilds
from vecmig.planning.plan import plan_migration, with_data
from vecmig.planning.target import plan_target
from vecmig.spec.check import writers_of
from vecmig.verification.fit import unfit_queries
from vecmig.verification.migration import sides_of, still_refused
from vecmig.workflow.embeddings import may_embed, open_cache, purses
from vecmig.workflow.observe import observe_source, observe_target


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
    return [known[name] for name in dict.fromkeys(only)] if only else list(project.migrations)


def working(migration: Migration, lineup: Lineup, generation: int) -> Migration:
    """Return the migration into one of its target's collections."""
    return changed(migration, target=at_generation(migration.target, lineup, generation))


def make_plan(
    project: Project, state: State | None, only: Sequence[str] = (), data: bool = False, probes: bool = True
) -> Plan:
    """Observe both sides and plan. `data`: read everything, too, and count what differs. `probes`: see whether vectors

    are of the model that the spec names, which embeds a few texts.
    """
    lineage = state.lineage if state else str(uuid4())
    mark = mark_of(project, lineage)
    known = state or State(project.name, project.environment, lineage)

    def anew(migration: Migration, least: int = 0, why: str = "") -> MigrationPlan:
        return _planned(project, migration, known, mark, data, probes, least, why)

    planned = _together(chosen(project, only), anew)
    planned = _with_given_up(project, known, _with_chains(project, planned))
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


def _together(
    migrations: Sequence[Migration], plan: Callable[[Migration, int, str], MigrationPlan]
) -> list[MigrationPlan]:
    """Return a plan for each; where one needs a new collection, the others that fill the same target go into it, too.

    `plan` makes one from a migration, the first generation that it may fill, and why it may fill none before. Raises
    UnsupportedError where two ask for different collections.
    """
    found = {each.name: plan(each, 0, "") for each in migrations}
    for target in dict.fromkeys(each.target.name for each in migrations):
        filling = [each for each in migrations if each.target.name == target]
        while len(generations := {found[each.name].generation for each in filling}) > 1:
            least = max(generations)
            needs = next(each.name for each in filling if found[each.name].generation == least)
            for each in filling:
                if found[each.name].generation < least:
                    found[each.name] = plan(each, least, f"{needs} needs another collection")
        _refuse_apart([found[each.name] for each in filling])
    return list(found.values())


def _refuse_apart(planned: Sequence[MigrationPlan]) -> None:
    """Raise UnsupportedError where plans are to make one collection, and each would make another."""
    made = [action for each in planned for action in each.actions if isinstance(action, CreateCollection)]
    for each in made[1:]:
        if reasons := rebuilds(each.collection, made[0].collection):
            lines = "\n".join(f"  - {reason}" for reason in reasons)
            raise UnsupportedError(
                f"{made[0].migration} and {each.migration} fill one target, {planned[0].target}, and {each.migration} asks"
                f" for another collection than {made[0].migration}\n{lines}\n  Say the same for both (what stands above"
                " `migrations` holds for all), give one of them a target of its own, or, where fields differ that the"
                f" spec does not name: vecmig apply --only {made[0].migration}, then the other"
            )


def _planned(
    project: Project,
    migration: Migration,
    state: State,
    mark: str,
    data: bool,
    probes: bool,
    least: int,
    elsewhere: str,
) -> MigrationPlan:
    """Plan into what serves where that can become what the spec asks for, else into what is built beside it.

    `least`: the first generation to fill; `elsewhere`: why it is none before.
    """
    lineup, applied = state.lineup(migration.target.name), state.applied.get(migration.name)
    source = _with_evidence(project, migration, observe_source(project, migration), applied, probes)
    first: RebuildNeeded | None = None
    reasons: tuple[str, ...] = (elsewhere,) if elsewhere else ()
    for generation in dict.fromkeys((lineup.serving, lineup.build or lineup.latest + 1, lineup.latest + 1)):
        if generation < least:
            continue
        work = working(migration, lineup, generation)
        before = applied if applied and applied.generation == generation else None
        target = observe_target(work.target)
        try:
            found = plan_migration(work, source, target, before, mark, project.limits)
            if data:
                found = _with_data(project, found, work, source, target, before, mark)
        except RebuildNeeded as needed:
            first = first or needed
            reasons = reasons or needed.reasons
            continue
        if found.actions or found.verify:
            _refuse_unfit(work, source)
        if not reasons:
            back = _way_back(migration, lineup, target, applied)
            return replace(found, generation=generation, risks=(*back, *found.risks))
        beside = at_generation(migration.target, lineup, lineup.serving).label
        why = f"{', '.join(reasons)}: built beside {beside}, which serves until `cutover`"
        if not found.actions and not found.verify:
            why = f"{found.why}; built beside {beside}, which serves until `vecmig cutover`"
        risks = found.risks
        if found.actions and (hindered := _hindrance(migration, lineup, generation)):
            risks = (*risks, f"cutover: {hindered}")
        return replace(found, generation=generation, beside=beside, why=why, risks=risks)
    assert first is not None
    raise first


def _with_chains(project: Project, planned: Sequence[MigrationPlan]) -> list[MigrationPlan]:
    """Return the plans; one that reads what another of them is to write tells that it sees it as it is before."""
    moving = {each.name for each in planned if each.actions}
    found = []
    for each in planned:
        migration = next(known for known in project.migrations if known.name == each.name)
        if writers := [name for name in writers_of(migration, project.migrations) if name in moving]:
            risk = (
                f"{each.name} reads {each.source} as it is now, and {', '.join(writers)} writes it in this same plan: apply"
                f" {' '.join(f'--only {name}' for name in writers)} first, then --only {each.name}"
            )
            each = replace(each, risks=(risk, *each.risks))
        found.append(each)
    return found


def lined_up(project: Project, planned: Sequence[MigrationPlan], state: State) -> State:
    """Return the state with what the plans build beside; a build that no migration fills any more is superseded."""
    generations = {name: applied.generation for name, applied in state.applied.items()}
    generations |= {each.name: each.generation for each in planned}
    beside = {each.name for each in planned if each.beside and each.actions}
    for target in dict.fromkeys(migration.target.name for migration in project.migrations):
        filled_by = [each.name for each in project.migrations if each.target.name == target]
        lineup = state.lineup(target)
        for name in filled_by:
            lineup = lineup.building(generations[name]) if name in beside else lineup
        if lineup.build is not None and lineup.build not in {generations.get(name) for name in filled_by}:
            lineup = lineup.giving_up()
        if lineup != state.lineup(target):
            state = state.with_lineup(target, lineup)
    return state


def _with_given_up(project: Project, state: State, planned: Sequence[MigrationPlan]) -> list[MigrationPlan]:
    """Return the plans; one that fills what serves again tells of the build that is superseded by that."""
    after = lined_up(project, planned, state)
    found = []
    for each in planned:
        target = next(known for known in project.migrations if known.name == each.name).target
        lineup = state.lineup(target.name)
        if each.actions and lineup.build is not None and lineup.build in after.lineup(target.name).superseded:
            build = at_generation(target, lineup, lineup.build)
            risk = f"{build.label}, built beside before, is given up: `vecmig drop` may remove it then"
            each = replace(each, risks=(risk, *each.risks))
        found.append(each)
    return found


def _way_back(migration: Migration, lineup: Lineup, target: Observed, applied: Applied | None) -> tuple[str, ...]:
    """Return what can serve at once, where what served is not there any more."""
    ready = lineup.build is not None and applied is not None and applied.generation == lineup.build
    if target.collection is not None or not (ready or lineup.kept):
        return ()
    command, generation = ("cutover", lineup.build) if ready else ("rollback", lineup.kept)
    other = at_generation(migration.target, lineup, generation or lineup.serving)
    if observe_target(other).collection is None:
        return ()
    return (
        f"{migration.target.label} served and is not there any more: `vecmig {command}` lets {other.label} serve at"
        " once",
    )


def _hindrance(migration: Migration, lineup: Lineup, generation: int) -> str:
    """Return why the build could not take the name that serves: better known before hours of building than after."""
    serving, build = (at_generation(migration.target, lineup, each) for each in (lineup.serving, generation))
    with closing(serving.open_target()) as target:
        hindered = target.hindrance(serving.options.collection, build.options.collection)
    wanted = migration.verification
    if not hindered and wanted.records == "none" and wanted.search is None:
        return (
            "the verification that the spec asks for only counts, and such a build may not serve: say"
            " `verification: {records: {sample: 1000}}` or more"
        )
    return hindered


def _refuse_unfit(migration: Migration, source: Observed) -> None:
    """Raise SpecError where the user's own queries cannot be asked: better now than when everything is moved."""
    assert source.collection is not None
    if problems := unfit_queries(migration, source.collection, source.counts, source.decisions):
        raise SpecError(*problems)


def _with_evidence(
    project: Project, migration: Migration, source: Observed, applied: Applied | None, probes: bool
) -> Observed:
    """Return the source with what speaks for copying its vectors, or for embedding anew."""
    assert source.collection is not None
    if not may_embed(migration):
        return source
    before = applied.decisions if applied else ()
    with closing(open_cache(project)) as cache:
        found = evidence_of(migration, source.collection, source.sample, cache, before, probes)
    return changed(source, decisions=found.decisions, texts=found.texts, risks=found.risks)


def _with_data(
    project: Project,
    planned: MigrationPlan,
    migration: Migration,
    source: Observed,
    target: Observed,
    applied: Applied | None,
    mark: str,
) -> MigrationPlan:
    """Return the plan with what comparing every record found; made anew where the fingerprints did not show it."""
    try:
        found = _data(project, planned, migration, applied)
    except NotCached:
        note = "how many records differ: their embeddings are not in the cache"
        return replace(planned, unchecked=(*planned.unchecked, note))
    moves = any(isinstance(each, LoadRecords | ReconcileRecords) for each in planned.actions)
    if not moves and (found.mismatched or found.missing or (migration.prune and found.extra)):
        anew = plan_migration(migration, source, target, None, mark, project.limits)
        planned = replace(anew, why="the fingerprints are the same, and the records differ, as `--data` found")
    return with_data(planned, found, migration)


def _data(project: Project, planned: MigrationPlan, migration: Migration, applied: Applied | None) -> DataDiff:
    """Count, record by record, what the actions will find."""
    workers = project.execution.workers
    load = next((each for each in planned.actions if isinstance(each, LoadRecords)), None)
    if load:
        side = source_side(migration, load.partitions, load.conversion, workers, _ignore, Flag())
        return DataDiff(0, 0, sum(counted(side, (), control(), None).values()), 0)
    names = [migration.name] if any(each.how == "reembed" for each in planned.decisions) else []
    with purses(project, "", names) as found:
        purse = changed(found[migration.name], run=None) if found else None
        aside = frozenset(each.key for each in applied.rejected) if applied else frozenset()
        decided = planned.decisions
        with sides_of(migration, workers, _ignore, Flag(), decisions=decided, purse=purse, aside=aside) as sides:
            by_target = {each.key: each.digest for each in applied.rejected if each.by_target} if applied else {}
            refused = still_refused(sides, by_target)
            written = applied.namespaces if applied else ()
            result = compare(sides.source, sides.target, Terms(written, refused))
    return DataDiff(result.matching, result.mismatched, result.missing, result.extra)


def _ignore(converted: Converted, part: Partition, cursor: Cursor) -> None:
    """What cannot be moved is among the risks of the plan, as far as the sample shows."""
