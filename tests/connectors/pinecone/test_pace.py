"""The rate that a service allows is found out, shared, kept, and left again."""

import threading
import time

import pytest

from tests.clock import Clock
from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import TRANSPORTS, asked, batch
from tests.doubles.pinecone import Double, Fault
from vecmig.connectors.pinecone.client.pace import Pace
from vecmig.errors import TransientError

ROWS = [{"id": f"{n:05}"} for n in range(100)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1000.0)
    monkeypatch.setattr("vecmig.connectors.pinecone.client.pace.time", clock)
    return clock


def taken_in(pace: Pace, clock: Clock, seconds: float) -> int:
    """Return how many requests may go in so long, where there is a limit."""
    end, count = clock.now + seconds, 0
    while clock.now < end:
        pace.take(10, "test")
        count += 1
    return count


def burst(pace: Pace) -> None:
    for _ in range(100):
        pace.take(10, "test")


def test_without_a_refusal_nobody_waits(clock: Clock) -> None:
    began = clock.now
    burst(Pace())
    assert clock.now == began


def test_a_refusal_slows_down_to_less_than_what_was_sent(clock: Clock) -> None:
    pace = Pace()
    burst(pace)
    pace.refused(None)
    assert pace.per_s == pytest.approx(0.7 * 50)
    assert 15 <= taken_in(pace, clock, 0.5) <= 22


def test_refusals_of_requests_sent_at_the_same_time_count_once(clock: Clock) -> None:
    pace = Pace()
    burst(pace)
    for _ in range(8):
        pace.refused(None)
    assert pace.per_s == pytest.approx(0.7 * 50)


def test_a_second_refusal_slows_down_further_though_requests_went_on_between_them(clock: Clock) -> None:
    pace = Pace()
    burst(pace)
    pace.refused(None)
    first = pace.per_s
    taken_in(pace, clock, 1.1)
    pace.refused(None)
    assert first is not None
    assert pace.per_s is not None
    assert pace.per_s < 0.8 * first


def test_the_rate_grows_again_and_the_limit_is_forgotten(clock: Clock) -> None:
    pace = Pace(per_s=9_990)
    pace.take(10, "test")
    clock.sleep(0.05)
    pace.take(10, "test")
    assert pace.per_s is None


def test_a_refusal_of_a_lone_request_is_made_up_for_in_seconds(clock: Clock) -> None:
    pace = Pace()
    pace.take(10, "test")
    pace.refused(None)
    assert 3 <= taken_in(pace, clock, 1) <= 8


def test_those_who_wait_already_heed_a_pause_that_comes_meanwhile(clock: Clock) -> None:
    pace = Pace(per_s=10)
    pace.take(10, "test")
    clock.after(0.02, lambda: pace.refused(0.4))
    began = clock.now
    pace.take(10, "test")  # would be due after 0.1 s
    assert 0.4 < clock.now - began < 1


def test_a_pause_longer_than_patience_is_told_at_once(clock: Clock) -> None:
    pace = Pace()
    pace.refused(600)
    began = clock.now
    with pytest.raises(TransientError, match="fewer requests, the next one in 600 s"):
        pace.take(15, "pinecone upsert in 'docs'")
    assert clock.now == began


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_six_workers_share_a_limit_and_few_requests_are_refused(
    double: Double, connect: Connect, transport: str
) -> None:
    """Each with a pace of its own, they would send twice as many, or give up."""
    double.store.plant("docs", 3)
    double.faults.limit_rate(20, on="upsert", retry_after_s=0.2)
    connectors = [connect("docs", transport=transport) for _ in range(6)]
    count = 12

    def write(number: int) -> None:
        for n in range(count):
            assert not connectors[number].upsert("docs", batch([{"id": f"{number}-{n}"}]))

    threads = [threading.Thread(target=write, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(double.store.find("docs").records()) == 6 * count
    assert asked(double, "upsert") < 1.4 * 6 * count


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_one_worker_is_refused_slows_down_another_that_was_never(
    double: Double, connect: Connect, transport: str
) -> None:
    double.store.plant("docs", 3)
    double.faults.add(Fault.status(429), on="upsert", times=1)
    one, other = connect("docs", transport=transport), connect("docs", transport=transport)
    assert not one.upsert("docs", batch([{}]))
    began = time.monotonic()
    for _ in range(5):
        assert not other.upsert("docs", batch([{}]))
    assert time.monotonic() - began > 0.5, "at three a second, and a few more each second"
    assert asked(double, "upsert") == 2 + 5


def test_a_burst_of_many_at_once_over_the_limit_loses_nothing(double: Double, connect: Connect) -> None:
    double.store.plant("docs", 3)
    double.limits.upsert_records = 10
    double.faults.limit_rate(10, on="upsert", retry_after_s=0.2)
    rows = [{"id": f"{n:05}", "namespace": f"n{n % 30}"} for n in range(60)]
    assert not connect("docs").upsert("docs", batch(rows))
    assert sum(connect("docs").count("docs").values()) == 60


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_429_without_a_time_is_tried_again_later(double: Double, connect: Connect, transport: str) -> None:
    double.store.plant("docs", 3)
    double.faults.add(Fault.status(429), on="upsert", times=3)
    assert not connect("docs", transport=transport).upsert("docs", batch(ROWS))
    assert asked(double, "upsert") == 4


def test_retry_after_is_honoured(double: Double, connect: Connect) -> None:
    double.store.plant("docs", 3)
    double.faults.add(Fault.status(429, retry_after_s=1.5), on="upsert", times=1)
    began = time.monotonic()
    assert not connect("docs", transport="rest").upsert("docs", batch(ROWS))
    assert time.monotonic() - began > 1.5
    assert asked(double, "upsert") == 2


def test_a_retry_after_of_ten_minutes_is_no_wait_of_ten_minutes(double: Double, connect: Connect) -> None:
    double.store.plant("docs", 3)
    double.faults.add(Fault.status(429, retry_after_s=600), on="upsert")
    connector = connect("docs", transport="rest")
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(TransientError, match="fewer requests"):
            connector.upsert("docs", batch(ROWS))
        assert time.monotonic() - began < 10
    assert asked(double, "upsert") == 1, "and the service is left alone"
