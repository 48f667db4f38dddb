"""The nearest vectors, by exact search over those that are indexed."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.doubles.weaviate.distances import distances
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.partitions import Object, Partition, Vector
from tests.doubles.weaviate.protos import base_search_pb2
from tests.doubles.weaviate.store import Collection

Ranked = list[tuple[bytes, float]]
"""Ids with their distances, nearest first."""
T = base_search_pb2


def nearest(
    collection: Collection, partition: Partition, asked: Any, is_match: Callable[[Object], bool] | None, size: int
) -> Ranked:
    """The objects nearest to what a NearVector asks for, of those that match."""
    targets = _targets(collection, asked)
    queries = _queries(asked, targets)
    if len(targets) == 1:
        ids, found = _of_one(collection, partition, targets[0], queries[targets[0]])
    else:
        ids, found = _of_many(collection, partition, targets, queries, asked.targets)
    if is_match is not None and ids:
        chosen = [row for row, id in enumerate(ids) if is_match(partition.objects[id])]
        ids, found = [ids[row] for row in chosen], found[chosen]
    order = np.argsort(found, kind="stable")
    if asked.HasField("distance"):
        order = order[found[order] <= asked.distance]
    if asked.HasField("certainty"):
        order = order[1 - found[order] / 2 >= asked.certainty]
    return [(ids[row], float(found[row])) for row in order[:size]]


def _targets(collection: Collection, asked: Any) -> list[str]:
    names = list(asked.targets.target_vectors) or list(asked.target_vectors)
    known = collection.vectors
    if not names:
        if len(known) > 1 and "" not in known:
            raise Refused(f"class {collection.name} has multiple vectors, but no target vectors were provided")
        return ["" if "" in known else next(iter(known))]
    if "" in known and names == ["default"]:
        return [""]
    for name in names:
        if name not in known:
            raise Refused(f"class {collection.name} does not have named vector {name} configured")
    return names


def _queries(asked: Any, targets: list[str]) -> dict[str, bytes]:
    """The vector asked for, of each target."""
    named = {
        item.name: (item.vectors[0].vector_bytes if item.vectors else item.vector_bytes)
        for item in asked.vector_for_targets
    }
    if named:
        return named
    content = asked.vectors[0].vector_bytes if asked.vectors else asked.vector_bytes
    if not content:
        raise Refused("near_vector: vector is required")
    return dict.fromkeys(targets, content)


def _of_one(
    collection: Collection, partition: Partition, name: str, content: bytes
) -> tuple[list[bytes], NDArray[np.float32]]:
    config = collection.vectors[name]["vectorIndexConfig"]
    if name in collection.multi_vectors:
        return _late_interaction(partition, name, content)
    stored = partition.matrix(name)
    vector: Vector = np.frombuffer(content, "<f4")
    known = partition.dimensions.get(name)
    if known is not None and known != len(vector):
        raise Refused(f"vector lengths don't match: {known} vs {len(vector)}")
    if not stored.ids:
        return [], np.empty(0, np.float32)
    return stored.ids, distances(str(config["distance"]), stored, vector)


def _of_many(
    collection: Collection, partition: Partition, targets: list[str], queries: dict[str, bytes], how: Any
) -> tuple[list[bytes], NDArray[np.float32]]:
    """The distances to several targets joined; of the objects that have all of these vectors."""
    parts = [dict(zip(*_of_one(collection, partition, name, queries[name]), strict=True)) for name in targets]
    ids = [id for id in parts[0] if all(id in part for part in parts)]
    table = np.array([[part[id] for part in parts] for id in ids], np.float32).reshape(len(ids), len(targets))
    match how.combination:
        case T.COMBINATION_METHOD_TYPE_SUM:
            joined = table.sum(axis=1)
        case T.COMBINATION_METHOD_TYPE_AVERAGE:
            joined = table.mean(axis=1)
        case T.COMBINATION_METHOD_TYPE_MANUAL:
            weights = {item.target: item.weight for item in how.weights_for_targets}
            joined = table @ np.array([weights[name] for name in targets], np.float32)
        case _:
            joined = table.min(axis=1, initial=np.inf)
    return ids, np.asarray(joined, np.float32)


def _late_interaction(partition: Partition, name: str, content: bytes) -> tuple[list[bytes], NDArray[np.float32]]:
    """For each vector of the query the best one of the object, added up."""
    query = _rows(content)
    found = {id: item.vectors[name] for id, item in partition.objects.items() if name in item.vectors}
    sums = [-(query @ _rows(stored).T).max(axis=1).sum() for stored in found.values()]
    return list(found), np.array(sums, np.float32)


def _rows(content: bytes) -> Vector:
    size = int.from_bytes(content[:2], "little")
    return np.frombuffer(content, "<f4", offset=2).reshape(-1, size)
