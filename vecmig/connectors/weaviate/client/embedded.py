"""A Weaviate of one's own, `url: embedded:PATH`: the client's, started when it is needed, stopped when the process ends.

The program has to be there: the newest that the client finds in its cache is taken, and nothing is downloaded. A process
that uses the directory holds its lock; where one was killed, the server that it left is ended by the next one.
"""

import atexit
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vecmig.connectors.weaviate.client.session import weaviate  # first: it knows how to import the client

# isort: split
from weaviate.embedded import DEFAULT_BINARY_PATH, EmbeddedOptions, EmbeddedV4

from vecmig.errors import ConnectorError

HOST = "127.0.0.1"
READY_S = 60.0
_PROGRAM = re.compile(r"weaviate-v(\d+\.\d+\.\d+)-([0-9a-f]{64})")
_ENVIRONMENT = {
    "AUTOSCHEMA_ENABLED": "false",
    "CLUSTER_ADVERTISE_ADDR": HOST,  # a machine without a network of its own has no other
    "CLUSTER_BIND_ADDR": HOST,
    "CLUSTER_HOSTNAME": "embedded",  # its data are of one that is called so
    "DEFAULT_VECTORIZER_MODULE": "none",
    "DISABLE_TELEMETRY": "true",
    "ENABLE_API_BASED_MODULES": "false",
    "ENABLE_MODULES": "",
    "GO_PROFILING_DISABLE": "true",
    "LOG_LEVEL": "error",
    "RAFT_TIMEOUTS_MULTIPLIER": "1",  # a lone node is ready sooner
}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A server of this process. `lock`: held as long as it runs."""

    url: str
    grpc_url: str
    process: EmbeddedV4
    lock: IO[str]


_starting = threading.Lock()
_running: dict[Path, Embedded] = {}


def embedded(path: str) -> Embedded:
    """Return the server of this directory, started if need be. Raises ConnectorError."""
    directory = Path(path).expanduser().resolve()
    with _starting:
        if directory not in _running:
            try:
                _running[directory] = _started(directory)
            except (OSError, weaviate.exceptions.WeaviateStartUpError) as error:
                raise ConnectorError(f"the embedded Weaviate in {directory} does not start: {error}") from error
        return _running[directory]


def release(path: str) -> None:
    """Stop the server of this directory before the process ends."""
    with _starting:
        if (found := _running.pop(Path(path).expanduser().resolve(), None)) is not None:
            found.process.stop()
            found.lock.close()


def _started(directory: Path) -> Embedded:
    version, programs = _newest()
    directory.mkdir(parents=True, exist_ok=True)
    lock = _locked(directory)
    try:
        (http, grpc), (gossip, transfer), (raft, raft_calls) = _free_ports(3)
        environment = {
            **_ENVIRONMENT,
            "CLUSTER_DATA_BIND_PORT": str(transfer),
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "GRPC_PORT": str(grpc),
            "PERSISTENCE_DATA_PATH": str(directory),
            "RAFT_INTERNAL_RPC_PORT": str(raft_calls),
            "RAFT_JOIN": f"{_ENVIRONMENT['CLUSTER_HOSTNAME']}:{raft}",
            "RAFT_PORT": str(raft),
        }
        options = EmbeddedOptions(str(directory), str(programs), version, http, HOST, environment, grpc)
        process = EmbeddedV4(options)
        process.start()
        atexit.register(process.stop)
        assert process.process is not None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{process.process.pid}\n")
        lock.flush()
        found = Embedded(f"http://{HOST}:{http}", f"grpc://{HOST}:{grpc}", process, lock)
        _wait_until_ready(found)
    except BaseException:
        lock.close()
        raise
    return found


def _newest() -> tuple[str, Path]:
    """Return the newest version of the program that is there, and where. Raises ConnectorError."""
    programs = Path(os.environ.get("XDG_CACHE_HOME", DEFAULT_BINARY_PATH))  # where the client looks
    found = [match for each in sorted(programs.glob("weaviate-v*")) if (match := _PROGRAM.fullmatch(each.name))]
    versions = [each[1] for each in found if hashlib.sha256(f"v{each[1]}".encode()).hexdigest() == each[2]]
    if not versions:
        raise ConnectorError(
            f"there is no Weaviate to start in {programs}: let the client put it there, once, by"
            ' `python -c "import weaviate; weaviate.connect_to_embedded().close()"`, or give the `url` of a server'
        )
    return max(versions, key=lambda version: tuple(map(int, version.split(".")))), programs


def _locked(directory: Path) -> IO[str]:
    """Return the directory's lock, held; what a process that was killed left running is ended. Raises ConnectorError."""
    lock = open(directory / "vecmig.lock", "a+")  # noqa: SIM115  # held as long as the server runs
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConnectorError(
            f"the embedded Weaviate in {directory} is used by another process: wait for its end, or let both use a server"
        ) from error
    lock.seek(0)
    left = lock.read().strip()
    if left.isdigit():
        _end(int(left))
    return lock


def _end(pid: int) -> None:
    """End a process if it is a Weaviate, and wait for that."""
    asked = ["ps", "-p", str(pid), "-o", "stat=", "-o", "command="]
    while True:
        shown = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if "weaviate" not in shown or shown.startswith("Z"):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)


def _wait_until_ready(found: Embedded) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{found.url}/v1/.well-known/ready", timeout=2):
            return
        if time.monotonic() > deadline:
            found.process.stop()
            raise weaviate.exceptions.WeaviateStartUpError(f"it is not ready after {READY_S:.0f} s")
        time.sleep(0.1)


def _free_ports(pairs: int) -> list[tuple[int, int]]:
    """Return pairs of ports that follow each other, as the server takes for granted of some."""
    found: list[tuple[int, int]] = []
    with contextlib.ExitStack() as held:
        while len(found) < pairs:
            first = held.enter_context(socket.create_server((HOST, 0)))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                held.enter_context(socket.create_server((HOST, port + 1)))
                found.append((port, port + 1))
    return found
