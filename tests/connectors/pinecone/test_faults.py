"""A service that fails now and then, for long, or in the middle: nothing is lost or doubled, and nothing hangs."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import TRANSPORTS, asked, batch, ids, impatient, keys, pages, plant, problems
from tests.doubles.pinecone import Double, Fault, running
from vecmig.connectors.pinecone.records.write import upsert
from vecmig.errors import CollectionNotFound, ConnectorError, TransientError
from vecmig.model.record import Key
from vecmig.retry import read_on, retrying

MANY = [{"id": f"{n:05}", "namespace": ("", "other")[n % 2], "metadata": {"n": n}} for n in range(2_000)]
TEN_PERCENT = (
    Fault.status(429),
    Fault.status(429, retry_after_s=0.1),
    Fault.status(500),
    Fault.status(503, applied=True),
    Fault.reset(),
    Fault.reset(applied=True),
    Fault.truncated(),
)


def fail_now_and_then(double: Double) -> None:
    for fault in TEN_PERCENT:
        double.faults.add(fault, probability=0.1 / len(TEN_PERCENT))


def failed(double: Double) -> int:
    return sum(each.status != 200 for each in double.requests)


@pytest.fixture
def double() -> Iterator[Double]:
    """Whose failures come by chance, and the same in each run."""
    with running(seed=11) as double:
        yield double


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_writing_through_ten_percent_of_failures_loses_nothing(
    double: Double, connect: Connect, transport: str
) -> None:
    index = double.store.plant("docs", 3)
    connector = connect("docs", transport=transport)
    connector.describe("docs")
    fail_now_and_then(double)
    for start in range(0, len(MANY), 100):
        assert not connector.upsert("docs", batch(MANY[start : start + 100]))
    assert len(index.records()) + len(index.records("other")) == len(MANY)
    assert failed(double) >= 3
    assert asked(double, "upsert") <= 1.3 * 40


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_reading_through_ten_percent_of_failures_gives_each_record_once(
    double: Double, connect: Connect, transport: str
) -> None:
    plant(double, [f"{n:05}" for n in range(3_000)])
    connector = connect("docs", transport=transport)
    without = pages(connector)
    requests = asked(double, "list", "fetch")
    double.requests.clear()
    fail_now_and_then(double)
    read = pages(connector)
    assert keys(read) == keys(without)
    assert not problems(read)
    assert failed(double) >= 3
    assert asked(double, "list", "fetch") <= 1.3 * requests


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("fault", [Fault.status(503), Fault.reset(), Fault.truncated()], ids=["503", "reset", "half"])
def test_a_storm_that_lasts_is_transient_in_the_end_and_no_hang(double: Double, transport: str, fault: Fault) -> None:
    with impatient(double, transport, patience_s=0.4) as writing:
        double.faults.add(fault)
        began = time.monotonic()
        with pytest.raises(TransientError, match="pinecone upsert in 'docs'"):
            upsert(writing, batch([{}]))
        assert time.monotonic() - began < 30
    assert 2 <= asked(double, "upsert") <= 6


def test_after_a_failure_nothing_is_sent_behind_the_callers_back(double: Double, connect: Connect) -> None:
    double.store.plant("docs", 3)
    connector = connect("docs")
    connector.describe("docs")
    double.faults.add(Fault.status(403), on="upsert", skip=1)
    with pytest.raises(ConnectorError):
        connector.upsert("docs", batch([{"id": f"{n}", "namespace": f"{n}"} for n in range(300)]))
    sent = asked(double, "upsert")
    assert sent < 100
    time.sleep(0.3)
    assert asked(double, "upsert") == sent


def test_a_slow_service_is_waited_for(double: Double, connect: Connect) -> None:
    plant(double, [f"{n:05}" for n in range(600)])
    double.faults.add(Fault.slow(0.5), on=("list", "fetch"), probability=0.3)
    assert len(ids(pages(connect("docs")))) == 600


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_answer_that_does_not_come_is_transient(double: Double, transport: str) -> None:
    with impatient(double, transport, timeout_s=0.3) as writing:
        double.faults.add(Fault.slow(0.6), on="upsert")
        began = time.monotonic()
        with pytest.raises(TransientError, match="no answer in time"):
            upsert(writing, batch([{}]))
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_index_that_is_deleted_meanwhile_is_not_found(double: Double, connect: Connect, transport: str) -> None:
    plant(double, [f"{n:05}" for n in range(600)])
    connector = connect("docs", transport=transport)
    double.faults.add(Fault.index_deleted(), on="fetch", skip=1, times=1)
    with pytest.raises(CollectionNotFound, match=r"'docs'.*not there"):
        pages(connector)
    for call in (lambda: connector.upsert("docs", batch([{}])), lambda: connector.delete("docs", batch([{}]).keys)):
        with pytest.raises(CollectionNotFound, match="not there"):
            call()


def test_a_server_that_goes_away_and_comes_back_interrupts_nothing_for_good(double: Double, connect: Connect) -> None:
    names = [f"{n:05}" for n in range(600)]
    plant(double, names)
    connector = connect("docs", page_rows=100)
    (part,) = connector.partitions("docs", 1)
    double.faults.add(Fault.reset(), on=("list", "fetch"))
    threading.Timer(2, double.faults.clear).start()
    read = list(read_on(connector, part, None, None, retrying(threading.Event())))
    assert ids(read) == names


def test_a_write_that_was_applied_though_its_answer_was_lost_is_repeated_harmlessly(
    double: Double, connect: Connect
) -> None:
    index = double.store.plant("docs", 3)
    double.faults.add(Fault.reset(applied=True), on="upsert", times=2)
    assert not connect("docs").upsert("docs", batch(MANY[:100]))
    assert len(index.records()) + len(index.records("other")) == 100


def test_a_delete_whose_answer_was_lost_is_repeated_harmlessly(double: Double, connect: Connect) -> None:
    index = plant(double, ["a", "b"])
    double.faults.add(Fault.reset(applied=True), on="delete", times=1)
    connect("docs").delete("docs", [Key("", "a"), Key("", "b"), Key("gone", "x")])
    assert not index.records()
