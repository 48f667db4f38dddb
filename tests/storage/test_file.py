import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.clock import Clock
from tests.storage.examples import PART, STATE
from vecmig.errors import StateError
from vecmig.model.state import Cursor, Progress
from vecmig.storage.document import encode
from vecmig.storage.file import FileStateStore, states_in

PROGRESS = Progress("m", PART, Cursor("c1"), read=2, rows=2)


def store(directory: Path, environment: str = "prod", clock: Clock | None = None) -> FileStateStore:
    return FileStateStore(str(directory), "support-kb", environment, clock=clock or Clock(100.0))


def test_what_was_saved_is_loaded_with_the_serial_moved_on(tmp_path: Path) -> None:
    assert store(tmp_path).load() is None
    first = store(tmp_path).save(STATE)
    assert first == replace(STATE, serial=1)
    assert store(tmp_path).load() == first
    assert store(tmp_path).save(first).serial == 2


def test_the_file_stands_beside_the_spec_and_is_its_owners_alone(tmp_path: Path) -> None:
    store(tmp_path).save(STATE)
    path = tmp_path / ".vecmig/support-kb/prod.state.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["prod.state.json"]


def test_two_environments_have_two_states(tmp_path: Path) -> None:
    store(tmp_path).save(STATE)
    store(tmp_path, "dev").save(replace(STATE, environment="dev", lineage="other"))
    loaded = [store(tmp_path, name).load() for name in ("prod", "dev")]
    assert [each and each.lineage for each in loaded] == ["lineage-1", "other"]


@pytest.mark.parametrize("name", ["../../etc", "..", ".", "a/b", "ünï ©", "a\0b", "%2E"])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    kept = FileStateStore(str(tmp_path / "in"), name, name)
    kept.save(replace(STATE, name=name, environment=name))
    assert kept.path.resolve().is_relative_to(tmp_path / "in/.vecmig")
    assert kept.path.parent.parent == tmp_path / "in/.vecmig"
    assert [(each.name, each.environment, each.problem) for each in states_in(str(tmp_path / "in"))] == [
        (name, name, "")
    ]


def test_a_checkpoint_leaves_the_serial_and_is_written_at_most_once_a_second(tmp_path: Path) -> None:
    clock = Clock(100.0)
    kept = store(tmp_path, clock=clock)
    state = kept.save(STATE)
    first, second = state.with_progress(PROGRESS), state.with_progress(PROGRESS).with_progress(PROGRESS)
    clock.now += 0.5
    assert kept.checkpoint(first) is first
    assert kept.load() == state
    clock.now += 0.5
    kept.checkpoint(second)
    assert kept.load() == second
    assert second.serial == state.serial


def test_flush_writes_the_checkpoint_that_was_skipped_last(tmp_path: Path) -> None:
    kept = store(tmp_path)
    state = kept.save(STATE)
    kept.checkpoint(state.with_progress(PROGRESS))
    newest = kept.checkpoint(state.with_progress(PROGRESS).with_progress(PROGRESS))
    kept.flush()
    assert kept.load() == newest


def test_a_skipped_checkpoint_does_not_overwrite_a_later_save(tmp_path: Path) -> None:
    kept = store(tmp_path)
    state = kept.save(STATE)
    kept.checkpoint(state.with_progress(PROGRESS))
    saved = kept.save(state.with_done())
    kept.flush()
    assert kept.load() == saved


def test_the_end_of_the_lock_writes_the_skipped_checkpoint_even_after_an_error(tmp_path: Path) -> None:
    kept = store(tmp_path)
    state = kept.save(STATE)
    newest = state.with_progress(PROGRESS)

    def interrupted() -> None:
        with kept.lock(0):
            kept.checkpoint(newest)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert kept.load() == newest


