"""Single objects, as the REST API writes, gives and deletes them."""

import uuid
from typing import Any

import numpy as np

from tests.doubles.weaviate.batches import check_dimensions, writable
from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.partitions import Lag, Object
from tests.doubles.weaviate.properties import Json, checked
from tests.doubles.weaviate.replies import text_of
from tests.doubles.weaviate.store import Collection, Store


def create(store: Store, call: Call, body: Json) -> Json:
    collection = _found(store, body.get("class") or "", missing=422)
    item = _read(collection, body, call, id_of(body.get("id") or str(uuid.uuid4())))
    with collection.lock:
        if item.id in collection.active(call.tenant).objects:
            raise Refused(f"id '{text_of(item.id)}' already exists")
        return _put(collection, item, call)


def replace(store: Store, call: Call, name: str, id: bytes, body: Json) -> Json:
    """The whole object, vectors and all."""
    collection = _found(store, name)
    with collection.lock:
        before = _existing(collection, call, id)
        item = _read(collection, body, call, id)
        return _put(collection, item, call, before.created_ms)


def merge(store: Store, call: Call, name: str, id: bytes, body: Json) -> None:
    """What is given, into what is there."""
    collection = _found(store, name)
    with collection.lock:
        before = _existing(collection, call, id)
        item = _read(collection, body, call, id)
        item.properties = {**before.properties, **item.properties}
        item.vectors = {**before.vectors, **item.vectors}
        _put(collection, item, call, before.created_ms)


def get(store: Store, call: Call, name: str, id: bytes, *, with_vectors: bool) -> Json:
    collection = _found(store, name)
    with collection.lock:
        return _shown(collection, _existing(collection, call, id), call.tenant, with_vectors=with_vectors)


def exists(store: Store, call: Call, name: str, id: bytes) -> None:
    """Raises Refused with 404 if it is not there."""
    collection = _found(store, name)
    with collection.lock:
        _existing(collection, call, id)


def delete(store: Store, call: Call, name: str, id: bytes) -> None:
    """One that is not there is no error."""
    collection = _found(store, name, missing=500)
    with collection.lock:
        collection.active(call.tenant).delete([id])


def id_of(text: str) -> bytes:
    try:
        return uuid.UUID(text).bytes
    except ValueError as error:
        raise Refused(f'id must be of type uuid: "{text}"') from error


def _found(store: Store, name: str, missing: int = 404) -> Collection:
    try:
        return store.find(name)
    except Refused as refused:
        raise Refused(f'class "{class_name(name)}" not found in schema', missing) from refused


def _existing(collection: Collection, call: Call, id: bytes) -> Object:
    found = collection.active(call.tenant).objects.get(id)
    if found is None:
        raise Refused("", 404)
    return found


def _read(collection: Collection, body: Json, call: Call, id: bytes) -> Object:
    known = collection.vectors
    given = dict(body.get("vectors") or {})
    if body.get("vector"):
        given["" if "" in known else next(iter(known))] = body["vector"]
    if wrong := [name for name in given if name not in known]:
        raise Refused(f"collection {collection.name} does not have configuration for vector {wrong[0]}")
    properties = checked(body.get("properties") or {}, collection.declared, collection.name)
    return Object(id, properties, {name: _packed(value) for name, value in given.items()})


def _put(collection: Collection, item: Object, call: Call, created_ms: int = 0) -> Json:
    partition = writable(collection, call.tenant)
    check_dimensions(partition, collection.multi_vectors, item, call)
    partition.put([item], call.lag or Lag())
    item.created_ms = created_ms or item.created_ms
    return _shown(collection, item, call.tenant, with_vectors=True)


def _packed(value: Any) -> bytes:
    array = np.asarray(value, "<f4")
    return (len(array[0]).to_bytes(2, "little") if array.ndim == 2 else b"") + array.tobytes()


def _shown(collection: Collection, item: Object, tenant: str, *, with_vectors: bool) -> Json:
    shown: Json = {
        "class": collection.name,
        "creationTimeUnix": item.created_ms,
        "id": text_of(item.id),
        "lastUpdateTimeUnix": item.updated_ms,
        "properties": item.properties,
        "vectorWeights": None,
    }
    if tenant:
        shown["tenant"] = tenant
    if with_vectors:
        flat = {name: _unpacked(value, name in collection.multi_vectors) for name, value in item.vectors.items()}
        if "" in flat:
            shown["vector"] = flat.pop("")
        if flat:
            shown["vectors"] = flat
    return shown


def _unpacked(content: bytes, is_multi: bool) -> list[Any]:
    if is_multi:
        size = int.from_bytes(content[:2], "little")
        return list(np.frombuffer(content, "<f4", offset=2).reshape(-1, size).tolist())
    return list(np.frombuffer(content, "<f4").tolist())
