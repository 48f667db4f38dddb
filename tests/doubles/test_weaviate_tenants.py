from typing import Any

import pytest
from weaviate.classes.config import Configure
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.classes.tenants import Tenant, TenantActivityStatus, TenantCreate, TenantCreateActivityStatus
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateQueryError

from tests.doubles.conftest import MakeCollection, numbered


def with_tenants(make_collection: MakeCollection, *names: str, **options: Any) -> Any:
    made = make_collection(multi_tenancy_config=Configure.multi_tenancy(**options))
    made.tenants.create([Tenant(name=name) for name in names])
    return made


def put(collection: Any, number: int, vector: tuple[float, ...] = (1.0, 2.0)) -> None:
    collection.data.insert_many([DataObject(properties={}, uuid=numbered(number), vector=list(vector))])


def statuses(collection: Any) -> dict[str, str]:
    return {name: tenant.activity_status.value for name, tenant in collection.tenants.get().items()}


def test_each_tenant_has_its_own_objects_and_its_own_dimension(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, "a", "b")
    put(films.with_tenant("a"), 1)
    put(films.with_tenant("b"), 1, (1.0, 2.0, 3.0))
    put(films.with_tenant("b"), 2, (1.0, 2.0, 3.0))
    assert [len(films.with_tenant(name)) for name in "ab"] == [1, 2]
    assert [found.uuid.int for found in films.with_tenant("b").iterator()] == [1, 2]
    with pytest.raises(Exception, match="vector dimensions do not match"):
        put(films.with_tenant("a"), 3, (1.0, 2.0, 3.0))


def test_a_call_names_its_tenant_where_there_are_tenants_and_only_there(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, "a")
    for read in (lambda c: c.query.fetch_objects(), len):
        with pytest.raises(WeaviateQueryError, match="request was without tenant"):
            read(films)
        with pytest.raises(WeaviateQueryError, match=r'tenant not found: .*"zz'):
            read(films.with_tenant("zz"))
        with pytest.raises(WeaviateQueryError, match="request was with tenant"):
            read(make_collection().with_tenant("a"))
    with pytest.raises(Exception, match="request was without tenant"):
        put(films, 1)
    with pytest.raises(Exception, match='tenant not found: "zz"'):
        put(films.with_tenant("zz"), 1)


def test_an_inactive_tenant_answers_nothing_until_it_is_activated(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, "a", "b")
    a = films.with_tenant("a")
    put(a, 1)
    films.tenants.deactivate("a")
    assert statuses(films) == {"a": "INACTIVE", "b": "ACTIVE"}
    for read in (lambda: a.query.fetch_objects(), lambda: len(a), lambda: a.query.near_vector([1.0, 2.0])):
        with pytest.raises(WeaviateQueryError, match="tenant not active: 'a'"):
            read()
    with pytest.raises(Exception, match="tenant not active: 'a'"):
        put(a, 2)
    with pytest.raises(Exception, match="tenant not active: 'a'"):
        a.data.delete_many(Filter.by_id().equal(numbered(1)))
    films.tenants.activate("a")
    assert len(a) == 1


def test_tenants_come_by_themselves_where_the_collection_says_so(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, auto_tenant_creation=True, auto_tenant_activation=True)
    new = films.with_tenant("new")
    put(new, 1)
    films.tenants.deactivate("new")
    assert len(new.query.fetch_objects().objects) == 1
    assert statuses(films) == {"new": "ACTIVE"}
    with pytest.raises(WeaviateQueryError, match="tenant not found"):
        len(films.with_tenant("other"))


def test_tenants_are_created_as_asked_and_again_without_an_error(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, "a")
    films.tenants.create(TenantCreate(name="b", activity_status=TenantCreateActivityStatus.INACTIVE))
    films.tenants.create("b")
    assert statuses(films) == {"a": "ACTIVE", "b": "INACTIVE"}
    assert set(films.tenants.get_by_names(["a", "zz"])) == {"a"}
    assert films.tenants.get_by_name("b").activity_status is TenantActivityStatus.INACTIVE
    assert films.tenants.get_by_name("zz") is None
    assert [films.tenants.exists(name) for name in ("a", "zz")] == [True, False]
    films.tenants.remove(["b", "zz"])
    assert statuses(films) == {"a": "ACTIVE"}


@pytest.mark.parametrize(("name", "part"), [("a b", "not a valid tenant name"), ("", "empty tenant name")])
def test_a_tenant_has_a_plain_name(make_collection: MakeCollection, name: str, part: str) -> None:
    with pytest.raises(UnexpectedStatusCodeError, match=part):
        with_tenants(make_collection, "fine", name)


def test_many_tenants_are_created_at_once(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, *[f"t-{number}_x" for number in range(300)])
    assert len(films.tenants.get()) == 300


def test_what_has_no_tenants_cannot_be_asked_for_them(make_collection: MakeCollection) -> None:
    films = make_collection()
    with pytest.raises(Exception, match="multi-tenancy is not enabled"):
        films.tenants.get()
    with pytest.raises(UnexpectedStatusCodeError, match="multi-tenancy is not enabled"):
        films.tenants.create("a")


def test_only_active_tenants_are_among_the_shards(make_collection: MakeCollection) -> None:
    films = with_tenants(make_collection, "a", "b")
    assert sorted(shard.name for shard in films.shards()) == ["a", "b"]
    films.tenants.deactivate("a")
    assert [shard.name for shard in films.shards()] == ["b"]
    # the older list of shards fails instead; a real server takes 8 s to say so
    with pytest.raises(UnexpectedStatusCodeError, match="shard not found"):
        films.config.get_shards()
