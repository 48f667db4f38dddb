import time
from collections.abc import Generator, Sequence
from threading import Event, Thread, Timer

import pytest

from tests.clock import Clock
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.errors import ConnectorError, TransientError
from vecmig.model.batch import Key, RecordBatch
from vecmig.model.plan import Partition
from vecmig.model.state import Cursor
from vecmig.retry import Throttle, read_on, retrying
from vecmig.testing.contract import COLLECTION, KEYS, records


class Failing(MemoryConnector):
    """Fails after every page, before the next."""

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        yield next(iter(super().read(part, after, vectors)), None) or _end()
        raise TransientError("the connection was lost")


def _end() -> tuple[RecordBatch, Cursor]:
    raise TransientError("the connection was lost at the end")


def test_a_read_goes_on_behind_the_last_page_that_came() -> None:
    options = MemoryOptions(COLLECTION.name, "retry", page_rows=2)
    store = options.open()
    store.create(COLLECTION)
    store.upsert(COLLECTION.name, records(KEYS))
    failing = Failing(options, store.database)
    (part,) = store.partitions(COLLECTION.name, 1)
    seen: list[Key] = []
    with pytest.raises(TransientError, match="at the end"):
        seen.extend(key for batch, _ in read_on(failing, part, None, None, retrying(Event(), 1)) for key in batch.keys)
    assert seen == KEYS, "each page came once"


def test_a_transient_error_is_tried_again_and_another_is_not() -> None:
    calls = []

    def call(error: type[Exception], times: int) -> str:
        calls.append(error)
        if len(calls) <= times:
            raise error("no")
        return "done"

    assert retrying(Event())(call, TransientError, 2) == "done"
    assert len(calls) == 3
    calls.clear()
    with pytest.raises(ConnectorError):
        retrying(Event())(call, ConnectorError, 1)
    assert len(calls) == 1


def test_waiting_for_the_next_try_ends_when_the_user_stops() -> None:
    stop = Event()
    Timer(0.3, stop.set).start()

    def call() -> None:
        raise TransientError("no")

    started = time.monotonic()
    with pytest.raises(TransientError):
        retrying(stop)(call)
    assert time.monotonic() - started < 5


class Stop(Event):
    """Passes the time of a clock while somebody waits for it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.sleep(timeout or 0.0)
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1000.0)
    monkeypatch.setattr("vecmig.retry.time", clock)
    return clock


def test_a_throttle_holds_its_rate(clock: Clock) -> None:
    throttle, began = Throttle(1000, Stop(clock)), clock.now
    for _ in range(6):
        throttle.take(50)
    assert clock.now - began == pytest.approx(0.3), "300 records at 1,000 a second"


def test_a_throttle_holds_its_rate_over_all_threads() -> None:
    throttle, started = Throttle(1000, Event()), time.monotonic()

    def take() -> None:
        for _ in range(3):
            throttle.take(50)

    threads = [Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started > 0.29, "300 records at 1,000 a second"


def test_without_a_rate_nothing_waits(clock: Clock) -> None:
    began = clock.now
    Throttle(None, Stop(clock)).take(10**9)
    assert clock.now == began


def test_a_throttle_lets_go_when_the_user_stops() -> None:
    stop, started = Event(), time.monotonic()
    throttle = Throttle(1, stop)
    Timer(0.2, stop.set).start()
    throttle.take(1000)
    assert time.monotonic() - started < 5
