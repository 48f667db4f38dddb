"""The two sides of a migration, as what is expected in the target and what is there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from threading import Event

from vecmig.comparison.reading import Side
from vecmig.comparison.refused import Refused
from vecmig.conversion.convert import Converted, convert, each_converted
from vecmig.embedding.embed import Step
from vecmig.errors import CollectionNotFound
from vecmig.migration import Migration
from vecmig.model.batch import RecordBatch
from vecmig.model.plan import Conversion, Partition
from vecmig.model.record import Key
from vecmig.model.state import Cursor
from vecmig.protocols import Source
from vecmig.retry import Throttle, read_on, retrying

PARTITIONS_PER_WORKER = 4  # so that workers end at about the same time
OnRejected = Callable[[Converted, Partition, Cursor], None]  # a batch some of whose records cannot be moved


class Reads:
    """How many records each partition gave when it was last read to its end, and how many of them were taken."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._by_partition: dict[str, tuple[int, int]] = {}

    def note(self, part: Partition, rows: int, selected: int) -> None:
        self._by_partition[part.token] = (rows, selected)

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self._by_partition.values())

    def agree_with(self, said: int) -> bool:
        """Return whether all was read that the source says it holds; where the limit was reached, nothing speaks against."""
        taken = sum(selected for _, selected in self._by_partition.values())
        return self.rows == said or (self._limit is not None and taken >= self._limit)


def source_side(
    migration: Migration,
    partitions: Sequence[Partition],
    conversion: Conversion,
    workers: int,
    on_rejected: OnRejected,
    stop: Event,
    reads: Reads | None = None,
    throttle: Throttle | None = None,
    embed: Step | None = None,
) -> Side:
    """Return the records that the migration takes, converted. `on_rejected` may be called again in a second pass.

    `embed`: what puts vectors in the place of texts; None: what is made of texts is left out.
    """
    chosen = conversion.vectors_read
    refused = Refused()

    def noted(converted: Converted, part: Partition, cursor: Cursor) -> RecordBatch:
        if throttle is not None:
            throttle.take(converted.read)
        if converted.rejected:
            refused.add(converted.rejected)
            on_rejected(converted, part, cursor)
        return converted.batch

    def pages(source: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
        read = read_on(source, part, None, () if vectors == () else chosen, retrying(stop))
        rows = selected = 0
        with closing(read):
            found = each_converted(read, conversion)
            for converted, cursor in embed(found) if embed is not None and vectors != () else found:
                rows, selected = rows + converted.read, selected + converted.selected
                yield noted(converted, part, cursor)
        if reads is not None:
            reads.note(part, rows, selected)

    name = migration.source.options.collection

    def fetch(source: Source, keys: Sequence[Key]) -> RecordBatch:
        found = convert(source.fetch(name, keys), conversion), Cursor("")
        ((converted, cursor),) = embed([found]) if embed is not None else [found]
        return noted(converted, Partition(name, ""), cursor)

    by_key = conversion.namespace_from is None and conversion.limit is None
    return Side(
        "source",
        name,
        partial(retrying(stop), migration.source.open_source),
        tuple(partitions),
        pages,
        fetch if by_key else None,
        workers,
        refused,
    )


def partitions_of(migration: Migration, source: Source, workers: int) -> tuple[Partition, ...]:
    """Return the parts of the source as it is now: an older split need not hold what was added since."""
    at_most = 1 if migration.limit is not None else workers * PARTITIONS_PER_WORKER
    return tuple(source.partitions(migration.source.options.collection, at_most))


def target_side(migration: Migration, workers: int, stop: Event, left_out: Sequence[str] = ()) -> Side:
    """Return what the target holds, without the vectors `left_out`. Raises CollectionNotFound where it is not there."""
    name = migration.target.options.collection
    with closing(migration.target.open_target()) as target:
        if target.describe(name) is None:
            raise CollectionNotFound(
                f"{migration.name}: the target {migration.target.label} is not there: apply makes it"
            )
        partitions = tuple(target.partitions(name, workers))

    def pages(target: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
        with closing(read_on(target, part, None, vectors, retrying(stop))) as read:
            for batch, _ in read:
                yield batch.without(columns) if columns else batch

    columns = {f"vector:{name}" for name in left_out}
    return Side("target", name, partial(retrying(stop), migration.target.open_target), partitions, pages, None, workers)
