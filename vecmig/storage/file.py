"""The state in a file beside the spec: `.vecmig/NAME/ENV.state.json`."""

import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from msgspec.structs import replace

from vecmig.errors import StateError
from vecmig.model.state import State
from vecmig.storage.document import decode, encode, newer_writer
from vecmig.storage.durable import sync_directory, write_through
from vecmig.storage.lock import Holder, clear, held, holder

FOLDER = ".vecmig"
SUFFIX = ".state.json"
CHECKPOINT_EVERY_S = 1.0


class FileStateStore:
    """Implements protocols.StateStore. `directory` is that of the spec; only a holder of the lock may write."""

    def __init__(
        self,
        directory: str,
        name: str,
        environment: str,
        command: str = "vecmig",  # shown to those who find the state locked: without its arguments
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.environment = environment
        self.path = Path(directory, FOLDER, _part(name), _part(environment) + SUFFIX)
        self._command = command
        self._clock = clock
        self._written_at = -CHECKPOINT_EVERY_S + clock()
        self._skipped: State | None = None

    @property
    def backup(self) -> Path:
        """The state before the last save, or the one that was forgotten."""
        return self.path.with_name(self.path.name + ".backup")

    def load(self) -> State | None:
        """Return the state, or None where there is none yet. Raises StateError if it is damaged, newer or another's."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"cannot read {self.path}: {error.strerror or error}") from error
        if writer := newer_writer(data):
            raise StateError(f"{self.path} was written by {writer}: upgrade vecmig")
        try:
            return self._decoded(data)
        except StateError as error:
            raise StateError(f"{self.path} is damaged: {error}. Nothing was changed. {self._way_out()}") from None

    def save(self, state: State) -> State:
        """Replace the stored state, atomically; return it with the serial moved on."""
        self._check_unmoved(state)
        moved = replace(state, serial=state.serial + 1)
        self._write(moved, keep=True)
        return moved

    def checkpoint(self, state: State) -> State:
        """Save at most once a second, without moving the serial; `flush` saves what was skipped last."""
        self._skipped = state
        if self._clock() - self._written_at >= CHECKPOINT_EVERY_S:
            self.flush()
        return state

    def flush(self) -> None:
        """Save the last checkpoint, if it was skipped; the end of `lock` does so, too."""
        if self._skipped is not None:
            self._check_unmoved(self._skipped)
            self._write(self._skipped, keep=False)

    @contextmanager
    def lock(self, timeout_s: float) -> Iterator[None]:
        """Hold the state against every other run; the lock dies with its process. Raises StateLocked."""
        with held(self._lock_path, self._command, timeout_s):
            try:
                yield
            except BaseException:
                with suppress(StateError):  # checkpoints only save work: the error that ends this run is the news
                    self.flush()
                raise
            self.flush()

    def holder(self) -> Holder | None:
        """Return who holds the lock now, or None."""
        return holder(self._lock_path)

    def unlock(self) -> Holder | None:
        """Remove what a dead process left behind and return who it was. Raises StateLocked while a live one holds it."""
        return clear(self._lock_path)

    def forget(self, timeout_s: float = 0) -> bool:
        """Put the state aside, a good one as the backup; takes the lock itself. Return False if there was none."""
        if not self.path.exists():
            return False
        with self.lock(timeout_s), _translated(f"cannot put {self.path} aside"):
            try:
                self._decoded(self.path.read_bytes())
                aside = self.backup
            except StateError:  # the backup, if there is one, is worth more
                aside = self.path.with_name(self.path.name + ".damaged")
            os.replace(self.path, aside)
            sync_directory(self.path.parent)
        return True

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(self.path.name.removesuffix(SUFFIX) + ".lock")

    def _decoded(self, data: bytes) -> State:
        state = decode(data)
        if (state.name, state.environment) != (self.name, self.environment):
            raise StateError(
                f"it belongs to {state.name} · {state.environment}, not to {self.name} · {self.environment}"
            )
        return state

    def way_back(self) -> str:
        """Return the command that puts the backup in the place of the state; "" where there is no good one."""
        try:
            serial = self._decoded(self.backup.read_bytes()).serial
        except (OSError, StateError):
            return ""
        return f"cp {shlex.quote(str(self.backup))} {shlex.quote(str(self.path))} (serial {serial})"

    def _way_out(self) -> str:
        back = self.way_back()
        kept = f"The copy before the last save is good: {back}" if back else "There is no good copy of it"
        return (
            f"{kept}. Or `vecmig state forget`, then plan anew: the target says what exists, and what it holds is "
            "compared, not lost"
        )

    def _check_unmoved(self, state: State) -> None:
        """Two runs never write at once; should a state have moved all the same, the later one must not win."""
        stored = self.load()
        if stored is not None and (stored.lineage, stored.serial) != (state.lineage, state.serial):
            raise StateError(
                f"{self.path} moved while this run worked on it: serial {stored.serial} (lineage {stored.lineage}) is "
                f"there, {state.serial} ({state.lineage}) was expected. Nothing was written; run again"
            )

    def _write(self, state: State, keep: bool) -> None:
        data = encode(state)
        temporary = self.path.with_name(self.path.name + ".tmp")  # one name: what a crash leaves is overwritten
        with _translated(f"cannot save {self.path}", "the state on disk is still the last good one"):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_through(temporary, data)
                if keep:
                    self._keep()
                os.replace(temporary, self.path)
                sync_directory(self.path.parent)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        self._skipped = None
        self._written_at = self._clock()

    def _keep(self) -> None:
        """Let the stored state be the backup as well, without a moment in which there is none."""
        second = self.backup.with_name(self.backup.name + ".tmp")
        second.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.link(self.path, second)
            os.replace(second, self.backup)


@dataclass(frozen=True, slots=True)
class Found:
    """One state of a directory; `problem` says why it could not be read."""

    name: str
    environment: str
    path: str
    state: State | None
    problem: str = ""


def states_in(directory: str) -> list[Found]:
    """Return the states beside the specs of a directory, by name and environment."""
    found = []
    for path in sorted(Path(directory, FOLDER).glob(f"*/*{SUFFIX}")):
        name, environment = unquote(path.parent.name), unquote(path.name.removesuffix(SUFFIX))
        try:
            state, problem = FileStateStore(directory, name, environment).load(), ""
        except StateError as error:
            state, problem = None, str(error)
        found.append(Found(name, environment, str(path), state, problem))
    return found


def _part(name: str) -> str:
    """Return a name as part of a path that stays in its folder; readable where it can be."""
    part = quote(name, safe=" ")
    return "%2E" + part[1:] if part.startswith(".") else part


@contextmanager
def _translated(what: str, consolation: str = "nothing was changed") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(f"{what}: {error.strerror or error}; {consolation}") from error
