"""The control plane: create, describe, list, configure and delete indexes."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import orjson

from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.errors import Code, Dropped, Refused
from tests.doubles.pinecone.gate import Gate
from tests.doubles.pinecone.http import HttpAnswer, HttpRequest
from tests.doubles.pinecone.limits import Limits
from tests.doubles.pinecone.models import in_old_shape, in_shape_of_2026_07, parts_of_old_request
from tests.doubles.pinecone.store import RESERVED_FIELDS, Index, Json, Store

FIRST_SCHEMA_VERSION = "2026-07"
"""The first API version with `schema` and `deployment` in place of `dimension`, `metric` and `spec`."""

METRICS = ("cosine", "dotproduct", "euclidean")


def answer(gate: Gate, request: HttpRequest) -> HttpAnswer:
    """Serve one request to the control plane."""
    version = request.headers.get("x-pinecone-api-version", FIRST_SCHEMA_VERSION)
    show = in_shape_of_2026_07 if version >= FIRST_SCHEMA_VERSION else in_old_shape

    def create(call: Call) -> Json:
        call.status = 201
        body = request.json()
        if version < FIRST_SCHEMA_VERSION:
            body = parts_of_old_request(body)
        return show(_create(gate.store, body))

    def describe(call: Call) -> Json:
        return show(gate.store.find(call.index))

    def list_all(call: Call) -> Json:
        return {"indexes": [show(index) for _, index in sorted(gate.store.indexes.items())]}

    def configure(call: Call) -> Json:
        call.status = 202
        return show(_configure(gate.store, call.index, request.json()))

    def delete(call: Call) -> Json:
        call.status = 202
        if gate.store.find(call.index).deletion_protection == "enabled":
            message = "Deletion protection is enabled for this index. Disable deletion protection before retrying."
            raise Refused(message, Code.PERMISSION_DENIED, name="FORBIDDEN")
        gate.store.delete(call.index)
        return {}

    def unknown(call: Call) -> Json:
        raise Refused(f"{request.method} {request.path} is not known", Code.NOT_FOUND)

    works: dict[tuple[str, int], tuple[str, Callable[[Call], Json]]] = {
        ("POST", 1): ("create_index", create),
        ("GET", 1): ("list_indexes", list_all),
        ("GET", 2): ("describe_index", describe),
        ("PATCH", 2): ("configure_index", configure),
        ("DELETE", 2): ("delete_index", delete),
    }
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    operation, work = works.get((request.method, len(parts)), ("unknown", unknown))
    if parts[0] != "indexes":
        operation, work = "unknown", unknown
    call = Call(operation, "rest", gate.store.limits, parts[1] if len(parts) > 1 else "", bytes=len(request.body))
    try:
        content = gate.run(call, request.headers.get("api-key", ""), work)
    except Refused as refused:
        return _error(refused)
    except Dropped:
        return HttpAnswer(0, is_reset=True)
    body = orjson.dumps(content) if content else b""
    return HttpAnswer(call.status, body, {"content-type": "application/json"}, is_truncated=call.is_truncated)


def _error(refused: Refused) -> HttpAnswer:
    headers = {"content-type": "application/json"}
    if refused.retry_after_s is not None:
        headers["retry-after"] = f"{refused.retry_after_s:g}"
    error = {"code": refused.name, "message": refused.message}
    return HttpAnswer(refused.http, orjson.dumps({"error": error, "status": refused.http}), headers)


def _create(store: Store, body: Json) -> Index:
    limits = store.limits
    name = body.get("name")
    _check_name(name, limits)
    fields = (body.get("schema") or {}).get("fields")
    if not isinstance(fields, dict) or not fields:
        raise Refused("schema.fields must name at least one field")
    index = Index(str(name), {key: _field(key, field, limits) for key, field in fields.items()})
    for kind in ("dense_vector", "sparse_vector"):
        if sum(field["type"] == kind for field in fields.values()) > 1:
            raise Refused(f"An index can have one {kind} field")
    deployment = body.get("deployment") or index.deployment
    if deployment.get("deployment_type") == "pod":
        raise Refused("Pod-based indexes can no longer be created")
    if deployment.get("deployment_type") == "managed" and deployment.get("cloud") not in ("aws", "gcp", "azure"):
        raise Refused(f"Resource cloud: {deployment.get('cloud')} not found", Code.NOT_FOUND)
    index.deployment = deployment
    index.deletion_protection = _protection(body.get("deletion_protection") or "disabled")
    index.tags = _tags({}, body.get("tags"), limits)
    return store.add(index)


def _configure(store: Store, name: str, body: Json) -> Index:
    unknown = set(body) - {"schema", "deployment", "read_capacity", "deletion_protection", "tags", "spec", "embed"}
    if unknown:
        raise Refused(f"Unknown field '{min(unknown)}'")
    index = store.find(name)
    tags = _tags(index.tags, body.get("tags"), store.limits)
    if "deletion_protection" in body:
        index.deletion_protection = _protection(body["deletion_protection"])
    index.tags = tags
    return index


def _check_name(name: Any, limits: Limits) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= limits.index_name_chars:
        raise Refused(f"Name must be 1 to {limits.index_name_chars} characters")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise Refused(
            "Name must consist of lower case alphanumeric characters or '-', and must start and end with an "
            "alphanumeric character"
        )


def _field(name: str, field: Any, limits: Limits) -> Json:
    if not isinstance(field, dict):
        raise Refused(f"Field '{name}' must be an object")
    if not 1 <= len(name.encode()) <= 64 or (name.startswith(("_", "$")) and name not in RESERVED_FIELDS):
        raise Refused(f"'{name}' is not a valid field name")
    if field.get("type") != "dense_vector":
        return field
    dimension, metric = field.get("dimension"), field.get("metric", "cosine")
    if not isinstance(dimension, int) or not 1 <= dimension <= limits.dimension:
        raise Refused(f"Dimension must be between 1 and {limits.dimension}")
    if metric not in METRICS:
        raise Refused(f"Metric must be one of {', '.join(METRICS)}")
    return {**field, "metric": metric}


def _protection(value: Any) -> str:
    if value not in ("enabled", "disabled"):
        raise Refused("deletion_protection must be 'enabled' or 'disabled'")
    return str(value)


def _tags(before: dict[str, str], change: Any, limits: Limits) -> dict[str, str]:
    """The tags after this change, in which an empty value removes one."""
    tags = {key: value for key, value in {**before, **(change or {})}.items() if value != ""}
    if len(tags) > limits.tags:
        raise Refused(f"An index can have at most {limits.tags} tags")
    for key, value in tags.items():
        if not re.fullmatch(rf"[a-zA-Z0-9_-]{{1,{limits.tag_key_chars}}}", key):
            raise Refused(f"'{key}' is not a valid tag key")
        if not isinstance(value, str) or not value.isascii() or len(value) > limits.tag_value_chars:
            raise Refused(f"The value of tag '{key}' must be ASCII of at most {limits.tag_value_chars} characters")
    return tags
