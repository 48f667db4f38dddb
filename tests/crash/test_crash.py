"""kill -9 at every step, and at random: run again, nothing is lost and nothing doubled."""

import random
from pathlib import Path

import pytest

from tests.crash.mortal import POINTS
from tests.crash.scenario import KILLED, Scenario


@pytest.fixture
def scenario(tmp_path: Path, database: str) -> Scenario:
    made = Scenario(tmp_path, database)
    made.begin()
    return made


def finish(scenario: Scenario) -> None:
    """Run to the end, and hold the target against the source."""
    assert scenario.apply() == 0, scenario.complaint
    source, target = scenario.digests()
    assert source == target


@pytest.mark.parametrize("point", [point for point in POINTS if "delete" not in point])
def test_a_kill_at_a_step_loses_and_doubles_nothing(scenario: Scenario, point: str) -> None:
    assert scenario.apply_dying(point, 1) == KILLED
    finish(scenario)


def test_kills_one_after_the_other_lose_and_double_nothing(scenario: Scenario) -> None:
    for at in (2, 3, 4):
        assert scenario.apply_dying("after upsert", at) == KILLED
    finish(scenario)


@pytest.mark.soak
def test_a_hundred_kills_at_random_lose_and_double_nothing(tmp_path: Path, database: str) -> None:
    dice, killed = random.Random(1), 0
    while killed < 100:
        scenario = Scenario(tmp_path / str(killed), database)
        scenario.directory.mkdir()
        scenario.begin()
        while scenario.apply(kill_after_s=dice.uniform(0.3, 4)) == KILLED:
            killed += 1
        finish(scenario)
