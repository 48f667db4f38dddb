"""Tenants: read and written whether active or not, and left as they were; each with dimensions of its own."""

from collections.abc import Iterator
from contextlib import closing
from threading import Event

import pytest
from weaviate.classes.data import DataObject

from tests.connectors.weaviate.conftest import Connect
from tests.connectors.weaviate.places import batch, make, opened, options, read
from tests.doubles.weaviate import Double
from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.errors import ConnectorError, TransientError, UnsupportedError
from vecmig.model.batch import Key, RecordBatch
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.filter import parse
from vecmig.protocols import Search
from vecmig.retry import read_on, retrying

VECTORS = (VectorField("", 3, "cosine"),)
KEYS = [Key(namespace, f"id-{n:02}") for namespace in ("awake", "sleeping") for n in range(12)]


def records(version: int = 0) -> RecordBatch:
    rows = [
        {
            "id": key.id,
            "namespace": key.namespace,
            "vector:": [1.0, n, version],
            "metadata": {"n": n, "version": version},
        }
        for n, key in enumerate(KEYS)
    ]
    return batch(rows, VECTORS)


def statuses(connector: WeaviateConnector) -> dict[str, str]:
    stored = connector._open(connector.options.collection).layout.stored
    _, found = connector.session.rest("get", f"/schema/{stored}/tenants")
    words = {"HOT": "active", "ACTIVE": "active", "COLD": "inactive", "INACTIVE": "inactive"}
    return {each["name"]: words[each["activityStatus"]] for each in found}


def put(connector: WeaviateConnector, tenant: str, status: str) -> None:
    stored = connector._open(connector.options.collection).layout.stored
    code, answer = connector.session.rest(
        "put", f"/schema/{stored}/tenants", [{"name": tenant, "activityStatus": status}]
    )
    assert code == 200, answer


@pytest.fixture
def kb(weaviate_server: WeaviateServer) -> Iterator[WeaviateConnector]:
    """Two tenants of twelve records, one of them inactive."""
    with opened(weaviate_server, page_rows=5) as connector:
        name = connector.options.collection
        fields = (Field("n", "int", filter=True),)
        connector.create(
            connector.options.complete(Collection(name, VECTORS, fields, mark="vecmig:test", namespaced=True))
        )
        assert not connector.upsert(name, records())
        put(connector, "sleeping", "COLD")
        with closing(connector.options.open()) as another:  # which has seen no tenant yet
            yield another


AS_THEY_WERE = {"awake": "active", "sleeping": "inactive"}


def test_an_inactive_tenant_is_counted_read_and_fetched_and_put_back(kb: WeaviateConnector) -> None:
    name = kb.options.collection
    assert kb.count(name) == {"awake": 12, "sleeping": 12}
    assert sorted(read(kb, parts=5)) == KEYS
    assert digest_of(kb.fetch(name, KEYS)) == digest_of(records())
    assert statuses(kb) == AS_THEY_WERE


def test_a_read_that_is_left_early_puts_the_tenant_back(kb: WeaviateConnector) -> None:
    (part,) = kb.partitions(kb.options.collection, 1)
    pages = kb.read(part, None)
    while next(pages)[0].keys[0].namespace != "sleeping":
        pass
    assert statuses(kb) == {"awake": "active", "sleeping": "active"}
    pages.close()
    assert statuses(kb) == AS_THEY_WERE


@pytest.mark.parametrize("exact", [False, True])
def test_an_inactive_tenant_is_searched_and_put_back(kb: WeaviateConnector, exact: bool) -> None:
    search = Search(
        records().vectors("")[13:14], 2, namespace="sleeping", filter=parse({"n": {"gte": 13}}), exact=exact
    )
    (hits,) = kb.search(kb.options.collection, search)
    assert hits.keys[0] == KEYS[13]
    assert statuses(kb) == AS_THEY_WERE


def test_an_inactive_tenant_is_written_and_put_back(kb: WeaviateConnector) -> None:
    name = kb.options.collection
    assert not kb.upsert(name, records(version=1))
    kb.delete(name, KEYS[:1] + KEYS[-1:])
    assert sorted(read(kb)) == KEYS[1:-1]
    assert digest_of(kb.fetch(name, KEYS)) == digest_of(records(version=1).take(range(1, 23)))
    with closing(kb.options.open()) as another:
        assert statuses(another) == {"awake": "active", "sleeping": "active"}
        kb.close()
        assert statuses(another) == AS_THEY_WERE


