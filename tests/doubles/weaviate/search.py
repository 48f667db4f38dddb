"""Search: pages by cursor, fetches by filter, and the nearest vectors."""

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.doubles.weaviate import filters, replies
from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.fusion import hybrid_search
from tests.doubles.weaviate.keywords import keyword_search
from tests.doubles.weaviate.near import nearest
from tests.doubles.weaviate.partitions import Object, Partition
from tests.doubles.weaviate.store import Collection, Store


@dataclass(frozen=True, slots=True)
class Hit:
    item: Object
    distance: float | None = None
    score: float | None = None


def search(store: Store, call: Call, asked: Any, answer: Any) -> None:
    collection = store.find(asked.collection)
    _check_properties(collection, asked.properties)
    _check_cursor(asked)
    with collection.lock:
        partition = collection.active(asked.tenant)
        size = asked.limit or call.limits.default_results
        if size + asked.offset > call.limits.query_maximum_results:
            raise Refused(
                f"query maximum results exceeded: the offset '{asked.offset}' and limit '{size}' together exceed "
                f"QUERY_MAXIMUM_RESULTS '{call.limits.query_maximum_results}'"
            )
        hits = _hits(collection, partition, asked, size)
        multi, vectors, declared = collection.multi_vectors, list(collection.vectors), collection.declared
    call.objects = len(hits)
    names = vectors if asked.metadata.vector else list(asked.metadata.vectors)
    everything = not asked.HasField("properties")
    for hit in hits:
        result = answer.results.add()
        result.properties.target_collection = collection.name
        if everything or asked.properties.ListFields():
            replies.fill_properties(hit.item, declared, asked.properties, result.properties, everything=everything)
        _fill_metadata(hit, asked.metadata, result.metadata)
        replies.fill_vectors(hit.item, multi, names, result.metadata)


def _hits(collection: Collection, partition: Partition, asked: Any, size: int) -> list[Hit]:
    if asked.after:
        return [Hit(item) for item in partition.page(uuid.UUID(asked.after).bytes, size)]
    match = filters.compiled(asked.filters, collection) if asked.HasField("filters") else None
    start, end = asked.offset, asked.offset + size
    objects = partition.objects
    if asked.HasField("near_vector"):
        near = nearest(collection, partition, asked.near_vector, match, end)
        return [Hit(objects[id], distance=distance) for id, distance in near[start:]]
    if asked.HasField("bm25_search"):
        scored = keyword_search(collection, partition, asked.bm25_search, match, end)
        return [Hit(objects[id], score=score) for id, score in scored[start:]]
    if asked.HasField("hybrid_search"):
        scored = hybrid_search(collection, partition, asked.hybrid_search, match, end)
        return [Hit(objects[id], score=score) for id, score in scored[start:end]]
    if match is None:
        everything = partition.page(b"", len(objects) if asked.sort_by else end)
        return [Hit(item) for item in _sorted(everything, asked)[start:end]]
    return [Hit(item) for item in _sorted(_matching(partition, asked.filters, match), asked)[start:end]]


def _matching(partition: Partition, message: Any, match: filters.Test) -> list[Object]:
    """In the order they were first stored: a filter keeps no other."""
    named = filters.ids(message)
    if named is None:
        return [item for item in partition.objects.values() if match(item)]
    found = [partition.objects[id] for id in named if id in partition.objects]
    return [item for item in found if match(item)]


def _sorted(found: list[Object], asked: Any) -> list[Object]:
    """By the properties asked for, the first one first; an object without one comes first in ascending order."""
    for wanted in reversed(asked.sort_by):
        name = wanted.path[0]

        def key(item: Object, name: str = name) -> tuple[bool, Any]:
            special = {"_id": item.id, "_creationTimeUnix": item.created_ms, "_lastUpdateTimeUnix": item.updated_ms}
            value = special.get(name, item.properties.get(name))
            return value is not None, value if value is not None else 0

        found = sorted(found, key=key, reverse=not wanted.ascending)
    return found


def _check_properties(collection: Collection, asked: Any) -> None:
    declared = collection.declared
    for name in [*asked.non_ref_properties, *(item.prop_name for item in asked.object_properties)]:
        if name not in declared:
            raise Refused(f"no such prop with name '{name}' found in class '{collection.name}' in the schema")


def _check_cursor(asked: Any) -> None:
    if not asked.after:
        return
    wrong = [("offset", bool(asked.offset)), ("where", asked.HasField("filters")), ("sort", bool(asked.sort_by))]
    if names := [name for name, is_there in wrong if is_there]:
        raise Refused(
            f"cursor api: invalid 'after' parameter: {','.join(names)} cannot be set with after and limit parameters"
        )
    try:
        uuid.UUID(asked.after)
    except ValueError as error:
        raise Refused(
            f"cursor api: invalid 'after' parameter: after parameter '{asked.after}' is not a valid uuid"
        ) from error


def _fill_metadata(hit: Hit, asked: Any, metadata: Any) -> None:
    if asked.uuid:
        metadata.id, metadata.id_as_bytes = replies.text_of(hit.item.id), hit.item.id
    if asked.creation_time_unix:
        metadata.creation_time_unix, metadata.creation_time_unix_present = hit.item.created_ms, True
    if asked.last_update_time_unix:
        metadata.last_update_time_unix, metadata.last_update_time_unix_present = hit.item.updated_ms, True
    if asked.distance and hit.distance is not None:
        metadata.distance, metadata.distance_present = hit.distance, True
    if asked.certainty and hit.distance is not None:
        metadata.certainty, metadata.certainty_present = float(np.float32(1 - hit.distance / 2)), True
    if asked.score:
        metadata.score, metadata.score_present = hit.score or 0, True
    if asked.is_consistent:
        metadata.is_consistent, metadata.is_consistent_present = True, True
