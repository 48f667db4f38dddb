"""A Weaviate on the loopback interface, for the unmodified client.

with running() as double:
    client = weaviate.connect_to_custom(
        http_host="127.0.0.1", http_port=double.port, http_secure=False,
        grpc_host="127.0.0.1", grpc_port=double.grpc_port, grpc_secure=False, skip_init_checks=True)

double.requests          every call answered, with its status and size
double.faults            what goes wrong, and when: see faults.py
double.limits            the limits of the server, adjustable
double.store             the collections and aliases; `lag` delays the indexing of what is written
double.gate              the keys that are accepted
double.stop, .start      the server is gone, and is back at the same address with its data
double.kill              it is gone as if by SIGKILL: the vectors of each tenant's last batch are out of the index
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.doubles.weaviate import rest
from tests.doubles.weaviate.calls import Request
from tests.doubles.weaviate.faults import Faults
from tests.doubles.weaviate.gate import Gate
from tests.doubles.weaviate.http import Door, HttpAnswer, HttpRequest
from tests.doubles.weaviate.limits import Limits
from tests.doubles.weaviate.rpc import GrpcServer
from tests.doubles.weaviate.store import Store


class Double:
    """A running double. Made by `running`."""

    def __init__(self, port: int = 0, grpc_port: int = 0, seed: int | None = None) -> None:
        self.limits = Limits()
        self.faults = Faults(seed)
        self.store = Store(self.limits)
        self.gate = Gate(self.store, self.faults)
        self.port, self.grpc_port = port, grpc_port
        self._doors: tuple[Door, GrpcServer] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """Every call since the start, or since this list was cleared."""
        return self.gate.requests

    def start(self) -> None:
        """Serve, at the same ports as before."""
        door, rpc = Door(self._answer, self.port), GrpcServer(self.gate, self.grpc_port)
        self.port, self.grpc_port = door.port, rpc.port
        self._doors = (door, rpc)

    def stop(self) -> None:
        """Close both ports and every connection. What is stored stays."""
        if self._doors is not None:
            for door in self._doors:
                door.close()
            self._doors = None

    def kill(self) -> None:
        """Stop, and lose what a server loses that is killed."""
        self.stop()
        for collection in self.store.collections.values():
            for partition in collection.partitions.values():
                partition.die()

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        return rest.answer(self.gate, self.url, request)


@contextmanager
def running(port: int = 0, grpc_port: int = 0, seed: int | None = None) -> Iterator[Double]:
    """A double in this process, on these ports or free ones; `seed` is of the faults that come by chance."""
    double = Double(port, grpc_port, seed)
    try:
        yield double
    finally:
        double.stop()
