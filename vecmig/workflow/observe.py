"""Both sides as they are now."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from threading import Event
from typing import ParamSpec, TypeVar

from vecmig.comparison.sides import partitions_of
from vecmig.errors import CollectionNotFound
from vecmig.migration import DeclaredTarget, Endpoint, Migration, Project, at_generation
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection
from vecmig.model.observed import Observed
from vecmig.model.plan import Plan
from vecmig.model.state import Lineup, State
from vecmig.planning.stale import Ends
from vecmig.protocols import Source
from vecmig.retry import retrying
from vecmig.spec.check import writers_of

P = ParamSpec("P")
T = TypeVar("T")
SAMPLE_ROWS, SAMPLE_PLACES = 2000, 8
PATIENCE_S = 10.0  # with a store that is away for a moment: somebody waits for the plan


def observe_source(project: Project, migration: Migration) -> Observed:
    """Return the source as it is now. Raises CollectionNotFound if it is not there."""
    try:
        return _patiently(_source_now, migration, project.execution.workers)
    except CollectionNotFound as error:
        writers = writers_of(migration, project.migrations)
        way = " ".join(f"--only {name}" for name in writers)
        raise CollectionNotFound(
            f"{error}; {', '.join(writers)} makes it: `vecmig apply {way}` first" if way else str(error)
        ) from error


def observe_target(endpoint: Endpoint) -> Observed:
    """Return the target as it is now; there may be none."""
    return _patiently(_target_now, endpoint)


def _source_now(migration: Migration, workers: int) -> Observed:
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


def _target_now(endpoint: Endpoint) -> Observed:
    name = endpoint.options.collection
    with closing(endpoint.open_target()) as target:
        collection = target.describe(name)
        place = endpoint.options.place
        if collection is None:
            return Observed(None, {}, place=place, switches=target.capabilities.switches)
        return Observed(
            collection,
            target.count(name),
            target.fingerprint(name),
            place=place,
            switches=target.capabilities.switches,
        )


def ends_now(project: Project, plan: Plan, state: State | None) -> dict[str, Ends]:
    """Observe what staleness depends on."""
    works, found = works_of(project), {}
    for planned in plan.migrations:
        work = works[planned.name]
        lineup = state.lineup(work.target.name) if state else Lineup()
        target = at_generation(work.target, lineup, planned.generation)
        source = _patiently(_glimpse, work.source) if isinstance(work, Migration) else None
        found[planned.name] = Ends(source, _patiently(_glimpse, target))
    return found


def described(endpoint: Endpoint) -> Collection | None:
    """Return the collection as it is now, or None."""
    with closing(endpoint.open_source()) as source:
        return source.describe(endpoint.options.collection)


def inspect(endpoint: Endpoint) -> Collection:
    """Return a live collection. Raises CollectionNotFound."""
    found = described(endpoint)
    if found is None:
        raise CollectionNotFound(f"{endpoint.label} is not there")
    return found


def diagnose(project: Project) -> Iterator[tuple[str, bool, str]]:
    """Yield a check after the other, for every target and every source that a migration uses."""
    works = works_of(project).values()
    sources = {work.source.name: work.source for work in works if isinstance(work, Migration)}
    targets = {work.target.name: work.target for work in works}
    for endpoint in (*sources.values(), *targets.values()):
        sound = True
        for what, well, detail in endpoint.options.diagnose():
            sound = sound and well
            yield f"{endpoint.name}: {what}", well, detail
        if sound and endpoint.name in sources and described(endpoint) is None:
            yield f"{endpoint.name}: as a source", False, f"{endpoint.label} is not there: nothing can be read from it"


def works_of(project: Project) -> Mapping[str, Migration | DeclaredTarget]:
    """Return all that a plan may work on, by name."""
    works: list[Migration | DeclaredTarget] = [*project.migrations, *project.targets]
    return {work.name: work for work in works}


def _patiently(look: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    found: T = retrying(Event(), PATIENCE_S)(look, *arguments, **named)
    return found


def _glimpse(endpoint: Endpoint) -> Observed:
    """Return a side without counts, sample and partitions."""
    name = endpoint.options.collection
    with closing(endpoint.open_source()) as connection:
        collection = connection.describe(name)
        fingerprint = connection.fingerprint(name) if collection else None
        keeps = connection.capabilities.keeps_cursors
    return Observed(collection, {}, fingerprint, place=endpoint.options.place, keeps_cursors=keeps)


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
