"""What is acknowledged is not visible at once: settling waits for it, and says so where it takes too long."""

import threading
import time

import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import TRANSPORTS, batch, ids, impatient, pages, plant
from tests.doubles.pinecone import Double, Fault
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.records.visible import settle
from vecmig.connectors.pinecone.records.write import upsert
from vecmig.errors import Stopped, TransientError
from vecmig.model.record import Key
from vecmig.verification import verify

LAG_S = 0.25


@pytest.fixture
def late(double: Double, connect: Connect) -> PineconeConnector:
    """An index with records `a` and `b`, whose writes are seen after a while."""
    plant(double, ["a", "b"], metadata={"v": 1})
    double.store.lag.seconds = LAG_S
    return connect("docs")


def test_new_records_are_waited_for(late: PineconeConnector) -> None:
    assert not late.upsert("docs", batch([{"id": "c", "namespace": "new"}]))
    assert late.count("docs") == {"": 2}
    late.settle("docs", {}, timeout_s=10)
    assert late.count("docs") == {"": 2, "new": 1}


def test_updates_of_records_that_were_there_are_waited_for(late: PineconeConnector) -> None:
    assert not late.upsert("docs", batch([{"id": "a", "metadata": {"v": 2}}]))
    late.settle("docs", {"": 2}, timeout_s=10)
    assert late.fetch("docs", [Key("", "a")]).strings("metadata") == ['{"v":2}']


def test_deletes_are_waited_for(late: PineconeConnector) -> None:
    late.delete("docs", [Key("", "a")])
    late.settle("docs", {}, timeout_s=10)
    assert ids(pages(late)) == ["b"]


def test_a_record_written_deleted_and_written_again_is_there(late: PineconeConnector) -> None:
    late.upsert("docs", batch([{"id": "a", "metadata": {"v": 2}}]))
    late.delete("docs", [Key("", "a")])
    late.upsert("docs", batch([{"id": "a", "metadata": {"v": 3}}]))
    late.settle("docs", {}, timeout_s=10)
    assert late.fetch("docs", [Key("", "a")]).strings("metadata") == ['{"v":3}']


def test_another_connector_of_the_process_waits_for_them_too(late: PineconeConnector, connect: Connect) -> None:
    assert not late.upsert("docs", batch([{"id": "c"}]))
    other = connect("docs")
    other.settle("docs", {}, timeout_s=10)
    assert other.count("docs") == {"": 3}


def test_nothing_written_is_nothing_to_wait_for(late: PineconeConnector) -> None:
    began = time.monotonic()
    late.settle("docs", {}, timeout_s=60)
    assert time.monotonic() - began < 30


def test_what_stays_invisible_is_told_at_the_deadline(double: Double, late: PineconeConnector) -> None:
    double.store.lag.seconds = 100
    late.upsert("docs", batch([{"id": "c"}]))
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"'docs' does not show yet what was written.*run `vecmig verify` later"):
        late.settle("docs", {}, timeout_s=0.7)
    assert 0.7 <= time.monotonic() - began < 30


def test_counts_that_stay_wrong_are_told_at_the_deadline(late: PineconeConnector) -> None:
    with pytest.raises(TransientError, match="it counts 2 of 7 in namespace ''"):
        late.settle("docs", {"": 7}, timeout_s=0.3)


def test_settling_gets_by_with_failures(double: Double, late: PineconeConnector) -> None:
    late.upsert("docs", batch([{"id": "c"}]))
    double.faults.add(Fault.status(503), on=("fetch", "stats"), times=3)
    late.settle("docs", {"": 3}, timeout_s=10)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_longest_ids_are_waited_for(double: Double, connect: Connect, transport: str) -> None:
    plant(double, [])
    connector = connect("docs", transport=transport)
    double.limits.upsert_records = 1
    for n in range(64):
        assert not connector.upsert("docs", batch([{"id": f"{n:02}" + "/" * 510}]))
    connector.settle("docs", {"": 64}, timeout_s=10)


def test_a_namespace_of_hundreds_that_is_late_is_waited_for(double: Double, connect: Connect) -> None:
    plant(double, [])
    double.faults.add(Fault.late(1.0), on="upsert", namespace="n000")
    connector = connect("docs")
    assert not connector.upsert("docs", batch([{"id": "a", "namespace": f"n{n:03}"} for n in range(200)]))
    connector.settle("docs", {}, timeout_s=10)
    assert "n000" in connector.count("docs")


def test_a_record_that_an_application_writes_over_is_not_waited_for_until_the_deadline(double: Double) -> None:
    with impatient(double, "grpc") as writing:
        assert not upsert(writing, batch([{"id": "a", "metadata": {"v": 1}}]))
        plant(double, ["a"], metadata={"v": 2})
        began = time.monotonic()
        settle(writing.api, writing.calls, {}, timeout_s=60, overwritten_s=0.5)
        assert time.monotonic() - began < 30


def test_failures_while_it_waits_are_waited_out(double: Double, late: PineconeConnector) -> None:
    assert not late.upsert("docs", batch([{"id": "c"}]))
    double.faults.add(Fault.status(503), on="fetch", times=7)
    late.settle("docs", {}, timeout_s=30)
    assert late.count("docs") == {"": 3}


def test_a_person_who_stops_the_verification_need_not_wait_until_all_is_visible(
    double: Double, late: PineconeConnector
) -> None:
    double.store.lag.seconds = 100
    assert not late.upsert("docs", batch([{"id": "c"}]))
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        verify.settle(late, "docs", {}, 600, stop, slice_s=0.2)
    assert time.monotonic() - began < 60


def test_a_wait_in_slices_ends_at_its_deadline(double: Double, late: PineconeConnector) -> None:
    double.store.lag.seconds = 100
    assert not late.upsert("docs", batch([{"id": "c"}]))
    with pytest.raises(TransientError, match="after 1 s 1 of the last 1 requests cannot be read back"):
        verify.settle(late, "docs", {}, 0.9, None, slice_s=0.2)
