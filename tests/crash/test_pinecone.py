"""kill -9 while Pinecone is read, and while it is written; the double lives on, as the service does."""

import random
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.crash.mortal import PAGE_BYTES, POINTS, REQUESTS
from tests.crash.scenario import KILLED, POSTGRES, RECORDS, SNAPSHOT, Scenario, pinecone
from tests.crash.test_crash import finish
from tests.doubles.pinecone import Double, running
from vecmig.connectors.pinecone.client import opening
from vecmig.model.state import Progress
from vecmig.storage.file import FileStateStore
from vecmig.workflow.run import execute, prepare

ENDS = {"source": (pinecone("source"), POSTGRES), "target": (SNAPSHOT, pinecone("kb"))}


@pytest.fixture
def double() -> Iterator[Double]:
    with running() as double:
        yield double


@pytest.fixture(params=ENDS)
def scenario(request: pytest.FixtureRequest, tmp_path: Path, database: str, double: Double) -> Scenario:
    """A migration that has not begun: from Pinecone, then into it."""
    made = Scenario(tmp_path, database, ENDS[request.param], double.url)
    made.begin()
    return made


@pytest.fixture
def into(tmp_path: Path, database: str, double: Double) -> Scenario:
    """A migration into Pinecone."""
    made = Scenario(tmp_path, database, ENDS["target"], double.url)
    made.begin()
    return made


def test_a_run_after_a_kill_goes_on_where_the_other_was(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "PAGE_BYTES", PAGE_BYTES)
    scenario.slow_down(1500)
    assert scenario.apply_dying("after upsert", 17) == KILLED, scenario.complaint  # of 20: checkpoints were saved
    saved = scenario.done()
    assert saved > 0
    project, store = scenario.project(), FileStateStore(str(scenario.directory), "crash", "default")
    with store.lock(0):
        run = prepare(project, store.load(), None)
        assert run.resumed
        read = sum(event.read for event in execute(project, run, store, Event()) if isinstance(event, Progress))
    assert read == RECORDS - saved
    source, target = scenario.digests()
    assert source == target


def test_kills_between_the_requests_of_a_batch_lose_and_double_nothing(into: Scenario) -> None:
    for point, at in (("after create", 1), ("before request", 2), ("after request", 5), ("after upsert", 3)):
        assert into.apply_dying(point, at) == KILLED, f"{point}: {into.complaint}"
    finish(into)


def test_kills_while_a_changed_source_is_reconciled_lose_and_double_nothing(into: Scenario) -> None:
    assert into.apply() == 0, into.complaint
    into.change_source()
    for point in ("before request", "after request", "after delete"):
        assert into.apply_dying(point, 1) == KILLED, f"{point}: {into.complaint}"
    finish(into)


@pytest.mark.soak
def test_a_kill_at_every_step_loses_and_doubles_nothing(scenario: Scenario) -> None:
    points = [point for point in POINTS if "delete" not in point]
    if "pinecone" in scenario.ends[1]:
        upsert = points.index("before upsert")
        points[upsert:upsert] = REQUESTS
    for point in points:
        assert scenario.apply_dying(point, 1) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)
    scenario.change_source()
    for point in ("before save", "before replace", "before upsert", "after upsert", "before delete", "after delete"):
        assert scenario.apply_dying(point, 1) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


@pytest.mark.soak
def test_kills_at_random_lose_and_double_nothing(scenario: Scenario) -> None:
    dice, hits = random.Random(3), 0
    scenario.slow_down(1000)
    for _ in ("load", "reconcile"):
        for _ in range(10):
            if not scenario.apply_dying_after(dice.uniform(0, 1.5)):
                break
            hits += 1
        finish(scenario)
        scenario.change_source()
    print(f"\n{hits} kills hit vecmig at work")
    assert hits >= 5
