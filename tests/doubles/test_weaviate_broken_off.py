"""A batch may be stored and not indexed, where it is broken off or the server killed: a search gets worse in silence.

On both servers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from weaviate.classes.config import Configure
from weaviate.proto.v1 import batch_pb2, weaviate_pb2_grpc

from tests.crash.weaviate import MORTALS
from tests.doubles.conftest import numbered
from tests.doubles.weaviate import Fault, running
from tests.weaviate_server import WeaviateServer, connected, real_weaviate

NAME = "VecmigBrokenOff"
VECTORS = np.random.default_rng(1).standard_normal((1_000, 128)).astype(np.float32)
WHOLE = [
    batch_pb2.BatchObject(uuid=numbered(n), collection=NAME, vector_bytes=vector.tobytes())
    for n, vector in enumerate(VECTORS)
]
BARE = [batch_pb2.BatchObject(uuid=numbered(n), collection=NAME) for n in range(len(VECTORS))]
Send = Callable[[Sequence[Any]], None]


@contextmanager
def collection_of(server: WeaviateServer, *, anew: bool = True) -> Iterator[tuple[Any, Any]]:
    """Give a collection, and the service without the client's own retries."""
    with connected(server) as client, grpc.insecure_channel(f"{server.grpc_host}:{server.grpc_port}") as channel:
        if anew:
            client.collections.delete(NAME)
            client.collections.create(NAME, vector_config=Configure.Vectors.self_provided())
        yield client.collections.use(NAME), weaviate_pb2_grpc.WeaviateStub(channel)  # type: ignore[no-untyped-call]


@pytest.fixture(params=["double", "real"])
def broken_off(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """A collection to which WHOLE was sent, and broken off when some objects were stored and not all were indexed."""
    if request.param == "double":
        with running() as double, collection_of(WeaviateServer.of(double)) as (made, stub):
            double.faults.add(Fault.broken_off(), on="batch_objects", times=1)
            with pytest.raises(grpc.RpcError):
                send(stub, WHOLE)
            yield made, stub
        return
    with real_weaviate() as server, collection_of(server) as (made, stub):
        for timeout_s in (0.05, 0.1, 0.2, 0.4, 0.8):  # how fast the machine is, nobody knows
            with pytest.raises(grpc.RpcError):
                send(stub, WHOLE, timeout_s)
            time.sleep(0.5)  # what it was at is done
            if len(unfindable(made)) > len(VECTORS) - len(made):
                break
        yield made, stub


def send(stub: Any, objects: Sequence[Any], timeout_s: float = 60) -> None:
    answer = stub.BatchObjects(batch_pb2.BatchObjectsRequest(objects=objects), timeout=timeout_s)
    assert not answer.errors


def unfindable(made: Any) -> list[int]:
    """Return the objects that their own vector does not find."""
    hits = [made.query.near_vector(vector, limit=1).objects for vector in VECTORS]
    return [n for n, found in enumerate(hits) if [str(each.uuid) for each in found] != [numbered(n)]]


def test_what_was_stored_and_not_indexed_stays_so_until_its_vector_changes(broken_off: tuple[Any, Any]) -> None:
    made, stub = broken_off
    send(stub, WHOLE)
    assert len(made) == len(VECTORS)
    assert unfindable(made), "sent again as they were, they are not indexed"
    send(stub, BARE)
    assert len(unfindable(made)) == len(VECTORS)
    send(stub, WHOLE)
    assert not unfindable(made)


@pytest.mark.parametrize("kind", ["double", "real"])
def test_a_killed_server_forgets_the_vectors_of_the_last_batch_that_it_acknowledged(kind: str) -> None:
    with ExitStack() as stack:
        weaviate = stack.enter_context(MORTALS[kind]())
        with collection_of(weaviate.server) as (made, stub):
            send(stub, WHOLE)
        weaviate.kill()
        weaviate.start()
        with collection_of(weaviate.server, anew=False) as (made, stub):
            assert len(made) == len(VECTORS)
            assert unfindable(made)
            send(stub, BARE)
            send(stub, WHOLE)
            send(stub, WHOLE[:1])
        weaviate.kill()
        weaviate.start()
        with collection_of(weaviate.server, anew=False) as (made, _):
            assert not unfindable(made), "another batch followed"
