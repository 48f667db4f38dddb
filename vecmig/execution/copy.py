"""One partition from source to target: read, convert, hash, write, and only then say so."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from vecmig.conversion.convert import Converted, each_converted
from vecmig.embedding.embed import Step
from vecmig.errors import BadRecordError, Stopped
from vecmig.execution.prefetch import prefetched
from vecmig.execution.quarantine import Quarantine
from vecmig.execution.refusal import by_target
from vecmig.model.batch import RecordBatch, Rejected
from vecmig.model.digest import digest_of
from vecmig.model.plan import LoadRecords, Partition
from vecmig.model.record import Digest
from vecmig.model.state import Checkpoint, Cursor, Progress
from vecmig.protocols import Source, Target
from vecmig.retry import Throttle, read_on, retrying


@dataclass(frozen=True, slots=True)
class Tools:
    """What all workers of one migration share."""

    stop: Event  # set: finish the batch at hand and end
    read_throttle: Throttle
    write_throttle: Throttle
    quarantine: Quarantine | None  # None: a bad record ends the run
    embed: Step | None = None  # puts vectors in the place of texts; None: no vector is made of texts


@dataclass(frozen=True, slots=True)
class Prepared:
    converted: Converted
    cursor: Cursor
    digest: Digest  # of the converted batch


def copy(
    source: Source, targets: Sequence[Target], load: LoadRecords, at: Checkpoint, tools: Tools
) -> Iterator[Progress]:
    """Yield once for each batch, after the target acknowledged it, in the order of reading; go on from checkpoint `at`.

    As many batches are written at once as there are connections in `targets`: while one waits for the store to commit,
    the other is sent.
    """
    with ThreadPoolExecutor(len(targets), thread_name_prefix="write") as pool:
        under_way: deque[Future[Progress]] = deque()
        for number, each in enumerate(prefetched(_prepared(source, load, at, tools))):
            if tools.stop.is_set():
                break
            under_way.append(pool.submit(_store, targets[number % len(targets)], load, at.partition, each, tools))
            if len(under_way) == len(targets):
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _store(target: Target, load: LoadRecords, part: Partition, each: Prepared, tools: Tools) -> Progress:
    converted = each.converted
    put_aside(converted.bad, converted.rejected, load.migration, part, each.cursor, tools)
    rejected = write(target, load.target, converted.batch, tools)
    digest = each.digest
    if rejected:
        kept, bad = split(converted.batch, rejected)
        put_aside(bad, rejected, load.migration, part, each.cursor, tools)
        digest = digest_of(kept)
    # in this order a crash repeats the batch, which upsert makes harmless; in the other it would skip it
    return Progress(
        load.migration,
        part,
        each.cursor,
        read=converted.read,
        rows=len(converted.batch) - len(rejected),
        digest=digest,
        rejected=(*converted.rejected, *rejected),
        bytes=converted.batch.nbytes,
    )


def write(target: Target, collection: str, batch: RecordBatch, tools: Tools) -> tuple[Rejected, ...]:
    """Upsert a batch in pieces that the target takes; return what it refused, marked so.

    Raises TransientError where it stays away too long.
    """
    rejected: list[Rejected] = []
    for piece in _pieces(batch, target.capabilities.max_batch_bytes, tools.write_throttle.at_once or len(batch)):
        tools.write_throttle.take(len(piece))
        rejected += retrying(tools.stop)(target.upsert, collection, piece)
    return by_target(batch, rejected)


def put_aside(
    bad: RecordBatch, rejected: Sequence[Rejected], migration: str, part: Partition, cursor: str, tools: Tools
) -> None:
    """Quarantine bad records. Raises BadRecordError, which names the first, where the spec does not allow that."""
    if not rejected:
        return
    if tools.quarantine is None:
        more = f" ({len(rejected) - 1:,} more in the same batch)" if len(rejected) > 1 else ""
        raise BadRecordError(
            f"{migration}: record {rejected[0].key} cannot be moved: {rejected[0].reason}{more}. "
            "Mend it in the source, or say `on_bad_record: quarantine` in the migration, and run again: it goes on here"
        )
    tools.quarantine.put(migration, part, cursor, bad, rejected)


def split(batch: RecordBatch, rejected: Sequence[Rejected]) -> tuple[RecordBatch, RecordBatch]:
    """Return the records that were taken, and those that were not, in the order of `rejected`."""
    row_of = {key: row for row, key in enumerate(batch.keys)}
    bad = [row_of[each.key] for each in rejected]
    taken = set(range(len(batch))) - set(bad)
    return batch.take(sorted(taken)), batch.take(bad)


def _prepared(source: Source, load: LoadRecords, at: Checkpoint, tools: Tools) -> Generator[Prepared, None, None]:
    vectors = load.conversion.vectors_read
    pages = read_on(source, at.partition, at.cursor, vectors, retrying(tools.stop))
    found = each_converted(pages, load.conversion, taken=at.rows + len(at.rejected))
    for converted, cursor in found if tools.embed is None else tools.embed(found):
        tools.read_throttle.take(converted.read)
        yield Prepared(converted, cursor, digest_of(converted.batch))


def _pieces(batch: RecordBatch, max_bytes: int, max_rows: int) -> Iterator[RecordBatch]:
    if (batch.nbytes <= max_bytes and len(batch) <= max_rows) or len(batch) <= 1:
        if len(batch):
            yield batch
        return
    half = len(batch) // 2
    yield from _pieces(batch.slice(0, half), max_bytes, max_rows)
    yield from _pieces(batch.slice(half), max_bytes, max_rows)


def check_stop(stop: Event) -> None:
    """Raise Stopped if the user asked to end."""
    if stop.is_set():
        raise Stopped("stopped at your wish; what was acknowledged is saved. Run the same command again to go on")
