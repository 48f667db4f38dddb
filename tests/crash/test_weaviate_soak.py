"""Thirty kills of vecmig and ten of Weaviate, at random moments, to either side: nothing is ever lost or doubled."""

import random
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import psycopg
import pytest

from tests.crash.scenario import Scenario, wait_until
from tests.crash.weaviate import MORTALS, Mortal, finish

pytestmark = pytest.mark.soak
KILLS, SERVER_KILLS = 30, 10
KILLS_OF_ONE = 5  # then it may end, and another migration begins
RECORDS_PER_S = 600
LONGEST_S = 4.0  # about as long as an undisturbed run works


@pytest.fixture(scope="module", params=MORTALS)
def weaviate(request: pytest.FixtureRequest) -> Iterator[Mortal]:
    with MORTALS[request.param]() as made:
        yield made


def each_fresh(weaviate: Mortal, directory: Path, dsn: str) -> Iterator[Scenario]:
    """Yield migrations that have not begun, into Weaviate and out of it in turn."""
    for number, role in enumerate(cycle(["target", "source"])):
        place = directory / str(number)
        place.mkdir()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS kb")
        scenario = weaviate.scenario(place, dsn, role)
        scenario.slow_down(RECORDS_PER_S)
        yield scenario


def test_thirty_kills_at_random_lose_and_double_nothing(tmp_path: Path, database: str, weaviate: Mortal) -> None:
    dice, hits, late = random.Random(4), 0, 0
    for scenario in each_fresh(weaviate, tmp_path, database):
        for _ in ("load", "reconcile"):
            for _ in range(KILLS_OF_ONE):
                if not scenario.apply_dying_after(dice.uniform(0, LONGEST_S)):
                    late += 1
                    break
                hits += 1
            finish(scenario)
            scenario.change_source()
        if hits >= KILLS:
            break
    print(f"\n{hits} kills hit vecmig at work, {late} came after its end")
    assert late < hits


def test_ten_kills_of_the_server_lose_and_double_nothing(tmp_path: Path, database: str, weaviate: Mortal) -> None:
    dice, hits, late, survived = random.Random(5), 0, 0, 0
    for scenario in each_fresh(weaviate, tmp_path, database):
        process = scenario.start_apply()
        wait_until(lambda: scenario.lock.exists() or process.poll() is not None)  # noqa: B023  # used up here
        time.sleep(dice.uniform(0, LONGEST_S))
        if process.poll() is None:
            hits += 1
        else:
            late += 1
        weaviate.kill()
        time.sleep(dice.uniform(0, 1))
        weaviate.start()
        code = process.wait(120)
        assert code in (0, 1), scenario.complaint
        assert "Traceback" not in scenario.complaint
        assert "defect" not in scenario.complaint
        survived += code == 0
        finish(scenario)
        if hits >= SERVER_KILLS:
            break
    print(f"\n{hits} kills hit the server while vecmig worked, {late} came after its end; it ended well in {survived}")
    assert late < hits
