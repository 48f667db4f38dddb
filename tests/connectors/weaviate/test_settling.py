"""Settling waits for what the nodes report, and says so where that takes too long."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from tests.connectors.weaviate.conftest import Connect
from tests.connectors.weaviate.places import batch, opened
from tests.doubles.weaviate import Double, Lag, nodes, running
from tests.weaviate_server import WeaviateServer, started_weaviate
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.errors import TransientError
from vecmig.model.collection import Collection, VectorField
from vecmig.protocols import Search

ROWS, SIZE = 1_500, 64
VECTORS = (VectorField("", SIZE, "cosine"),)


@contextmanager
def late_double() -> Iterator[WeaviateServer]:
    with running() as double:
        double.store.is_async, double.store.lag = True, Lag(seconds=1.5)
        yield WeaviateServer.of(double)


def late_program() -> AbstractContextManager[WeaviateServer]:
    return started_weaviate({"ASYNC_INDEXING": "true", "ASYNC_INDEXING_STALE_TIMEOUT": "1s"})


def filled(connector: WeaviateConnector, rows: int) -> None:
    name = connector.options.collection
    connector.create(connector.options.complete(Collection(name, VECTORS, mark="vecmig:test", namespaced=False)))
    matrix = np.random.default_rng(1).standard_normal((rows, SIZE)).astype(np.float32)
    assert not connector.upsert(
        name, batch([{"id": f"id-{n}", "vector:": row} for n, row in enumerate(matrix.tolist())], VECTORS)
    )


@pytest.mark.parametrize("late", [late_double, late_program], ids=["double", "real"])
def test_after_it_every_vector_is_found_where_the_server_indexes_later(
    late: type[AbstractContextManager[WeaviateServer]],
) -> None:
    with late() as server, opened(server) as connector:
        filled(connector, ROWS)
        name = connector.options.collection
        connector.settle(name, {"": ROWS}, timeout_s=120)
        (part,) = connector.partitions(name, 1)
        for page, _ in connector.read(part, None):
            some = page.take(range(0, len(page), 50))
            hits = connector.search(name, Search(some.vectors(""), 1))
            assert [found.keys[0] for found in hits] == some.keys


def test_a_queue_that_is_not_empty_in_time_is_told_with_its_length(weaviate_double: Double, connect: Connect) -> None:
    weaviate_double.store.is_async, weaviate_double.store.lag = True, Lag(seconds=60)
    connector = connect("Kb")
    filled(connector, 7)
    with pytest.raises(TransientError, match=r"[78] vectors are not indexed yet after 1 s; run `vecmig verify` later"):
        connector.settle("Kb", {"": 7}, timeout_s=1)


def test_a_node_that_says_nothing_is_not_taken_for_one_that_is_done(weaviate_double: Double, connect: Connect) -> None:
    connector = connect("Kb")
    filled(connector, 7)
    weaviate_double.store.node_status = "TIMEOUT"
    with pytest.raises(TransientError, match="not indexed yet"):
        connector.settle("Kb", {"": 7}, timeout_s=0.5)
    weaviate_double.store.node_status = "HEALTHY"
    connector.settle("Kb", {"": 7}, timeout_s=5)


def test_nodes_that_report_no_shard_at_all_are_not_taken_for_done(
    weaviate_double: Double, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = connect("Kb")
    filled(connector, 7)
    with monkeypatch.context() as patched:
        patched.setattr(nodes, "_shards", lambda collection, **_: [])
        with pytest.raises(TransientError, match="no node reports a shard of it"):
            connector.settle("Kb", {"": 7}, timeout_s=0.5)
    connector.settle("Kb", {"": 7}, timeout_s=5)
