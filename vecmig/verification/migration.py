"""A migration held against its source as it is now, also where the reading itself is wrong."""

from collections.abc import Collection as Some
from collections.abc import Generator, Iterable
from contextlib import closing
from threading import Event

from msgspec.structs import replace

from vecmig.comparison.reading import Side
from vecmig.comparison.sides import OnRejected, Reads, partitions_of, source_side, target_side
from vecmig.comparison.watched import Count, watched
from vecmig.conversion.convert import Converted
from vecmig.embedding.embed import Step
from vecmig.errors import CollectionNotFound
from vecmig.migration import Migration
from vecmig.model.collection import Collection
from vecmig.model.plan import Conversion, Decision, Partition
from vecmig.model.record import Key
from vecmig.model.report import Breach, Report
from vecmig.model.state import Cursor
from vecmig.planning.declare import conversion_of, declare
from vecmig.protocols import Event as Happening
from vecmig.protocols import Stage
from vecmig.retry import Throttle
from vecmig.verification.verify import verify


def prove(
    migration: Migration,
    *,
    project: str,
    environment: str,
    excluded: Iterable[Key],
    refused: Iterable[Key] | None = None,
    written: Some[str] = (),
    lag_s: float = 0.0,
    read_records_per_s: int | None = None,
    workers: int,
    stop: Event,
) -> Generator[Happening, None, Report]:
    """Verify a migration; yield how far it is.

    `excluded`: keys that apply put aside; `refused`: those of them that the target refused, None: any of them may be.
    The others are expected as soon as the source gives them well. `written`: namespaces that the migration has written
    before. `lag_s`: see `verify`. `read_records_per_s`: of the source, over all workers.

    Besides what `verify` checks, a record that cannot be moved and was not put aside fails, and so does a source that
    says it holds more or fewer records than reading it gave: nothing that was skipped on both ways is proven.
    """
    aside = frozenset(excluded)
    by_target = aside if refused is None else frozenset(refused)
    unmovable: dict[Key, str] = {}

    def reject(converted: Converted, part: Partition, cursor: Cursor) -> None:
        unmovable.update({each.key: each.reason for each in converted.rejected if each.key not in aside})

    yield Stage(migration.name, "verify")
    source, target, conversion, declared, reads = sides_of(
        migration, workers, reject, stop, Throttle(read_records_per_s, stop)
    )
    with closing(migration.source.open_source()) as store:
        said = sum(store.count(source.collection).values())
    unexpected = _unexpected(migration, source, aside, by_target)
    count = Count()
    report = yield from watched(
        migration.name,
        count,
        lambda: verify(
            migration,
            source,
            target,
            project=project,
            environment=environment,
            conversion=conversion,
            declared=declared,
            excluded=unexpected,
            written=written,
            lag_s=lag_s,
            watch=count.add,
            stop=stop,
        ),
    )
    report = replace(report, quarantined=len(unexpected | (aside & source.refused.keys)))
    breaches = [*report.breaches]
    if unmovable:
        key, reason = min(unmovable.items())
        hint = f"the source holds records that cannot be moved, such as {key}: {reason}"
        allowed = migration.verification.thresholds.missing
        lost = len(unmovable) + (report.records.missing if report.records else 0)
        if lost > allowed:
            breaches.append(Breach("missing", allowed, lost, hint))
    if not reads.agree_with(said):
        hint = f"the source says it holds {said:,} records, reading gave {reads.rows:,}: was it written meanwhile?"
        breaches.append(Breach("missing", 0, abs(said - reads.rows), hint))
    if len(breaches) > len(report.breaches):
        report = replace(report, verdict="failed", breaches=tuple(breaches))
    return report


def _unexpected(migration: Migration, source: Side, aside: frozenset[Key], by_target: frozenset[Key]) -> frozenset[Key]:
    """Return the keys that the target need not hold though the source gives them."""
    if migration.verification.records == "all":
        return by_target  # what cannot be converted is not given
    if source.fetch is None:
        return aside  # vectors are not read: what is wrong with them does not show
    with closing(source.open()) as store:
        return aside.difference(source.fetch(store, sorted(aside - by_target)).keys)


def sides_of(
    migration: Migration,
    workers: int,
    reject: OnRejected,
    stop: Event,
    throttle: Throttle | None = None,
    decisions: Some[Decision] = (),
    embed: Step | None = None,
) -> tuple[Side, Side, Conversion, Collection, Reads]:
    """Return what is expected, what is there, how the one becomes the other, and what the spec declares.

    `decisions`: how vectors came about at the last apply. `embed`: see `source_side`.
    """
    name = migration.source.options.collection
    with closing(migration.source.open_source()) as connection:
        collection = connection.describe(name)
        if collection is None:
            raise CollectionNotFound(f"{migration.name}: the source {migration.source.label} is not there")
        parts = partitions_of(migration, connection, workers)
    decided = {each.vector: each for each in decisions}
    declared = declare(migration, collection, None, decisions=decided)
    conversion = conversion_of(migration, collection, declared, decided)
    reads = Reads(migration.limit)
    source = source_side(migration, parts, conversion, workers, reject, stop, reads, throttle, embed)
    return source, target_side(migration, workers, stop), conversion, declared, reads
