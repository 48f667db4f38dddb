"""A Weaviate for the tests: a real server where there is one, and always the double.

Real, in this order: `VECMIG_TEST_WEAVIATE_URL` with `VECMIG_TEST_WEAVIATE_GRPC` (host:port) and, if it asks for one,
`VECMIG_TEST_WEAVIATE_KEY`; the program named by `VECMIG_TEST_WEAVIATE_BINARY`, started here and stopped again; a
container of the Weaviate image, with `VECMIG_TEST_DOCKER=1` and a Docker daemon that answers.

The tests clean up after themselves by names of their own: a server of the first kind may hold other collections.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:  # importing the client takes more than a second, and every run of the tests imports this module
    from weaviate import WeaviateClient

    from tests.doubles.weaviate import Double

IMAGE = "semitechnologies/weaviate:1.38.11"


@dataclass(frozen=True, slots=True)
class WeaviateServer:
    """Where a Weaviate answers. Without a key it lets everybody in."""

    url: str
    """Of the REST API, `http://host:port`."""
    grpc_host: str
    grpc_port: int
    is_real: bool
    key: str | None = None

    @classmethod
    def of(cls, double: "Double") -> "WeaviateServer":
        return cls(double.url, "127.0.0.1", double.grpc_port, is_real=False)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


@pytest.fixture(scope="session", params=["double", "real"])
def weaviate_server(request: pytest.FixtureRequest) -> Iterator[WeaviateServer]:
    """The double, and then a real server, or a skip where there is none. Shared by all tests of a run."""
    if request.param == "double":
        from tests.doubles.weaviate import running

        with running() as double:
            yield WeaviateServer.of(double)
    else:
        with real_weaviate() as server:
            yield server


@pytest.fixture(scope="session")
def real_weaviate_server() -> Iterator[WeaviateServer]:
    """A real server alone; a skip where there is none."""
    with real_weaviate() as server:
        yield server


@pytest.fixture
def weaviate_double() -> Iterator["Double"]:
    """A double of this test alone, whose faults, limits and store may be changed."""
    from tests.doubles.weaviate import running

    with running(seed=1) as double:
        yield double


def connected(server: WeaviateServer, key: str | None = None) -> "WeaviateClient":
    """The client of a server, to be entered with `with`; with this key, or else the server's own."""
    import weaviate
    from weaviate.classes.init import Auth

    key = key or server.key
    is_secure = server.url.startswith("https")
    return weaviate.connect_to_custom(
        http_host=server.host,
        http_port=server.port,
        http_secure=is_secure,
        grpc_host=server.grpc_host,
        grpc_port=server.grpc_port,
        grpc_secure=is_secure,
        auth_credentials=Auth.api_key(key) if key else None,
        skip_init_checks=True,
    )


@contextlib.contextmanager
def real_weaviate() -> Iterator[WeaviateServer]:
    """The best real server there is. Skips the test where there is none."""
    if url := os.environ.get("VECMIG_TEST_WEAVIATE_URL"):
        host, _, port = os.environ.get("VECMIG_TEST_WEAVIATE_GRPC", "localhost:50051").rpartition(":")
        key = os.environ.get("VECMIG_TEST_WEAVIATE_KEY")
        yield WeaviateServer(url.rstrip("/"), host, int(port), is_real=True, key=key)
    elif os.environ.get("VECMIG_TEST_WEAVIATE_BINARY"):
        with started_weaviate() as server:
            yield server
    elif os.environ.get("VECMIG_TEST_DOCKER") == "1":
        yield from _container()
    else:
        pytest.skip("no Weaviate: set VECMIG_TEST_WEAVIATE_BINARY or VECMIG_TEST_WEAVIATE_URL")


@contextlib.contextmanager
def started_weaviate(
    environment: Mapping[str, str] | None = None, data: Path | None = None
) -> Iterator[WeaviateServer]:
    """The program of VECMIG_TEST_WEAVIATE_BINARY, on free ports, with this environment beside what it needs.

    It keeps its data in `data`, or else in a directory that goes with it. Skips the test where there is no program.
    """
    program = WeaviateProgram.prepared(environment, data)
    try:
        yield program.start()
    finally:
        program.stop()
        if data is None:
            shutil.rmtree(program.data, ignore_errors=True)


