"""Two sides that can be read again and again, by several threads at once."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from queue import Queue
from threading import Event
from typing import Literal, TypeVar

from vecmig.comparison.refused import Refused
from vecmig.errors import Stopped
from vecmig.model.batch import RecordBatch
from vecmig.model.plan import Partition
from vecmig.model.record import Key
from vecmig.protocols import Source

T = TypeVar("T")
Pages = Callable[[Source, Partition, Sequence[str] | None], Iterator[RecordBatch]]
Watch = Callable[[str, int], None]  # name of the side, records read; called from several threads


def stored(source: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
    """Yield a partition as it is stored; `vectors` as in `Source.read`."""
    for batch, _ in source.read(part, None, vectors):
        yield batch


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: what is stored there, or what that becomes."""

    name: Literal["source", "target"]
    collection: str
    open: Callable[[], Source]  # a connection for one thread
    partitions: tuple[Partition, ...]
    pages: Pages = stored  # records in the target's terms, those that cannot be moved left out
    fetch: Callable[[Source, Sequence[Key]], RecordBatch] | None = None  # by the target's keys, in its terms
    workers: int = 1
    refused: Refused = field(default_factory=Refused)  # what `pages` and `fetch` left out so far


@dataclass(frozen=True, slots=True)
class Control:
    """What all readers of one comparison share."""

    stop: Event  # set by the user: end with Stopped
    broken: Event  # set after an error: end
    watch: Watch

    @property
    def ended(self) -> bool:
        return self.stop.is_set() or self.broken.is_set()


def control(stop: Event | None = None, watch: Watch | None = None) -> Control:
    return Control(stop or Event(), Event(), watch or (lambda side, rows: None))


def spread(
    side: Side, work: Callable[[Iterator[RecordBatch]], T], control: Control, vectors: Sequence[str] | None = None
) -> list[T]:
    """Read all partitions, each by one of the side's workers; return what `work` made of each worker's share.

    `work` runs in several threads. Raises Stopped, or the first error of any worker.
    """
    waiting = deque(side.partitions)
    count = max(1, min(side.workers, len(waiting)))
    with ThreadPoolExecutor(count, thread_name_prefix=side.name) as pool:
        shares = [pool.submit(_share, side, waiting, work, control, vectors) for _ in range(count)]
        try:
            results = [share.result() for share in shares]
        except BaseException:
            control.broken.set()
            raise
    if control.stop.is_set():
        raise Stopped("the comparison was stopped at your wish. Run the same command again")
    return results


def both(first: Callable[[], T], second: Callable[[], T], control: Control) -> tuple[T, T]:
    """Do both at the same time. An error of one ends the other."""
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(first), pool.submit(second)]
        try:
            while not all(future.done() for future in futures):
                for future in futures:
                    if future.done():
                        future.result()
                    else:
                        _wait(future)
            return futures[0].result(), futures[1].result()
        except BaseException:
            control.broken.set()
            raise


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def streamed(side: Side, find: Callable[[RecordBatch], T | None], control: Control) -> Iterator[T]:
    """Yield what `find`, run by the side's workers, makes of each page; None is left out. At most a few are held."""
    found: Queue[T | _End] = Queue(maxsize=2 * side.workers)

    def work(pages: Iterator[RecordBatch]) -> None:
        for page in pages:
            result = find(page)
            if result is not None:
                found.put(result)

    def run() -> None:
        try:
            spread(side, work, control)
        except BaseException as error:
            found.put(_End(error))
            raise
        found.put(_End(None))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run)
        ended = False
        try:
            while True:
                each = found.get()
                if isinstance(each, _End):
                    ended = True
                    if each.error:
                        raise each.error
                    return
                yield each
        finally:
            if not ended:  # left early: the workers must not wait for room
                control.broken.set()
                while not isinstance(found.get(), _End):
                    pass


def _share(
    side: Side,
    waiting: "deque[Partition]",
    work: Callable[[Iterator[RecordBatch]], T],
    control: Control,
    vectors: Sequence[str] | None,
) -> T:
    try:
        if not waiting:
            return work(iter(()))
        with closing(side.open()) as source:
            return work(_pages(side, source, waiting, control, vectors))
    except BaseException:
        control.broken.set()
        raise


def _pages(
    side: Side, source: Source, waiting: "deque[Partition]", control: Control, vectors: Sequence[str] | None
) -> Iterator[RecordBatch]:
    while waiting and not control.ended:
        try:
            part = waiting.popleft()
        except IndexError:  # another worker was quicker
            return
        for page in side.pages(source, part, vectors):
            if control.ended:
                return
            control.watch(side.name, len(page))
            if len(page):
                yield page


def _wait(future: "Future[T]") -> None:
    ended = Event()
    future.add_done_callback(lambda _: ended.set())
    ended.wait(0.2)