def test_damage_names_the_file_the_cause_and_the_way_out(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(kept.save(STATE))
    kept.path.write_bytes(kept.path.read_bytes()[:-40])
    damaged = kept.path.read_bytes()
    with pytest.raises(StateError) as caught:
        kept.load()
    message = str(caught.value)
    assert message.startswith(f"{kept.path} is damaged: it is cut off or was edited: ")
    assert f"cp {kept.backup} {kept.path} (serial 1)" in message
    assert "vecmig state forget" in message
    with pytest.raises(StateError, match="damaged"):
        kept.save(STATE)
    assert kept.path.read_bytes() == damaged
    shutil.copy(kept.backup, kept.path)  # the way out works
    assert kept.load() == replace(STATE, serial=1)


def test_a_backup_that_is_damaged_as_well_is_not_recommended(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(kept.save(STATE))
    kept.path.write_bytes(b"{")
    kept.backup.write_bytes(b"{")
    with pytest.raises(StateError, match="There is no good copy of it"):
        kept.load()


def test_checkpoints_do_not_use_up_the_backup(tmp_path: Path) -> None:
    clock = Clock(100.0)
    kept = store(tmp_path, clock=clock)
    state = kept.save(kept.save(STATE))
    for _ in range(3):
        clock.now += 2
        state = kept.checkpoint(state.with_progress(PROGRESS))
    assert json.loads(kept.backup.read_bytes())["state"]["serial"] == 1


def test_a_newer_format_asks_for_an_upgrade_and_is_not_called_damaged(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(STATE)
    newer = json.loads(kept.path.read_bytes()) | {"format_version": 2}
    kept.path.write_text(json.dumps(newer))
    with pytest.raises(StateError, match=r"written by a newer vecmig \(0\.1\.0, format 2.*upgrade vecmig$") as caught:
        kept.load()
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("other", [replace(STATE, name="other"), replace(STATE, environment="dev")])
def test_a_state_copied_from_elsewhere_is_refused(tmp_path: Path, other: object) -> None:
    kept = store(tmp_path)
    kept.save(STATE)
    kept.path.write_bytes(encode(other))  # type: ignore[arg-type]  # a State
    with pytest.raises(StateError, match=r"it belongs to .* not to support-kb · prod"):
        kept.load()


def test_a_state_that_moved_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    kept = store(tmp_path)
    old = kept.save(STATE)
    kept.save(old)
    with pytest.raises(StateError, match=r"serial 2 .* is there, 1 .* was expected. Nothing was written"):
        kept.save(old)
    kept.checkpoint(old)
    with pytest.raises(StateError, match="Nothing was written"):
        kept.flush()


def test_what_a_crash_left_between_write_and_rename_is_ignored_and_overwritten(tmp_path: Path) -> None:
    kept = store(tmp_path)
    state = kept.save(STATE)
    leftover = kept.path.with_name(kept.path.name + ".tmp")
    leftover.write_bytes(encode(replace(state, serial=9))[:50])
    assert kept.load() == state
    assert [each.environment for each in states_in(str(tmp_path))] == ["prod"]
    kept.save(state)
    assert not leftover.exists()


SAVING = """
import sys
from vecmig.storage.file import FileStateStore
store = FileStateStore(sys.argv[1], "support-kb", "prod")
with store.lock(5):
    state = store.load()
    print("ready", flush=True)
    while True:
        state = store.save(state)
        print(state.serial, flush=True)
"""


def test_kill_at_any_moment_of_a_save_leaves_a_whole_state_that_is_the_last_or_the_one_in_flight(
    tmp_path: Path,
) -> None:
    kept = store(tmp_path)
    kept.save(STATE)
    for wait in range(6):
        with subprocess.Popen([sys.executable, "-c", SAVING, tmp_path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            for _ in range(3 * wait):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            told = [int(line) for line in process.stdout if line.endswith("\n")]
        state = kept.load()
        assert state is not None
        assert not told or state.serial in (told[-1], told[-1] + 1)


FULL = """
import resource, sys
from msgspec.structs import replace
from vecmig.errors import StateError
from vecmig.storage.file import FileStateStore
store = FileStateStore(sys.argv[1], "support-kb", "prod")
state = store.load()
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    store.save(state)
except StateError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_last_good_state_and_says_so(tmp_path: Path) -> None:
    kept = store(tmp_path)
    state = kept.save(kept.save(STATE))
    said = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said == (
        f"cannot save {kept.path}: {os.strerror(errno.EFBIG)}; the state on disk is still the last good one\n"
    )
    assert kept.load() == state
    assert sorted(each.name for each in kept.path.parent.iterdir()) == ["prod.state.json", "prod.state.json.backup"]


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)  # rights do not bind root
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory with a state that others may read but not write; outside of pytest's own, which only root enters."""
    directory = Path(tempfile.mkdtemp())
    kept = store(directory)
    kept.save(STATE)
    kept.path.chmod(0o644)
    folders = (directory, directory / ".vecmig", kept.path.parent)
    for each in folders:
        each.chmod(0o555)
    yield directory
    for each in folders:
        each.chmod(0o755)
    shutil.rmtree(directory)


def test_a_read_only_directory_can_be_read_but_neither_locked_nor_saved_to(readable: Path) -> None:
    kept = store(readable)
    with as_an_ordinary_user():
        state = kept.load()
        assert state == replace(STATE, serial=1)
        with pytest.raises(StateError, match=r"cannot save .*Permission denied; the state on disk is still"):
            kept.save(state)
        with pytest.raises(StateError, match=r"cannot lock .*Permission denied.*in which you may write"), kept.lock(0):
            pass
        assert kept.load() == state


def test_a_state_that_may_not_be_read_is_not_taken_for_none(readable: Path) -> None:
    kept = store(readable)
    kept.path.chmod(0o000)
    with as_an_ordinary_user(), pytest.raises(StateError, match=f"cannot read {kept.path}: Permission denied"):
        kept.load()


def test_a_forgotten_state_is_gone_but_kept_as_the_backup(tmp_path: Path) -> None:
    kept = store(tmp_path)
    state = kept.save(kept.save(STATE))
    assert kept.forget()
    assert kept.load() is None
    shutil.copy(kept.backup, kept.path)
    assert kept.load() == state
    assert not store(tmp_path, "dev").forget()


def test_forgetting_a_damaged_state_keeps_the_good_backup(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(kept.save(STATE))
    kept.path.write_bytes(b"{")
    assert kept.forget()
    assert kept.load() is None
    shutil.copy(kept.backup, kept.path)
    assert kept.load() == replace(STATE, serial=1)


def test_the_list_shows_each_state_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    assert states_in(str(tmp_path)) == []
    store(tmp_path).save(STATE)
    store(tmp_path, "dev").save(replace(STATE, environment="dev"))
    store(tmp_path, "dev").path.write_bytes(b"{")
    dev, prod = states_in(str(tmp_path))
    assert (dev.name, dev.environment, dev.state) == ("support-kb", "dev", None)
    assert "is damaged" in dev.problem
    assert (prod.environment, prod.state, prod.problem) == ("prod", replace(STATE, serial=1), "")
