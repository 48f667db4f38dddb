"""kill -9 while Weaviate is read, and while it is written; and a server that goes away in between and comes back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.scenario import KILLED, POSTGRES, SNAPSHOT, Scenario, wait_until
from tests.crash.test_crash import finish
from tests.doubles.weaviate import Double, running


def weaviate(double: Double, collection: str) -> str:
    """Return a collection as a spec has it."""
    return f'{{type: weaviate, url: "{double.url}", grpc_url: "grpc://127.0.0.1:{double.grpc_port}", collection: {collection}}}'


@pytest.fixture
def double() -> Iterator[Double]:
    with running() as double:
        yield double


@pytest.fixture(params=["source", "target"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path, database: str, double: Double) -> Scenario:
    """A migration that has not begun: from Weaviate, then into it."""
    ends = (weaviate(double, "Source"), POSTGRES) if request.param == "source" else (SNAPSHOT, weaviate(double, "Kb"))
    made = Scenario(tmp_path, database, ends)
    made.begin()
    return made


def test_kills_at_several_steps_lose_and_double_nothing(scenario: Scenario) -> None:
    for point, at in (("after create", 1), ("before upsert", 1), ("after upsert", 1)):
        assert scenario.apply_dying(point, at) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


def test_kills_while_a_changed_source_is_reconciled_lose_and_double_nothing(scenario: Scenario) -> None:
    assert scenario.apply() == 0, scenario.complaint
    scenario.change_source()
    for point in ("after upsert", "after delete"):
        assert scenario.apply_dying(point, 1) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


def test_a_server_that_goes_away_for_a_while_interrupts_nothing_for_good(scenario: Scenario, double: Double) -> None:
    scenario.slow_down(1000)
    process = scenario.start_apply()
    wait_until(lambda: scenario.done() > 0 or process.poll() is not None)
    double.stop()
    time.sleep(2)
    double.start()
    assert process.wait(90) == 0, scenario.complaint
    source, target = scenario.digests()
    assert source == target
