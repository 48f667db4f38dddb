"""A collection that holds records made equal to the source: only what is missing or differs is written."""

import logging
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing

from msgspec.structs import replace

from vecmig.comparison.differences import Changed, Compared, Extra, differences
from vecmig.comparison.sides import Reads, partitions_of, source_side, target_side
from vecmig.comparison.terms import Terms
from vecmig.comparison.watched import Count, watched
from vecmig.conversion.convert import Converted
from vecmig.execution.copy import Tools, put_aside, split, write
from vecmig.migration import Migration
from vecmig.model.digest import digest_of
from vecmig.model.plan import Partition, ReconcileRecords
from vecmig.model.record import Key, Rejected
from vecmig.model.state import Cursor, Progress
from vecmig.protocols import Looked
from vecmig.retry import retrying

log = logging.getLogger(__name__)
UNSURE = "%s: `prune` leaves %s records alone: the source says it holds %s, and reading gave %s. Run it again"
WHOLE, NOWHERE = "", Cursor("")  # a reconciliation is not resumed inside: what it wrote is equal by then


def reconcile(
    migration: Migration,
    action: ReconcileRecords,
    workers: int,
    tools: Tools,
    written: Collection[str] = (),
    count_bad: Callable[[Sequence[Rejected]], None] = lambda rejected: None,
) -> Generator[Progress | Looked, None, None]:
    """Yield Progress once for each batch written or deleted, after the target acknowledged it.

    The first begins the checkpoint anew, and a record that cannot be moved is told once, however often it is read.
    `written`: namespaces that the migration has written before. `count_bad` is shown what cannot be moved as soon as it
    is read, by several threads: its error ends the run.
    """
    whole = Partition(action.source, WHOLE)

    def reject(converted: Converted, part: Partition, cursor: Cursor) -> None:
        put_aside(converted.bad, converted.rejected, action.migration, part, cursor, tools)
        count_bad(converted.rejected)

    patiently = retrying(tools.stop)
    said, parts = patiently(_source_now, migration, workers)
    if migration.where is None and migration.limit is None:
        yield Looked(action.migration, 0, of=2 * said)
    reads = Reads(migration.limit)
    source = source_side(
        migration,
        parts,
        action.conversion,
        workers,
        reject,
        tools.stop,
        reads,
        throttle=tools.read_throttle,
        embed=tools.embed,
    )
    target = patiently(target_side, migration, workers, tools.stop)
    told: set[Key] = set()

    def news() -> tuple[Rejected, ...]:
        new = tuple(each for each in source.refused.records if each.key not in told)
        told.update(each.key for each in new)
        return new

    def progress(rows: int = 0, deleted: int = 0) -> Progress:
        return Progress(action.migration, whole, NOWHERE, 0, rows, rejected=news(), deleted=deleted)

    count, number = Count(), 0
    terms = Terms(written, watch=count.add, stop=tools.stop)
    with (
        closing(patiently(migration.target.open_target)) as writer,
        closing(differences(source, target, terms)) as steps,
    ):
        while (each := (yield from watched(action.migration, count, lambda: next(steps, None)))) is not None:
            number += 1
            match each:
                case Compared(_, rows):
                    yield replace(progress(), read=rows, anew=True)
                case Changed(batch):
                    rejected = write(writer, action.target, batch, tools)
                    kept, bad = split(batch, rejected)
                    put_aside(bad, rejected, action.migration, whole, Cursor(str(number)), tools)
                    told.update(each.key for each in rejected)
                    step = progress(len(kept))
                    yield replace(
                        step, digest=digest_of(kept), rejected=(*step.rejected, *rejected), bytes=batch.nbytes
                    )
                case Extra(keys) if action.prune and not reads.agree_with(said):
                    # what the source did not give, though it counts it, must not be taken for gone
                    log.warning(UNSURE, migration.name, len(keys), said, reads.rows)
                case Extra(keys) if action.prune:
                    doomed = _certain(keys, source.refused.keys, by_id=action.conversion.namespace_from is not None)
                    tools.write_throttle.take(len(doomed))
                    patiently(writer.delete, action.target, doomed)
                    yield progress(deleted=len(doomed))
        if source.refused.keys - told:  # turned bad while the rest was compared
            yield progress()


def _source_now(migration: Migration, workers: int) -> tuple[int, tuple[Partition, ...]]:
    """Return how many records the source says it holds, and its parts: the plan's may be files, which lack what is new."""
    with closing(migration.source.open_source()) as connection:
        said = sum(connection.count(migration.source.options.collection).values())
        return said, partitions_of(migration, connection, workers)


def _certain(keys: Sequence[Key], refused: Collection[Key], by_id: bool) -> Sequence[Key]:
    """Return the keys that no bad record of the source can be meant by; `by_id`: its namespace may not be known."""
    ids = {key.id for key in refused} if by_id else set()
    return [key for key in keys if key.id not in ids]
