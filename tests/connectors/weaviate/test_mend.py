"""What a broken-off write left out of the index comes back into it: no search gets worse in silence."""

from threading import Timer

import pytest
from msgspec.structs import replace

from tests.connectors.weaviate.conftest import Connect
from tests.doubles.weaviate import Double, Fault
from vecmig.connectors.weaviate.client import calls
from vecmig.connectors.weaviate.client.session import TIMEOUT_S
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.records import write
from vecmig.connectors.weaviate.records.mend import REACH_S, before_pauses
from vecmig.errors import TransientError
from vecmig.model.batch import Key
from vecmig.model.digest import digest_of
from vecmig.protocols import Search
from vecmig.testing.contract import COLLECTION, records

KEYS = [Key(namespace, f"id-{n:03}") for namespace in ("one", "two") for n in range(60)]
BATCH = records(KEYS)
FUTURE_MS = 1 << 43


def opened(connect: Connect) -> WeaviateConnector:
    return connect("Kb", page_rows=25)


@pytest.fixture
def kb(connect: Connect) -> WeaviateConnector:
    connector = opened(connect)
    connector.create(replace(connector.options.complete(COLLECTION), name="Kb"))
    return connector


def unfindable(kb: WeaviateConnector) -> list[Key]:
    """Return the keys that the record's own vector does not find."""
    hits = [
        kb.search("Kb", Search(BATCH.vectors("")[n : n + 1], 1, namespace=key.namespace)) for n, key in enumerate(KEYS)
    ]
    return [key for key, (found,) in zip(KEYS, hits, strict=True) if found.keys != [key]]


def test_a_chunk_that_was_broken_off_is_indexed_when_it_is_sent_again(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    weaviate_double.faults.add(Fault.broken_off(), on="batch_objects", times=1)
    assert not kb.upsert("Kb", BATCH)
    assert unfindable(kb) == []
    assert digest_of(kb.fetch("Kb", KEYS)) == digest_of(BATCH)


def test_so_it_is_when_the_engine_sends_it_again(
    weaviate_double: Double, kb: WeaviateConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "ATTEMPTS", 1)
    weaviate_double.faults.add(Fault.broken_off(), on="batch_objects", times=1)
    with pytest.raises(TransientError):
        kb.upsert("Kb", BATCH)
    assert not kb.upsert("Kb", BATCH)
    assert unfindable(kb) == []


def test_what_is_acknowledged_outlives_a_server_that_is_killed(weaviate_double: Double, kb: WeaviateConnector) -> None:
    kb.upsert("Kb", BATCH)
    weaviate_double.kill()
    weaviate_double.start()
    assert unfindable(kb) == []


def test_so_it_does_where_the_server_is_killed_between_two_chunks(
    weaviate_double: Double, kb: WeaviateConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "CHUNK_ROWS", 30)
    weaviate_double.faults.add(Fault.slow(1), on="batch_objects", skip=3, times=1)

    def die() -> None:
        weaviate_double.kill()
        weaviate_double.start()

    killer = Timer(0.5, die)
    killer.start()
    assert not kb.upsert("Kb", BATCH)
    killer.join()
    weaviate_double.kill()
    weaviate_double.start()
    assert unfindable(kb) == []
    assert digest_of(kb.fetch("Kb", KEYS)) == digest_of(BATCH)


def test_undisturbed_each_object_is_sent_once_and_one_of_each_tenant_again(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    for _ in range(2):
        weaviate_double.requests.clear()
        kb.upsert("Kb", BATCH)
        sent = [each.objects for each in weaviate_double.requests if each.operation == "batch_objects"]
        assert sent == [len(KEYS), 2]


def test_mending_indexes_what_a_run_that_died_left_out(
    weaviate_double: Double, kb: WeaviateConnector, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "ATTEMPTS", 1)
    weaviate_double.faults.add(Fault.broken_off(), on="batch_objects", times=1)
    with pytest.raises(TransientError):
        kb.upsert("Kb", BATCH)
    another = opened(connect)
    another.upsert("Kb", BATCH)
    assert len(unfindable(another)) == len(KEYS), "sent again as it was, it is not indexed"
    steps = [each.fraction for each in another.mend("Kb")]
    assert steps[-1] == 1
    assert unfindable(another) == []
    assert digest_of(another.fetch("Kb", KEYS)) == digest_of(BATCH)


def test_mending_writes_only_what_is_young(weaviate_double: Double, kb: WeaviateConnector) -> None:
    kb.upsert("Kb", BATCH)
    there = weaviate_double.store.find("Kb")
    every = [each for tenant in there.partitions for each in there.objects(tenant).values()]
    for age_s, each in enumerate(every):
        each.updated_ms = FUTURE_MS - 1_000 * age_s
    list(kb.mend("Kb"))
    written = [
        each
        for tenant in there.partitions
        for each in there.objects(tenant).values()
        if each.updated_ms < FUTURE_MS - 10**9
    ]
    assert len(written) == REACH_S + 1


def test_mending_leaves_alone_what_vecmig_did_not_make(weaviate_double: Double, connect: Connect) -> None:
    another = opened(connect)
    another.create(replace(another.options.complete(COLLECTION), name="Kb", mark=None))
    another.upsert("Kb", BATCH)
    assert list(another.mend("Kb")) == []


def test_what_was_written_before_a_pause_is_in_doubt_and_nothing_else() -> None:
    assert REACH_S > TIMEOUT_S
    steady = set(range(1_000, 1_101))
    assert before_pauses(steady) == set(range(1_100 - REACH_S, 1_101))
    assert before_pauses(steady | {1_200}) == {*range(1_100 - REACH_S, 1_101), 1_200}
    assert before_pauses([]) == set()
