"""A migration held against its source as it is now, also where the reading itself is wrong."""

from collections.abc import Generator, Iterable
from contextlib import closing
from threading import Event

from msgspec.structs import replace

from vecmig.comparison.reading import Side
from vecmig.comparison.sides import OnRejected, Reads, source_side, target_side
from vecmig.comparison.watched import Count, watched
from vecmig.conversion.convert import Converted
from vecmig.errors import CollectionNotFound
from vecmig.migration import Migration
from vecmig.model.collection import Collection
from vecmig.model.plan import Conversion, Partition
from vecmig.model.record import Key
from vecmig.model.report import Breach, Report
from vecmig.model.state import Cursor
from vecmig.planning.declare import conversion_of, declare
from vecmig.protocols import Event as Happening
from vecmig.protocols import Stage
from vecmig.verification.verify import verify

PARTITIONS_PER_WORKER = 4  # so that workers end at about the same time


def prove(
    migration: Migration, *, project: str, environment: str, excluded: Iterable[Key], workers: int, stop: Event
) -> Generator[Happening, None, Report]:
    """Verify a migration; yield how far it is. `excluded`: keys that apply put aside.

    Besides what `verify` checks, a record that cannot be moved and was not put aside fails, and so does a source that
    says it holds more or fewer records than reading it gave: nothing that was skipped on both ways is proven.
    """
    aside = frozenset(excluded)
    unmovable: dict[Key, str] = {}

    def reject(converted: Converted, part: Partition, cursor: Cursor) -> None:
        unmovable.update({each.key: each.reason for each in converted.rejected if each.key not in aside})

    yield Stage(migration.name, "verify")
    source, target, conversion, declared, reads = sides_of(migration, workers, reject, stop)
    with closing(migration.source.open_source()) as store:
        said = sum(store.count(source.collection).values())
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
            excluded=aside,
            watch=count.add,
            stop=stop,
        ),
    )
    breaches = [*report.breaches]
    if unmovable:
        key, reason = min(unmovable.items())
        hint = f"the source holds records that cannot be moved, such as {key}: {reason}"
        breaches.append(Breach("missing", migration.verification.thresholds.missing, len(unmovable), hint))
    if migration.limit is None and reads.rows != said:
        hint = f"the source says it holds {said:,} records, reading gave {reads.rows:,}: was it written meanwhile?"
        breaches.append(Breach("missing", 0, abs(said - reads.rows), hint))
    if len(breaches) > len(report.breaches):
        report = replace(report, verdict="failed", breaches=tuple(breaches))
    return report


def sides_of(
    migration: Migration, workers: int, reject: OnRejected, stop: Event
) -> tuple[Side, Side, Conversion, Collection, Reads]:
    """Return what is expected, what is there, how the one becomes the other, and what the spec declares."""
    name = migration.source.options.collection
    with closing(migration.source.open_source()) as connection:
        collection = connection.describe(name)
        if collection is None:
            raise CollectionNotFound(f"{migration.name}: the source {migration.source.label} is not there")
        parts = connection.partitions(name, 1 if migration.limit is not None else workers * PARTITIONS_PER_WORKER)
    declared = declare(migration, collection, None)
    conversion = conversion_of(migration, collection, declared)
    reads = Reads()
    source = source_side(migration, parts, conversion, workers, reject, stop, reads)
    return source, target_side(migration, workers, stop), conversion, declared, reads
