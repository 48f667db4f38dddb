"""kill -9 at every step: run again, nothing is lost and nothing doubled."""

from threading import Event

import pytest

from tests.crash.mortal import POINTS
from tests.crash.scenario import KILLED, RECORDS, Scenario
from vecmig.model.state import Progress
from vecmig.storage.file import FileStateStore
from vecmig.workflow.run import execute, prepare


def finish(scenario: Scenario) -> None:
    """Run to the end, and hold the target against the source."""
    assert scenario.apply() == 0, scenario.complaint
    source, target = scenario.digests()
    assert source == target


def test_a_kill_at_every_step_loses_and_doubles_nothing(scenario: Scenario) -> None:
    """One migration, killed at each point in turn: every run goes on where the one before it was."""
    for point in (point for point in POINTS if "delete" not in point):
        assert scenario.apply_dying(point, 1) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


@pytest.mark.parametrize("point", ["before upsert", "after upsert", "after checkpoint", "before replace"])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(scenario: Scenario, point: str) -> None:
    assert scenario.apply_dying(point, 5) == KILLED, scenario.complaint
    finish(scenario)


def test_kills_while_a_changed_source_is_reconciled_lose_and_double_nothing(scenario: Scenario) -> None:
    assert scenario.apply() == 0, scenario.complaint
    scenario.change_source()
    for point in ("before upsert", "after upsert", "before delete", "after delete", "after checkpoint"):
        assert scenario.apply_dying(point, 1) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


def test_a_run_after_a_kill_goes_on_where_the_other_was(scenario: Scenario) -> None:
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
