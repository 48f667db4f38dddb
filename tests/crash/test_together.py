"""Two runs at once, and runs that are asked to end."""

import signal

import psycopg
import pytest

from tests.crash.scenario import Scenario, wait_until
from tests.crash.test_crash import finish

LOCKED, STOPPED = 4, 8


def test_of_two_applies_at_once_one_works_and_the_other_is_told_who(scenario: Scenario) -> None:
    scenario.slow_down(1500)
    both = [scenario.start_apply() for _ in range(2)]
    codes = [process.wait(120) for process in both]
    assert sorted(codes) == [0, LOCKED]
    source, target = scenario.digests()
    assert source == target


def test_the_one_that_came_too_late_says_who_holds_the_state(scenario: Scenario) -> None:
    scenario.slow_down(1500)
    first = scenario.start_apply()
    wait_until(scenario.lock.exists)
    assert scenario.apply() == LOCKED
    assert f"pid {first.pid}" in scenario.complaint
    assert first.wait(120) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_it_finishes_the_batches_at_hand_and_goes_on_later(
    scenario: Scenario, number: signal.Signals
) -> None:
    scenario.slow_down(1000)
    process = scenario.start_apply()
    wait_until(lambda: scenario.done() > 0)
    process.send_signal(number)
    assert process.wait(30) == STOPPED
    assert "Finishing the batches at hand" in scenario.complaint
    assert "safe" in scenario.complaint or "saved" in scenario.complaint
    assert "Traceback" not in scenario.complaint
    saved = scenario.done()
    assert saved > 0
    (rows,) = count(scenario)
    assert rows == saved, "what was acknowledged is saved, and nothing else was written"
    finish(scenario)
    assert "Going on with the plan" in scenario.complaint


def test_asked_twice_it_ends_at_once(scenario: Scenario) -> None:
    scenario.slow_down(1000)
    process = scenario.start_apply()
    wait_until(lambda: scenario.done() > 0)
    with psycopg.connect(scenario.dsn) as other:
        other.execute("LOCK TABLE kb IN ACCESS EXCLUSIVE MODE")  # now the batches at hand cannot end
        process.send_signal(signal.SIGINT)
        wait_until(lambda: "Finishing" in scenario.complaint)
        with pytest.raises(TimeoutError):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == STOPPED
    assert "Traceback" not in scenario.complaint
    finish(scenario)


def test_asked_to_end_while_it_verifies_it_verifies_later(scenario: Scenario) -> None:
    process = scenario.start_apply()
    wait_until(lambda: "verify: begun" in scenario.complaint or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (0, STOPPED)
    finish(scenario)


def count(scenario: Scenario) -> tuple[int]:
    with psycopg.connect(scenario.dsn) as connection:
        (found,) = connection.execute("SELECT count(*) FROM kb").fetchone() or (0,)
        return (int(found),)
