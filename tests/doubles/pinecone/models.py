"""An index as each version of the API shows it."""

import time

from tests.doubles.pinecone.errors import Code, Refused
from tests.doubles.pinecone.store import Index, Json


def in_shape_of_2026_07(index: Index) -> Json:
    return {
        "name": index.name,
        "host": index.host,
        "status": _status(index),
        "schema": {"fields": index.fields},
        "deployment": index.deployment,
        "deletion_protection": index.deletion_protection,
        "tags": index.tags or None,
        **({} if index.is_pod else {"read_capacity": index.read_capacity}),
    }


def in_old_shape(index: Index) -> Json:
    """As up to API 2026-04, which knows one vector an index and no field names."""
    shown: Json = {
        "name": index.name,
        "host": index.host,
        "status": _status(index),
        "metric": index.metric,
        "vector_type": "dense" if index.dense_field else "sparse",
        "spec": _spec(index),
        "deletion_protection": index.deletion_protection,
    }
    if index.dimension:
        shown["dimension"] = index.dimension
    if index.tags:
        shown["tags"] = index.tags
    return shown


def parts_of_old_request(body: Json) -> Json:
    """A request to create an index up to API 2026-04, as one of API 2026-07. Raises Refused."""
    metric = body.get("metric")
    if body.get("vector_type", "dense") == "sparse":
        if "dimension" in body or metric not in (None, "dotproduct"):
            raise Refused("A sparse index has no dimension, and the metric dotproduct")
        fields: Json = {"_sparse_values": {"type": "sparse_vector", "metric": "dotproduct"}}
    else:
        dimension = body.get("dimension")
        fields = {"_values": {"type": "dense_vector", "dimension": dimension, "metric": metric or "cosine"}}
    spec = body.get("spec") or {}
    if "pod" in spec:
        deployment = {"deployment_type": "pod", **spec["pod"]}
    elif "serverless" in spec:
        cloud, region = spec["serverless"].get("cloud"), spec["serverless"].get("region")
        if not region:
            raise Refused(f"Resource cloud: {cloud} region: {region} not found", Code.NOT_FOUND)
        deployment = {"deployment_type": "managed", "cloud": cloud, "region": region}
    else:
        raise Refused("spec must be one of serverless and pod")
    kept: Json = {key: body[key] for key in ("name", "deletion_protection", "tags") if key in body}
    return {**kept, "schema": {"fields": fields}, "deployment": deployment}


def _status(index: Index) -> Json:
    is_ready = time.monotonic() >= index.ready_at
    return {"ready": is_ready, "state": "Ready" if is_ready else "Initializing"}


def _spec(index: Index) -> Json:
    deployment = index.deployment
    match deployment["deployment_type"]:
        case "pod":
            pod = {key: deployment[key] for key in ("environment", "pod_type", "replicas", "shards")}
            return {"pod": {**pod, "pods": deployment["replicas"] * deployment["shards"]}}
        case "byoc":
            return {"byoc": {"environment": deployment["environment"], "read_capacity": index.read_capacity}}
        case _:
            place = {"cloud": deployment["cloud"], "region": deployment["region"]}
            return {"serverless": {**place, "read_capacity": index.read_capacity}}
