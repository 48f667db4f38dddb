"""A Pinecone on localhost, for the unmodified SDK.

    with running() as double:
        pc = Pinecone(host=double.url, api_key="test")
        pc.indexes.create(name="films", schema={"fields": {...}})
        index = pc.index(host=pc.indexes.describe("films").host)             # REST
        index = GrpcIndex(host=..., api_key="test", secure=False)            # gRPC, at the same host

    double.requests          every call answered, with its status, size and read and write units
    double.faults            what goes wrong, and when: see faults.py
    double.limits            the limits of the service, adjustable
    double.store             the indexes; `plant` adds one, `find(...).put` records, `delete` takes one away;
                             `lag` delays what is written, `ready_after_s` new indexes
    double.gate              the keys that are accepted

The control plane has one port, each index one of its own, where HTTP/1.1 and gRPC are both answered.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.doubles.pinecone import control, rest
from tests.doubles.pinecone.calls import Request
from tests.doubles.pinecone.faults import Faults
from tests.doubles.pinecone.gate import Gate
from tests.doubles.pinecone.http import Door
from tests.doubles.pinecone.limits import Limits
from tests.doubles.pinecone.rpc import GrpcServer
from tests.doubles.pinecone.store import Index, Store


class Double:
    """A running double. Made by `running`."""

    def __init__(self, port: int = 0, seed: int | None = None) -> None:
        self.limits = Limits()
        self.faults = Faults(seed)
        self.store = Store(self.limits, self._open_host)
        self.gate = Gate(self.store, self.faults)
        self._hosts: list[_Host] = []
        self._control = Door(functools.partial(control.answer, self.gate), port)
        self.url = f"http://localhost:{self._control.port}"

    @property
    def requests(self) -> list[Request]:
        """Every call since the start, or since this list was cleared."""
        return self.gate.requests

    @property
    def read_units(self) -> float:
        return sum(request.read_units for request in self.requests)

    @property
    def write_units(self) -> int:
        return sum(request.write_units for request in self.requests)

    def close(self) -> None:
        self._control.close()
        for host in self._hosts:
            host.close()

    def _open_host(self, index: Index) -> str:
        host = _Host(self.gate, index)
        self._hosts.append(host)
        return f"http://localhost:{host.door.port}"


class _Host:
    """Where one index is served. Its gRPC server starts with the first client that asks for it."""

    def __init__(self, gate: Gate, index: Index) -> None:
        self._gate = gate
        self._index = index
        self._grpc: GrpcServer | None = None
        self._lock = threading.Lock()
        self.door = Door(functools.partial(rest.answer, gate, index), grpc_port=self._grpc_port)

    def close(self) -> None:
        self.door.close()
        if self._grpc:
            self._grpc.close()

    def _grpc_port(self) -> int:
        with self._lock:
            if self._grpc is None:
                self._grpc = GrpcServer(self._gate, self._index, self.door.reset_peer)
            return self._grpc.port


@contextmanager
def running(port: int = 0, seed: int | None = None) -> Iterator[Double]:
    """A double in this process, on this port or a free one; `seed` is of the faults that come by chance."""
    double = Double(port, seed)
    try:
        yield double
    finally:
        double.close()
