"""What the server says of its node and shards, and of the vectors that wait to be indexed."""

from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.properties import Json
from tests.doubles.weaviate.store import Collection, Store


def listed(store: Store, name: str | None, *, verbose: bool) -> Json:
    """The one node of the double. Looking verbosely is what a lag that counts polls counts."""
    collections = [collection for _, collection in sorted(store.collections.items())]
    if name is not None:
        try:
            collections = [store.find(name)]
        except Refused as refused:
            raise Refused(f'class "{class_name(name)}" not found', 404) from refused
    node: Json = {
        "batchStats": {"queueLength": 0, "ratePerSecond": 0},
        "name": "node1",
        "operationalMode": "ReadWrite",
        "shards": None,
        "status": store.node_status,
        "version": store.version,
    }
    if verbose and store.node_status == "HEALTHY":
        shards = [shard for collection in collections for shard in _shards(collection)]
        node["shards"] = shards or None
        node["stats"] = {"objectCount": sum(item["objectCount"] for item in shards), "shardCount": len(shards)}
    return {"nodes": [node]}


def shard_statuses(store: Store, name: str, tenant: str | None) -> list[Json]:
    """Without the true queue: the server says 0 here, whatever waits. One inactive tenant makes it fail for all."""
    try:
        collection = store.find(name)
    except Refused as refused:
        raise Refused(
            f"cannot get shards status for a non-existing index for {class_name(name)}: not found", 404
        ) from (refused)
    inactive = [part for part, item in sorted(collection.partitions.items()) if item.status != "HOT"]
    if tenant is None and inactive:
        raise Refused(f"shard {inactive[0]}: status code: 500 body: (local {inactive[0]} shard not found)", 500)
    return [
        {
            "name": shard["name"],
            "status": "INDEXING" if shard["vectorQueueLength"] else "READY",
            "vectorQueueSize": 0,
        }
        for shard in _shards(collection, polling=False)
        if tenant in (None, shard["name"])
    ]


def _shards(collection: Collection, *, polling: bool = True) -> list[Json]:
    with collection.lock:
        if collection.has_tenants:
            parts = [(name, item, 1, 0) for name, item in sorted(collection.partitions.items()) if item.status == "HOT"]
        else:
            count = int(collection.schema["shardingConfig"]["desiredCount"])
            only = collection.partitions[""]
            parts = [(f"{collection.shard}{number}", only, count, number) for number in range(count)]
        waiting = {id(item): item.waiting(polling=polling) for _, item, _, _ in parts}
        return [
            {
                "asyncReplicationStatus": [],
                "class": collection.name,
                "compressed": False,
                "loaded": True,
                "name": name,
                "numberOfReplicas": collection.schema["replicationConfig"]["factor"],
                "objectCount": 0,  # the server counts here what is written to disk, which is late
                "replicationFactor": collection.schema["replicationConfig"]["factor"],
                "vectorIndexingStatus": "INDEXING" if _share(waiting[id(item)], of, number) else "READY",
                "vectorQueueLength": _share(waiting[id(item)], of, number),
            }
            for name, item, of, number in parts
        ]


def _share(count: int, of: int, number: int) -> int:
    """How many of so many things are in one of several shards. The double keeps them together."""
    return (count + of - 1 - number) // of
