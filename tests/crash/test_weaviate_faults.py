"""What goes wrong with single requests to Weaviate while a migration runs: nothing is lost, doubled, or out of the index."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.crash.weaviate import Mortal, difference, finish
from tests.doubles.weaviate import Code, Double, Fault, running
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.model.record import Key

FAILED, UNPROVEN = 1, 7
SOMETIMES: dict[str, Any] = {"probability": 0.3, "times": 4}
WRITES = {
    "broken off": (Fault.broken_off(), SOMETIMES),
    "broken off in the middle": (Fault.reset(applied_objects=7), SOMETIMES),
    "unavailable": (Fault.status(Code.UNAVAILABLE), SOMETIMES),
    "out of memory": (Fault.status(Code.UNKNOWN, "not enough memory"), SOMETIMES),
    "all objects not now": (Fault.refused_objects({"*": "leader not found"}), SOMETIMES),
    "one object not now": (Fault.refused_objects({stored("ns1", "r7"): "context deadline exceeded"}), {"times": 3}),
    "reply too large": (Fault.oversize(), {"skip": 2, "times": 3}),
    "slow": (Fault.slow(0.3), SOMETIMES),
}
READS = {
    "broken off": (Fault.reset(), SOMETIMES),
    "unavailable": (Fault.status(Code.UNAVAILABLE), SOMETIMES),
    "reply too large": (Fault.oversize(), {"skip": 2, "times": 3}),
    "slow": (Fault.slow(0.3), SOMETIMES),
}


@pytest.fixture
def double() -> Iterator[Double]:
    with running(seed=1) as double:
        yield double


@pytest.fixture
def weaviate(double: Double) -> Mortal:
    return Mortal(WeaviateServer.of(double), double.kill, double.start)


@pytest.mark.parametrize("name", WRITES)
def test_writes_that_fail_for_a_while_lose_and_double_nothing(
    tmp_path: Path, database: str, double: Double, weaviate: Mortal, name: str
) -> None:
    scenario = weaviate.scenario(tmp_path, database, "target")
    fault, when = WRITES[name]
    double.faults.add(fault, on="batch_objects", **when)
    finish(scenario)


@pytest.mark.parametrize("name", READS)
def test_reads_that_fail_for_a_while_lose_and_double_nothing(
    tmp_path: Path, database: str, double: Double, weaviate: Mortal, name: str
) -> None:
    scenario = weaviate.scenario(tmp_path, database, "source")
    fault, when = READS[name]
    double.faults.add(fault, on="search", **when)
    finish(scenario)


@pytest.mark.parametrize("role", ["source", "target"])
def test_messages_over_the_cap_are_made_smaller(
    tmp_path: Path, database: str, double: Double, weaviate: Mortal, role: str
) -> None:
    scenario = replace(weaviate.scenario(tmp_path, database, role), in_small_pages=False)
    double.limits.message_bytes = 10_000
    assert scenario.apply() == 0, scenario.complaint
    assert 413 in {each.status for each in double.requests}
    assert not difference(scenario)


def test_an_object_that_is_refused_for_good_is_named_and_the_next_run_goes_on(
    tmp_path: Path, database: str, double: Double, weaviate: Mortal
) -> None:
    scenario = weaviate.scenario(tmp_path, database, "target")
    double.faults.add(Fault.refused_objects({stored("ns1", "r7"): "invalid value 'canary'"}), on="batch_objects")
    assert scenario.apply() == FAILED
    assert "r7" in scenario.complaint
    assert "canary" not in scenario.complaint
    assert "Traceback" not in scenario.complaint
    double.faults.clear()
    finish(scenario)


def test_objects_that_the_server_acknowledges_and_loses_are_found_by_the_verification_and_written_again(
    tmp_path: Path, database: str, double: Double, weaviate: Mortal
) -> None:
    scenario = weaviate.scenario(tmp_path, database, "target")
    double.faults.add(Fault.lost_objects([stored("ns1", "r7")]), on="batch_objects")
    assert scenario.apply() == UNPROVEN
    assert difference(scenario).missing == [Key("ns1", "r7")]
    double.faults.clear()
    finish(scenario)
