"""kill -9 of vecmig and of Weaviate, which is read or written: run again, nothing is lost and nothing doubled.

What Weaviate (1.38) acknowledged, it has handed to the operating system, and not forced to the disk: killed with SIGKILL
it loses nothing of it, which a test here holds it to; a machine that loses its power may lose the last seconds, and no
client can tell. Such a loss is played here: the verification finds it, and the next apply mends it.

What was not acknowledged may be there in part, and then outside of the vector index; so each record is also looked for by
its own vector.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Timer

import pytest

from tests.crash.mortal import PAGE_ROWS
from tests.crash.scenario import KILLED, PART, Scenario, opened, records, wait_until, write_source
from tests.crash.weaviate import MORTALS, RECORDS, Mortal, delete, difference, finish, mortal_program, stored
from vecmig.errors import TransientError
from vecmig.model.record import Key
from vecmig.model.state import Progress
from vecmig.storage.file import FileStateStore
from vecmig.workflow.run import execute, prepare

FAILED, UNPROVEN = 1, 7


@pytest.fixture(scope="module", params=MORTALS)
def weaviate(request: pytest.FixtureRequest) -> Iterator[Mortal]:
    with MORTALS[request.param]() as made:
        yield made


@pytest.fixture(params=["source", "target"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path, database: str, weaviate: Mortal) -> Scenario:
    """A migration that has not begun: from Weaviate, then into it."""
    return weaviate.scenario(tmp_path, database, request.param)


@pytest.fixture
def into(tmp_path: Path, database: str, weaviate: Mortal) -> Scenario:
    """A migration into Weaviate."""
    return weaviate.scenario(tmp_path, database, "target")


def working(scenario: Scenario) -> bool:
    return scenario.done() > 0


def test_kills_at_several_steps_lose_and_double_nothing(scenario: Scenario) -> None:
    for point, at in (("after create", 1), ("before upsert", 1), ("after upsert", 1)):
        assert scenario.apply_dying(point, at) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


def test_kills_between_the_requests_of_a_batch_lose_and_double_nothing(into: Scenario) -> None:
    for point, at in (("before request", 2), ("after request", 5), ("after upsert", 3)):
        assert into.apply_dying(point, at) == KILLED, f"{point}: {into.complaint}"
    finish(into)


def test_kills_while_a_changed_source_is_reconciled_lose_and_double_nothing(scenario: Scenario) -> None:
    assert scenario.apply() == 0, scenario.complaint
    scenario.change_source()
    for point in ("after upsert", "after delete"):
        assert scenario.apply_dying(point, 1) == KILLED, f"{point}: {scenario.complaint}"
    finish(scenario)


def test_kills_at_random_moments_lose_and_double_nothing(scenario: Scenario) -> None:
    dice = random.Random(1)
    scenario.slow_down(500)
    assert sum(scenario.apply_dying_after(dice.uniform(0.3, 1.5)) for _ in range(3)) >= 2
    finish(scenario)


def test_a_run_after_a_kill_goes_on_where_the_other_was(scenario: Scenario) -> None:
    scenario.slow_down(500)
    upserts = RECORDS // (PAGE_ROWS if "weaviate" in scenario.ends[0] else PART)
    assert scenario.apply_dying("after upsert", upserts - 2) == KILLED, scenario.complaint  # checkpoints were saved
    saved = scenario.done()
    assert saved > 0
    project, store = scenario.project(), FileStateStore(str(scenario.directory), "crash", "default")
    with store.lock(0):
        run = prepare(project, store.load(), None)
        assert run.resumed
        read = sum(event.read for event in execute(project, run, store, Event()) if isinstance(event, Progress))
    assert read == RECORDS - saved
    assert not difference(scenario)


def test_a_server_that_is_killed_and_comes_back_is_waited_for(scenario: Scenario, weaviate: Mortal) -> None:
    scenario.slow_down(500)
    process = scenario.start_apply()
    wait_until(lambda: working(scenario) or process.poll() is not None)
    weaviate.kill()
    time.sleep(1)
    weaviate.start()
    assert process.wait(90) == 0, scenario.complaint
    assert not difference(scenario)


def test_server_and_vecmig_killed_at_once_lose_and_double_nothing(scenario: Scenario, weaviate: Mortal) -> None:
    scenario.slow_down(500)
    process = scenario.start_apply()
    wait_until(lambda: working(scenario) or process.poll() is not None)
    weaviate.kill()
    process.kill()
    assert process.wait() == KILLED, scenario.complaint
    weaviate.start()
    finish(scenario)


def test_a_server_killed_while_a_changed_source_is_reconciled_loses_nothing(into: Scenario, weaviate: Mortal) -> None:
    assert into.apply() == 0, into.complaint
    into.change_source()
    into.slow_down(200)
    process = into.start_apply()
    wait_until(lambda: working(into) or process.poll() is not None)
    weaviate.kill()
    time.sleep(0.5)
    weaviate.start()
    assert process.wait(90) in (0, FAILED), into.complaint
    assert "defect" not in into.complaint
    finish(into)


def test_a_server_that_is_gone_is_a_clear_error(scenario: Scenario, weaviate: Mortal) -> None:
    weaviate.kill()
    try:
        assert scenario.apply() == FAILED
        assert "Error: weaviate" in scenario.complaint
        assert "connection" in scenario.complaint
        assert "Traceback" not in scenario.complaint
    finally:
        weaviate.start()
    finish(scenario)


def test_what_was_acknowledged_and_is_lost_is_found_and_written_again(into: Scenario) -> None:
    into.slow_down(500)
    process = into.start_apply()
    wait_until(lambda: into.done() >= 150 or process.poll() is not None)
    process.kill()
    assert process.wait() == KILLED, into.complaint
    lost = sorted(stored(into))[:40]
    delete(into, lost)
    assert into.apply() == UNPROVEN, into.complaint
    assert difference(into).missing == lost
    finish(into)


def test_a_killed_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """Not vecmig's doing: what its promise rests on."""
    with mortal_program() as weaviate:
        scenario = weaviate.scenario(tmp_path, "", "target")
        (migration,) = scenario.project().migrations
        options, acknowledged = migration.target.options, set[Key]()
        write_source(options, [0])
        for start in (10_000, 20_000, 30_000):
            killer = Timer(0.7, weaviate.kill)
            killer.start()
            with closing(opened(options)) as store, suppress(TransientError):
                for number in range(start, start + 10_000, PART):
                    batch = records(range(number, number + PART))
                    store.upsert(options.collection, batch)
                    acknowledged.update(batch.keys)
            killer.join()
            weaviate.start()
            assert acknowledged <= stored(scenario).keys()
        assert len(acknowledged) >= PART
