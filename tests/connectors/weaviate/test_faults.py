"""What goes wrong on the way is tried again, or named; nothing is lost in silence."""

import pytest
from msgspec.structs import replace

from tests.connectors.weaviate.conftest import Connect
from tests.doubles.weaviate import Code, Double, Fault, Lag
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.errors import ConnectorError, TransientError
from vecmig.model.batch import Key
from vecmig.model.collection import Collection
from vecmig.model.digest import digest_of
from vecmig.protocols import Search
from vecmig.testing.contract import COLLECTION, records

KEYS = [Key("one", f"id-{n:03}") for n in range(60)]


@pytest.fixture
def kb(connect: Connect) -> WeaviateConnector:
    connector = connect("Kb", page_rows=25)
    connector.create(declared(connector))
    return connector


def declared(connector: WeaviateConnector) -> Collection:
    return replace(connector.options.complete(COLLECTION), name="Kb")


def read(connector: WeaviateConnector) -> list[Key]:
    return [
        key
        for part in connector.partitions("Kb", 3)
        for batch, _ in connector.read(part, None)
        for key in batch.keys
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(Code.UNAVAILABLE, "not now"),
        Fault.reset(),
        Fault.reset(applied=True),
        Fault.reset(applied_objects=7),
    ],
    ids=["unavailable", "reset", "reset after it was applied", "reset in the middle"],
)
def test_a_chunk_that_was_not_acknowledged_is_sent_again(
    weaviate_double: Double, kb: WeaviateConnector, fault: Fault
) -> None:
    weaviate_double.faults.add(fault, on="batch_objects", times=1)
    assert not kb.upsert("Kb", records(KEYS))
    assert sorted(read(kb)) == KEYS
    assert digest_of(kb.fetch("Kb", KEYS)) == digest_of(records(KEYS))


def test_pages_that_fail_are_read_again(weaviate_double: Double, kb: WeaviateConnector) -> None:
    kb.upsert("Kb", records(KEYS))
    weaviate_double.faults.add(Fault.status(Code.UNAVAILABLE, "not now"), on="search", times=2)
    assert sorted(read(kb)) == KEYS


def test_a_page_over_the_size_of_a_message_is_halved(weaviate_double: Double, kb: WeaviateConnector) -> None:
    kb.upsert("Kb", records(KEYS))
    weaviate_double.faults.add(Fault.oversize(), on="search", times=2)
    assert sorted(read(kb)) == KEYS


def test_a_page_that_takes_too_long_is_halved_but_not_without_end(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    kb.upsert("Kb", records(KEYS))
    late = Fault.status(Code.DEADLINE_EXCEEDED, "too late")
    weaviate_double.faults.add(late, on="search", times=3)
    assert sorted(read(kb)) == KEYS
    weaviate_double.faults.add(late, on="search", times=4)
    with pytest.raises(TransientError, match="no answer in time"):
        read(kb)
    assert sorted(read(kb)) == KEYS, "the fourth was the last that it asked"


def test_an_inactive_tenant_is_woken_for_the_reading_and_put_back(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    kb.upsert("Kb", records(KEYS))
    there = kb._open("Kb").layout.stored
    kb.session.rest("put", f"/schema/{there}/tenants", [{"name": "one", "activityStatus": "COLD"}])
    assert sorted(read(kb)) == KEYS
    _, found = kb.session.rest("get", f"/schema/{there}/tenants/one")
    assert found["activityStatus"] in ("COLD", "INACTIVE")


def test_an_offloaded_tenant_is_refused_with_the_way_out(weaviate_double: Double, kb: WeaviateConnector) -> None:
    kb.upsert("Kb", records(KEYS))
    there = kb._open("Kb").layout.stored
    kb.session.rest("put", f"/schema/{there}/tenants", [{"name": "one", "activityStatus": "FROZEN"}])
    with pytest.raises(ConnectorError, match="is offloaded: load it in Weaviate"):
        kb.count("Kb")


def test_settling_waits_for_vectors_that_are_not_indexed_yet(weaviate_double: Double, kb: WeaviateConnector) -> None:
    weaviate_double.store.is_async = True
    weaviate_double.store.lag = Lag(seconds=1.0)
    kb.upsert("Kb", records(KEYS))
    kb.settle("Kb", {}, timeout_s=20)
    (hits,) = kb.search("Kb", Search(records(KEYS[:1]).vectors(""), k=1, namespace="one"))
    assert list(hits.keys) == KEYS[:1]


def test_an_object_that_the_server_refuses_is_named_without_its_values(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    uuid = stored("one", "id-007")
    weaviate_double.faults.add(Fault.refused_objects({uuid: "invalid value 'canary'"}), on="batch_objects")
    (rejected,) = kb.upsert("Kb", records(KEYS))
    assert rejected.key == KEYS[7]
    assert "canary" not in rejected.reason
    assert sorted(read(kb)) == [key for key in KEYS if key != KEYS[7]]
