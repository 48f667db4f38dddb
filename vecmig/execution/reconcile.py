"""A collection that holds records made equal to the source: only what is missing or differs is written."""

from collections.abc import Generator
from contextlib import closing
from threading import Lock

from vecmig.comparison.differences import Changed, Compared, Extra, differences
from vecmig.comparison.sides import source_side, target_side
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

WHOLE, NOWHERE = "", Cursor("")  # a reconciliation is not resumed inside: what it wrote is equal by then


def reconcile(
    migration: Migration, action: ReconcileRecords, workers: int, tools: Tools
) -> Generator[Progress | Looked, None, None]:
    """Yield Progress once for each batch written or deleted, after the target acknowledged it."""
    whole, lock = Partition(action.source, WHOLE), Lock()
    found: dict[Key, Rejected] = {}

    def reject(converted: Converted, part: Partition, cursor: Cursor) -> None:
        put_aside(converted.bad, converted.rejected, action.migration, part, cursor, tools)
        with lock:
            found.update({each.key: each for each in converted.rejected})

    source = source_side(migration, action.partitions, action.conversion, workers, reject, tools.stop)
    target = target_side(migration, workers, tools.stop)
    with closing(migration.target.open_target()) as writer:
        count, number = Count(), 0
        steps = differences(source, target, watch=count.add, stop=tools.stop)
        while (each := (yield from watched(action.migration, count, lambda: next(steps, None)))) is not None:
            number += 1
            match each:
                case Compared(_, rows):
                    yield Progress(action.migration, whole, NOWHERE, rows, 0, rejected=tuple(found.values()))
                case Changed(batch):
                    tools.read_throttle.take(len(batch))
                    rejected = write(writer, action.target, batch, tools)
                    kept, bad = split(batch, rejected)
                    put_aside(bad, rejected, action.migration, whole, Cursor(str(number)), tools)
                    yield Progress(
                        action.migration, whole, NOWHERE, 0, len(kept), digest_of(kept), rejected, bytes=batch.nbytes
                    )
                case Extra(keys) if action.prune:
                    tools.write_throttle.take(len(keys))
                    retrying(tools.stop)(writer.delete, action.target, keys)
                    yield Progress(action.migration, whole, NOWHERE, 0, 0, deleted=len(keys))
