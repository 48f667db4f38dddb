"""The REST API: which operation a request asks for, and its answer in JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from tests.doubles.weaviate import aliases, collections, nodes, objects, tenants
from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Dropped, Refused
from tests.doubles.weaviate.gate import Gate
from tests.doubles.weaviate.http import HttpAnswer, HttpRequest
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.store import Store


@dataclass(frozen=True, slots=True)
class Asked:
    """A request understood: the operation, its collection and tenant, and what does it.

    None as an answer is one without a body."""

    operation: str
    work: Callable[[Store, Call], Any]
    collection: str = ""
    tenant: str = ""
    status: int = 200


def answer(gate: Gate, url: str, request: HttpRequest) -> HttpAnswer:
    """Serve one request. `url` is the address of the double."""
    try:
        asked = _understand(request, url)
    except Refused as refused:
        asked = Asked("unknown", _refuse(refused))
    call = Call(
        asked.operation,
        "rest",
        gate.store.limits,
        class_name(asked.collection),
        asked.tenant,
        len(request.body),
    )
    try:
        found = gate.run(call, request.headers.get("authorization", ""), lambda call: asked.work(gate.store, call))
    except Refused as refused:
        return _error(refused)
    except Dropped:
        return HttpAnswer(0, is_reset=True)
    if found is None:
        return HttpAnswer(asked.status)
    return HttpAnswer(asked.status, orjson.dumps(found), {"content-type": "application/json"})


def _error(refused: Refused) -> HttpAnswer:
    if not refused.message:
        return HttpAnswer(refused.http)
    if refused.http == 401:
        shown: dict[str, Any] = {"code": 401, "message": refused.message}
    else:
        shown = {"error": [{"message": refused.message}]}
    body = orjson.dumps(shown)
    return HttpAnswer(refused.http, body, {"content-type": "application/json"})


def _refuse(refused: Refused) -> Callable[[Store, Call], Any]:
    def work(store: Store, call: Call) -> Any:
        raise refused

    return work


def _understand(request: HttpRequest, url: str) -> Asked:
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    query = {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    if parts[:1] != ["v1"]:
        raise Refused(f"path {request.path} was not found", 404)
    body = request.json()
    for understand in (_of_service, _of_schema, _of_tenants, _of_aliases, _of_objects):
        if asked := understand(request.method, parts[1:], query, body, url):
            return asked
    raise Refused(f"path {request.path} was not found", 404)


def _of_service(method: str, parts: list[str], query: dict[str, str], body: Any, url: str) -> Asked | None:
    is_verbose = query.get("output") == "verbose"
    match method, parts:
        case "GET", ["meta"]:
            return Asked("meta", lambda store, call: _meta(store, url))
        case "GET", [".well-known", "ready" | "live" as name]:
            return Asked(name, _probe)
        case "GET", [".well-known", "openid-configuration"]:
            return Asked("openid", _openid)
        case "GET", ["nodes"]:
            return Asked("nodes", lambda store, call: nodes.listed(store, None, verbose=is_verbose))
        case "GET", ["nodes", name]:
            return Asked("nodes", lambda store, call: nodes.listed(store, name, verbose=is_verbose), name)
    return None


def _of_schema(method: str, parts: list[str], query: dict[str, str], body: Any, url: str) -> Asked | None:
    match method, parts:
        case "GET", ["schema"]:
            return Asked("list_collections", lambda store, call: collections.listed(store))
        case "POST", ["schema"]:
            return Asked(
                "create_collection", lambda store, call: collections.create(store, body), body.get("class") or ""
            )
        case "GET", ["schema", name]:
            return Asked("get_collection", lambda store, call: collections.get(store, name), name)
        case "PUT", ["schema", name]:
            return Asked("update_collection", lambda store, call: collections.update(store, name, body), name)
        case "DELETE", ["schema", name]:
            return Asked("delete_collection", lambda store, call: store.drop(name), name)
        case "POST", ["schema", name, "properties"]:
            return Asked("add_property", lambda store, call: collections.add_property(store, name, body), name)
        case "GET", ["schema", name, "shards"]:
            tenant = query.get("tenant")
            return Asked("get_shards", lambda store, call: nodes.shard_statuses(store, name, tenant), name)
    return None


def _of_tenants(method: str, parts: list[str], query: dict[str, str], body: Any, url: str) -> Asked | None:
    match method, parts:
        case "GET", ["schema", name, "tenants"]:
            return Asked("tenants_get", lambda store, call: tenants.get_all(store, name), name)
        case "POST", ["schema", name, "tenants"]:
            return Asked("add_tenants", lambda store, call: tenants.add(store, name, body), name)
        case "PUT", ["schema", name, "tenants"]:
            return Asked("update_tenants", lambda store, call: tenants.update(store, name, body), name)
        case "DELETE", ["schema", name, "tenants"]:
            return Asked("delete_tenants", lambda store, call: tenants.delete(store, name, body), name)
        case "GET" | "HEAD", ["schema", name, "tenants", tenant]:
            return Asked("get_tenant", lambda store, call: tenants.get(store, name, tenant), name, tenant)
    return None


def _of_aliases(method: str, parts: list[str], query: dict[str, str], body: Any, url: str) -> Asked | None:
    match method, parts:
        case "GET", ["aliases"]:
            return Asked("list_aliases", lambda store, call: aliases.listed(store, query.get("class")))
        case "POST", ["aliases"]:
            return Asked("create_alias", lambda store, call: aliases.create(store, body))
        case "GET", ["aliases", name]:
            return Asked("get_alias", lambda store, call: aliases.get(store, name))
        case "PUT", ["aliases", name]:
            return Asked("update_alias", lambda store, call: aliases.update(store, name, body))
        case "DELETE", ["aliases", name]:
            return Asked("delete_alias", lambda store, call: aliases.delete(store, name), status=204)
    return None


def _of_objects(method: str, parts: list[str], query: dict[str, str], body: Any, url: str) -> Asked | None:
    if parts[:1] != ["objects"]:
        return None
    if (method, len(parts)) == ("POST", 1):
        name, tenant = body.get("class") or "", body.get("tenant") or ""
        return Asked("create_object", lambda store, call: objects.create(store, call, body), name, tenant)
    if len(parts) != 3:
        return None
    name, id = parts[1], objects.id_of(parts[2])
    tenant = query.get("tenant") or (body.get("tenant") or "" if isinstance(body, dict) else "")
    match method:
        case "GET":
            is_full = "vector" in query.get("include", "")
            return Asked(
                "get_object",
                lambda store, call: objects.get(store, call, name, id, with_vectors=is_full),
                name,
                tenant,
            )
        case "HEAD":
            return Asked("exists_object", lambda store, call: objects.exists(store, call, name, id), name, tenant, 204)
        case "PUT":
            return Asked(
                "replace_object", lambda store, call: objects.replace(store, call, name, id, body), name, tenant
            )
        case "PATCH":
            return Asked(
                "merge_object", lambda store, call: objects.merge(store, call, name, id, body), name, tenant, 204
            )
        case "DELETE":
            return Asked("delete_object", lambda store, call: objects.delete(store, call, name, id), name, tenant, 204)
    return None


def _meta(store: Store, url: str) -> dict[str, Any]:
    return {
        "grpcMaxMessageSize": store.limits.message_bytes,
        "hostname": url,
        "modules": {},
        "version": store.version,
    }


def _openid(store: Store, call: Call) -> dict[str, Any]:
    if store.openid is None:
        raise Refused("", 404)
    return store.openid


def _probe(store: Store, call: Call) -> None:
    if not store.is_ready:
        raise Refused("", 503)
