"""Collections, as the REST API creates, shows and changes them."""

from tests.doubles.weaviate import schema
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.properties import Json
from tests.doubles.weaviate.store import Collection, Store


def create(store: Store, body: Json) -> Json:
    with store.lock:
        schema.check_new_vectors(body)
        made = schema.created(body, nodes=store.nodes, is_async=store.is_async)
        if made["class"] in store.aliases:
            raise Refused(f"alias name {made['class']} already exists")
        if made["class"].lower() in (name.lower() for name in store.collections):
            raise Refused(f"class name {made['class']} already exists")
        collection = Collection(made)
        store.collections[made["class"]] = collection
    return collection.schema


def listed(store: Store) -> Json:
    with store.lock:
        return {"classes": [collection.schema for _, collection in sorted(store.collections.items())]}


def get(store: Store, name: str) -> Json:
    return found(store, name).schema


def update(store: Store, name: str, body: Json) -> Json:
    collection = _named(store, name)
    if collection is None:
        raise Refused("", 404)
    with collection.lock:
        collection.schema = schema.updated(collection.schema, body, is_async=store.is_async)
        return collection.schema


def add_property(store: Store, name: str, body: Json) -> Json:
    collection = _named(store, name)
    if collection is None:
        raise Refused(f'class "{class_name(name)}": not found')
    with collection.lock:
        made = schema.added_property(collection.schema, body)
        collection.schema = {**collection.schema, "properties": [*(collection.schema["properties"] or []), made]}
        for partition in collection.partitions.values():
            for item in partition.objects.values():
                item.wire.clear()
    return made


def found(store: Store, name: str) -> Collection:
    """Raises Refused with 404."""
    try:
        return store.find(name)
    except Refused as refused:
        raise Refused("", 404) from refused


def _named(store: Store, name: str) -> Collection | None:
    """By its own name: an alias changes nothing."""
    return store.collections.get(class_name(name))
