"""What may be tried again, and how long: only errors that a connector calls transient."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from threading import Event, Lock
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential_jitter,
)
from tenacity.nap import sleep_using_event

from vecmig.errors import TransientError
from vecmig.model.batch import RecordBatch
from vecmig.model.plan import Partition
from vecmig.model.state import Cursor
from vecmig.protocols import Source

log = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE_S = 60.0  # a server's restart or a failover passes in that time; what lasts longer needs a person


def retrying(stop: Event, patience_s: float = PATIENCE_S) -> Retrying:
    """Return a caller that repeats a call after TransientError, with back-off and jitter, until `stop` is set."""
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_exponential_jitter(multiplier=0.2, max=10, jitter=0.5),
        stop=stop_after_delay(patience_s) | stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=_say,
        reraise=True,
    )


def read_on(
    source: Source, part: Partition, after: Cursor | None, vectors: Sequence[str] | None, retry: Retrying
) -> Generator[tuple[RecordBatch, Cursor], None, None]:
    """Read a partition as `Source.read` does; after a transient error go on behind the last batch that came."""
    last = after

    def behind() -> Iterator[tuple[RecordBatch, Cursor]]:
        return source.read(part, last, vectors)

    for found in begun_again(behind, retry):
        last = found[1]
        yield found


def begun_again(begin: Callable[[], Iterator[T]], retry: Retrying) -> Generator[T, None, None]:
    """Yield what an iterator gives; after a transient error `begin` another one, and go on with what that gives."""
    steps = begin()

    def step() -> T | None:
        nonlocal steps
        try:
            return next(steps, None)
        except TransientError:
            steps = begin()
            raise

    while (found := retry.copy()(step)) is not None:
        yield found


class Throttle:
    """Lets through at most `per_s` records a second, over all threads that share it. None: no limit."""

    def __init__(self, per_s: int | None, stop: Event) -> None:
        self._per_s, self._stop, self._lock, self._free_at = per_s, stop, Lock(), 0.0

    @property
    def at_once(self) -> int | None:
        """The records of one second: more at once would be a burst. None: any number."""
        return self._per_s

    def take(self, records: int) -> None:
        """Wait until so many records more are within the rate since the first, or `stop` is set."""
        if self._per_s is None:
            return
        with self._lock:
            end = self._free_at = max(self._free_at, time.monotonic()) + records / self._per_s
        self._stop.wait(max(0.0, end - time.monotonic()))


def _say(call: RetryCallState) -> None:
    error = call.outcome.exception() if call.outcome else None
    log.warning("trying again in %.1f s: %s", call.upcoming_sleep, error)
