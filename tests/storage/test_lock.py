import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.examples import STATE
from vecmig.errors import StateLocked
from vecmig.storage.file import FileStateStore

HOLDING = """
import sys, time
from vecmig.storage.file import FileStateStore
with FileStateStore(sys.argv[1], "support-kb", "prod", "vecmig apply").lock(0):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_run(directory: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDING, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def store(directory: Path) -> FileStateStore:
    return FileStateStore(str(directory), "support-kb", "prod")


def test_a_second_run_is_told_who_holds_the_lock_since_when_and_how_to_go_on(tmp_path: Path) -> None:
    with another_run(tmp_path) as process, pytest.raises(StateLocked) as caught, store(tmp_path).lock(0):
        pass
    message = str(caught.value)
    assert f"(pid {process.pid}), `vecmig apply`, since 20" in message
    assert f"kill {process.pid}" in message
    assert "--lock-timeout" in message


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    with another_run(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with store(tmp_path).lock(0):
            found = store(tmp_path).holder()
            assert found is not None
            assert found.pid != process.pid
    assert store(tmp_path).holder() is None


def test_a_run_that_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    with another_run(tmp_path) as process:
        timer = subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {process.pid}"])
        begun = time.monotonic()
        with store(tmp_path).lock(30):
            assert 0.5 < time.monotonic() - begun < 20
        timer.wait()


def test_two_runs_in_one_process_exclude_each_other_as_well(tmp_path: Path) -> None:
    with store(tmp_path).lock(0), pytest.raises(StateLocked), store(tmp_path).lock(0):
        pass


def test_the_lock_can_be_taken_again_and_leaves_no_information_behind(tmp_path: Path) -> None:
    for _ in range(2):
        with store(tmp_path).lock(0):
            pass
    assert [each.name for each in (tmp_path / ".vecmig/support-kb").iterdir()] == ["prod.lock"]


def test_unlock_refuses_while_the_holder_lives_and_clears_what_a_dead_one_left(tmp_path: Path) -> None:
    with another_run(tmp_path) as process, pytest.raises(StateLocked, match=f"pid {process.pid}"):
        store(tmp_path).unlock()
    stale = store(tmp_path).unlock()
    assert stale is not None
    assert stale.pid == process.pid
    assert store(tmp_path).unlock() is None


def test_information_that_is_damaged_does_not_disturb_the_lock(tmp_path: Path) -> None:
    with store(tmp_path).lock(0):
        (tmp_path / ".vecmig/support-kb/prod.lock.json").write_bytes(b"\xff{")
        with pytest.raises(StateLocked, match="locked by another run"), store(tmp_path).lock(0):
            pass
        assert store(tmp_path).holder() is not None
    with store(tmp_path).lock(0):
        pass


def test_the_state_is_not_forgotten_while_a_run_works_on_it(tmp_path: Path) -> None:
    store(tmp_path).save(STATE)
    with another_run(tmp_path), pytest.raises(StateLocked):
        store(tmp_path).forget()
    assert store(tmp_path).load() is not None


def test_looking_who_holds_the_lock_makes_nothing(tmp_path: Path) -> None:
    assert store(tmp_path).holder() is None
    assert list(tmp_path.iterdir()) == []