def test_a_tenant_that_is_not_there_has_no_records(kb: WeaviateConnector) -> None:
    name = kb.options.collection
    for namespace in ("nobody", "ü" * 60):  # the second is too long to be a tenant's name
        kb.delete(name, [Key(namespace, "id-00")])
        assert len(kb.fetch(name, [Key(namespace, "id-00")])) == 0
        (hits,) = kb.search(name, Search(records().vectors("")[:1], 1, namespace=namespace))
        assert not hits.keys
    assert statuses(kb) == AS_THEY_WERE


def test_one_that_another_run_has_put_back_is_woken_by_the_next_attempt(kb: WeaviateConnector) -> None:
    name = kb.options.collection
    kb.upsert(name, records(version=1))
    put(kb, "sleeping", "COLD")
    with pytest.raises(TransientError):
        kb.upsert(name, records(version=2))
    assert not kb.upsert(name, records(version=2))
    (part,) = kb.partitions(name, 1)
    pages = read_on(kb, part, None, None, retrying(Event()))
    keys = [next(pages)[0].keys]
    for tenant in ("awake", "sleeping"):
        put(kb, tenant, "COLD")
    keys += [batch.keys for batch, _ in pages]
    assert sorted(key for some in keys for key in some) == KEYS


def test_offloaded_tenants_are_refused_with_the_way_out(weaviate_double: Double, connect: Connect) -> None:
    kb = connect("Kb")
    kb.create(kb.options.complete(Collection("Kb", VECTORS, mark="vecmig:test", namespaced=True)))
    kb.upsert("Kb", records())
    for name in ("awake", "sleeping"):
        put(kb, name, "FROZEN")
    said = r"tenant 'awake' of 'Kb_\w+' is offloaded, and 1 more: load it in Weaviate \(set it to ACTIVE\)"
    with pytest.raises(ConnectorError, match=said):
        kb.count("Kb")
    kb = connect("Kb")
    for use in (
        lambda: kb.fetch("Kb", KEYS),
        lambda: kb.upsert("Kb", records()),
        lambda: kb.search("Kb", Search(records().vectors("")[:1], 1, namespace="awake")),
    ):
        with pytest.raises(ConnectorError, match="is offloaded"):
            use()


SCHEMA = {
    "multiTenancyConfig": {"enabled": True},
    "vectorConfig": {name: {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"} for name in ("body", "title")},
}


@pytest.fixture
def others(weaviate_server: WeaviateServer) -> Iterator[WeaviateConnector]:
    """A collection as others make it, whose tenants b and, in its other vector, c have dimensions of their own."""
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        make(weaviate_server, {"class": name, **SCHEMA})
        with connected(weaviate_server) as client:
            collection = client.collections.use(name)
            collection.tenants.create(["a", "b", "c", "empty"])
            for tenant, sizes in {"a": (3, 4), "b": (5, 4), "c": (3, 2)}.items():
                vectors = dict(zip(("body", "title"), ([0.5] * size for size in sizes), strict=True))
                added = collection.with_tenant(tenant).data.insert_many([DataObject(properties={}, vector=vectors)])
                assert not added.errors
        yield connector


def test_tenants_of_several_dimensions_are_told_apart_by_name(others: WeaviateConnector) -> None:
    name = others.options.collection
    with pytest.raises(UnsupportedError) as refused:
        others.describe(name)
    said = str(refused.value)
    assert "vector `body` has 3 dimensions in tenant 'a', and 5 in tenant 'b'" in said
    assert "vector `title` has 4 dimensions in tenant 'a', and 2 in tenant 'c'" in said
    assert "say `without: [body, title]` to leave it out" in said


def test_a_vector_of_one_size_is_read_where_another_is_left_out(
    weaviate_server: WeaviateServer, others: WeaviateConnector
) -> None:
    given = options(weaviate_server, others.options.collection, without=("body", "title"))
    with closing(given.open()) as connector:
        assert [key.namespace for key in read(connector)] == ["a", "b", "c"]


def test_without_tenants_a_uuid_of_another_namespace_is_no_record_of_the_collection(
    weaviate_server: WeaviateServer,
) -> None:
    uuid = "0b5e8a53-7a52-4c3e-8f0e-6f1d7a52c3e8"
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        connector.create(connector.options.complete(Collection(name, VECTORS, mark="vecmig:test", namespaced=False)))
        assert not connector.upsert(name, batch([{"id": uuid, "vector:": [1.0, 2.0, 3.0], "metadata": {}}], VECTORS))
        connector.delete(name, [Key("elsewhere", uuid)])
        assert len(connector.fetch(name, [Key("elsewhere", uuid)])) == 0
        (hits,) = connector.search(name, Search(records().vectors("")[:1], 1, namespace="elsewhere"))
        assert not hits.keys
        assert connector.count(name) == {"": 1}