@dataclass(slots=True)
class WeaviateProgram:
    """A server program that can be started, killed and started again, at the same address and with the same data."""

    command: list[str]
    environment: dict[str, str]
    data: Path
    server: WeaviateServer
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def prepared(cls, environment: Mapping[str, str] | None = None, data: Path | None = None) -> "WeaviateProgram":
        """Skips the test where VECMIG_TEST_WEAVIATE_BINARY names no program."""
        binary = os.environ.get("VECMIG_TEST_WEAVIATE_BINARY")
        if not binary:
            pytest.skip("no Weaviate to start: set VECMIG_TEST_WEAVIATE_BINARY")
        data = data or Path(tempfile.mkdtemp(prefix="vm-weaviate"))
        (http, _), (grpc, _), (gossip, transfer), (raft, raft_calls) = (_two_free_ports() for _ in range(4))
        command = [binary, "--scheme", "http", "--host", "127.0.0.1", "--port", str(http)]
        settings = {
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "AUTOSCHEMA_ENABLED": "false",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_DATA_BIND_PORT": str(transfer),
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_IN_LOCALHOST": "true",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "DISABLE_TELEMETRY": "true",
            "DISK_USE_READONLY_PERCENTAGE": "0",
            "ENABLE_API_BASED_MODULES": "false",
            "ENABLE_MODULES": "",
            "GOMAXPROCS": "2",
            "GOMEMLIMIT": "1GiB",
            "GO_PROFILING_DISABLE": "true",
            "GRPC_PORT": str(grpc),
            "LOG_LEVEL": "warning",
            "PERSISTENCE_DATA_PATH": str(data),
            "PROMETHEUS_MONITORING_ENABLED": "false",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_INTERNAL_RPC_PORT": str(raft_calls),
            "RAFT_PORT": str(raft),
            "RAFT_TIMEOUTS_MULTIPLIER": "1",  # a lone node is then ready in 3 s instead of 10
        }
        kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        server = WeaviateServer(f"http://127.0.0.1:{http}", "127.0.0.1", grpc, is_real=True)
        return cls(command, {**kept, **settings, **(environment or {})}, data, server)

    def start(self, timeout_s: float = 60) -> WeaviateServer:
        """Start it, and wait until it is ready. Raises TimeoutError, or RuntimeError if it ends."""
        with open(self.data / "log", "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout_s
        while not _is_ready(self.server.url):
            if self.process.poll() is not None:
                raise RuntimeError(f"Weaviate ended at its start: {(self.data / 'log').read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"Weaviate is not ready after {timeout_s} s")
            time.sleep(0.1)
        return self.server

    def stop(self, *, kill: bool = False) -> None:
        """End it: in good order, or as a crash would. Safe to repeat."""
        if self.process is None:
            return
        (self.process.kill if kill else self.process.terminate)()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def discard(self) -> None:
        """End it, and remove its data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)


def _container() -> Iterator[WeaviateServer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from docker.errors import DockerException
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(IMAGE).with_exposed_ports(8080, 50051)
        for name, value in (
            ("AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED", "true"),
            ("AUTOSCHEMA_ENABLED", "false"),
            ("DEFAULT_VECTORIZER_MODULE", "none"),
            ("DISABLE_TELEMETRY", "true"),
            ("PERSISTENCE_DATA_PATH", "/var/lib/weaviate"),
        ):
            container.with_env(name, value)
        try:
            container.start()
        except DockerException as error:
            pytest.skip(f"VECMIG_TEST_DOCKER is set, but no Docker daemon answers: {error}")
    try:
        host = container.get_container_host_ip()
        url = f"http://{host}:{container.get_exposed_port(8080)}"
        deadline = time.monotonic() + 60
        while not _is_ready(url):
            if time.monotonic() > deadline:
                raise TimeoutError("the Weaviate container is not ready after 60 s")
            time.sleep(0.2)
        yield WeaviateServer(url, host, int(container.get_exposed_port(50051)), is_real=True)
    finally:
        container.stop()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/.well-known/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _two_free_ports() -> tuple[int, int]:
    """Two that follow each other: the server takes for granted that its ports for data and for raft's calls do."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
                return port, port + 1
