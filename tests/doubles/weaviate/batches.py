"""Writing and deleting many objects at once."""

import uuid
from typing import Any

from tests.doubles.weaviate import filters
from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Dropped, Refused
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.partitions import Lag, Object, Partition
from tests.doubles.weaviate.properties import Declared, read
from tests.doubles.weaviate.store import Collection, Store


class _Place:
    """Where a batch writes: what is looked up once for every collection and tenant."""

    def __init__(self, collection: Collection, tenant: str) -> None:
        self.collection = collection
        self.partition = writable(collection, tenant)
        self.declared: Declared = collection.declared
        self.vectors: Declared = collection.vectors
        self.multi = collection.multi_vectors
        self.objects: dict[bytes, Object] = {}


def write(store: Store, call: Call, asked: Any, answer: Any) -> None:
    """Store or replace every object that is right, and answer with an error for each one that is not."""
    places: dict[tuple[str, str], _Place | Refused] = {}
    call.objects = len(asked.objects)
    written = 0  # what comes before a broken connection, if it is to break
    for position, message in enumerate(asked.objects):
        if call.applied_objects is not None and written >= call.applied_objects:
            break
        place = _place(store, places, message)
        try:
            _write_one(place, message, call)
            written += 1
        except Refused as refused:
            answer.errors.add(index=position, error=refused.message)
    for place in places.values():
        if isinstance(place, _Place):
            with place.collection.lock:
                place.partition.put(place.objects.values(), call.lag or Lag(), is_indexed=call.is_indexed)
    if call.applied_objects is not None:
        raise Dropped


def delete(store: Store, call: Call, asked: Any, answer: Any) -> None:
    """Delete what matches a filter, at most as many objects as a query gives."""
    collection = store.find(asked.collection)
    if not asked.HasField("filters"):
        raise Refused("batch delete params: no filters in batch delete request")
    matches = filters.compiled(asked.filters, collection)
    with collection.lock:
        partition = collection.active(asked.tenant)
        named = filters.ids(asked.filters)
        looked = partition.ids() if named is None else [id for id in named if id in partition.objects]
        found = [id for id in looked if matches(partition.objects[id])]
        found = found[: call.limits.query_maximum_results]
        if not asked.dry_run:
            partition.delete(found)
    call.objects = answer.matches = len(found)
    answer.successful = len(found)
    if asked.verbose:
        for id in found:
            answer.objects.add(uuid=id, successful=True)


def _place(store: Store, places: dict[tuple[str, str], _Place | Refused], message: Any) -> _Place | Refused:
    key = (class_name(message.collection), message.tenant)
    if key not in places:
        try:
            places[key] = _Place(_found(store, key[0]), key[1])
        except Refused as refused:
            places[key] = refused
    return places[key]


def _found(store: Store, name: str) -> Collection:
    try:
        return store.find(name)
    except Refused as refused:
        if name in store.aliases:
            told = f'alias "{name}" points to collection "{store.aliases[name]}" which does not exist'
            raise Refused(told) from refused
        raise Refused(f"class '{name}' not present in schema") from refused


def writable(collection: Collection, tenant: str) -> Partition:
    """Where a tenant's objects are written; it is created where the collection says so."""
    with collection.lock:
        tenancy = collection.schema["multiTenancyConfig"]
        if tenant and tenancy["autoTenantCreation"] and collection.has_tenants:
            collection.partitions.setdefault(tenant, Partition())
        return collection.active(tenant)


def _write_one(place: _Place | Refused, message: Any, call: Call) -> None:
    try:
        id = uuid.UUID(message.uuid)
    except ValueError as error:
        raise Refused(f"invalid UUID length: {len(message.uuid)}") from error
    if call.refused_ids:
        told = call.refused_ids.get(str(id)) or call.refused_ids.get("*")
        if told:
            raise Refused(told)
    if isinstance(place, Refused):
        raise place
    item = Object(
        id.bytes,
        read(message.properties, place.declared, place.collection.name) if message.HasField("properties") else {},
        _vectors(message, place),
        spelling=message.uuid,
    )
    check_dimensions(place.partition, place.multi, item, call)
    if str(id) not in call.lost_ids:
        place.objects[item.id] = item


def _vectors(message: Any, place: _Place) -> dict[str, bytes]:
    name, known = place.collection.name, place.vectors
    vectors: dict[str, bytes] = {vector.name: vector.vector_bytes for vector in message.vectors}
    if "" in known and "default" in vectors:
        vectors[""] = vectors.pop("default")
    for given in vectors:
        if given not in known:
            raise Refused(f"collection {name} does not have configuration for vector {given}")
    if len(message.vector_bytes) >= 4:
        if "" in known:
            vectors[""] = message.vector_bytes
        elif len(known) == 1:
            vectors = {next(iter(known)): message.vector_bytes}
        else:
            raise Refused(f"collection {name} configuration does not have single vector index")
    return {given: content for given, content in vectors.items() if content}


def check_dimensions(partition: Partition, multi: set[str], item: Object, call: Call) -> None:
    """Refuse a vector unlike the first one of its name in the same tenant, which is remembered."""
    for name, content in item.vectors.items():
        size = int.from_bytes(content[:2], "little") if name in multi else len(content) // 4
        if size > call.limits.dimensions:
            raise Refused(f"vector: max length exceeded ({size}/{call.limits.dimensions})")
        known = partition.dimensions.setdefault(name, size)
        if known != size:
            raise Refused(
                f"new node has a vector with length {size}. Existing nodes have vectors with length {known}: "
                "vector dimensions do not match the index dimensions"
            )
