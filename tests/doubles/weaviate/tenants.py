"""Tenants, as the REST API adds them and changes their status."""

from tests.doubles.weaviate.collections import found
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import check_tenant
from tests.doubles.weaviate.partitions import Partition
from tests.doubles.weaviate.properties import Json
from tests.doubles.weaviate.store import Collection, Store

STATUSES = {
    "ACTIVE": "HOT",
    "HOT": "HOT",
    "INACTIVE": "COLD",
    "COLD": "COLD",
    "OFFLOADED": "FROZEN",
    "FROZEN": "FROZEN",
}
"""What a tenant can be asked to be, and how the server says it."""


def add(store: Store, name: str, bodies: list[Json]) -> list[Json]:
    """Those that are there already stay as they are."""
    collection = _with_tenants(store, name)
    for position, body in enumerate(bodies):
        try:
            check_tenant(body.get("name") or "")
        except Refused as refused:
            raise Refused(f"tenant name at index {position}: {refused.message}") from refused
        _status(body)
    with collection.lock:
        for body in bodies:
            collection.partitions.setdefault(body["name"], Partition(_status(body)))
    return bodies


def update(store: Store, name: str, bodies: list[Json]) -> list[Json]:
    collection = _with_tenants(store, name)
    with collection.lock:
        for body in bodies:
            _status(body)
            if body["name"] not in collection.partitions:
                raise Refused(f"shard not found: {body['name']}")
        for body in bodies:
            collection.partitions[body["name"]].status = _status(body)
    return [{"activityStatus": _status(body), "name": body["name"]} for body in bodies]


def delete(store: Store, name: str, names: list[str]) -> None:
    """Those that are not there are no error."""
    collection = _with_tenants(store, name)
    with collection.lock:
        for tenant in names:
            collection.partitions.pop(tenant, None)


def listed(collection: Collection) -> list[Json]:
    with collection.lock:
        return [{"activityStatus": item.status, "name": name} for name, item in collection.partitions.items()]


def get_all(store: Store, name: str) -> list[Json]:
    return listed(_with_tenants(store, name))


def get(store: Store, name: str, tenant: str) -> Json:
    for item in get_all(store, name):
        if item["name"] == tenant:
            return item
    raise Refused("", 404)


def _with_tenants(store: Store, name: str) -> Collection:
    collection = found(store, name)
    if not collection.has_tenants:
        raise Refused(f'multi-tenancy is not enabled for class "{collection.name}"')
    return collection


def _status(body: Json) -> str:
    asked = body.get("activityStatus") or "HOT"
    if asked not in STATUSES:
        raise Refused("activityStatus in body should be one of [" + " ".join(STATUSES) + "]")
    return STATUSES[asked]
