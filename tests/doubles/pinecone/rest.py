"""The data plane over HTTP: which operation a request asks for, and the vectors API in JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from tests.doubles.pinecone import documents, namespaces, vectors
from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.checks import check_namespace, dense, record, sparse
from tests.doubles.pinecone.errors import Code, Dropped, Refused
from tests.doubles.pinecone.gate import Gate
from tests.doubles.pinecone.http import HttpAnswer, HttpRequest
from tests.doubles.pinecone.store import Index, Json, Record, Sparse

Work = Callable[[Index, Call], Json]

PLAIN_401_VERSION = "2026-07"
"""The first API version in which a wrong key is refused with plain text."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request understood: the operation, its namespace, and what does it."""

    operation: str
    work: Work
    namespace: str = ""
    has_token: bool = False


def answer(gate: Gate, index: Index, request: HttpRequest) -> HttpAnswer:
    """Serve one request to the host of this index."""
    try:
        asked = _understand(request)
    except Refused as refused:
        asked = Asked("unknown", _refuse(refused))
    call = Call(
        asked.operation,
        "rest",
        gate.store.limits,
        index.name,
        asked.namespace,
        len(request.body) or len(request.query),
        asked.has_token,
    )

    def work(call: Call) -> Json:
        if len(request.body) > call.limits.request_bytes:
            message = f"Request size {len(request.body)} bytes exceeds the limit of {call.limits.request_bytes} bytes"
            raise Refused(message, Code.OUT_OF_RANGE, http=413)
        if len(request.query) > call.limits.query_string_bytes:
            raise Refused("URI too long", http=414)
        check_namespace(call.namespace, call.limits)
        return asked.work(index, call)

    try:
        body = orjson.dumps(gate.run(call, request.headers.get("api-key", ""), work), option=orjson.OPT_SERIALIZE_NUMPY)
    except Refused as refused:
        return _error(refused, request.headers.get("x-pinecone-api-version", PLAIN_401_VERSION))
    except Dropped:
        return HttpAnswer(0, is_reset=True)
    headers = {"content-type": "application/json"}
    if call.written_lsn is not None:
        headers["x-pinecone-request-lsn"] = str(call.written_lsn)
    if call.indexed_lsn is not None and call.operation in ("query", "documents.search"):
        headers["x-pinecone-max-indexed-lsn"] = str(call.indexed_lsn)
    return HttpAnswer(200, body, headers, is_truncated=call.is_truncated)


def _error(refused: Refused, version: str) -> HttpAnswer:
    headers = {"content-type": "application/json"}
    if refused.retry_after_s is not None:
        headers["retry-after"] = f"{refused.retry_after_s:g}"
    if refused.code is Code.UNAUTHENTICATED and version >= PLAIN_401_VERSION:
        return HttpAnswer(401, refused.message.encode(), {"content-type": "text/plain"})
    return HttpAnswer(
        refused.http,
        orjson.dumps({"code": refused.code.number, "message": refused.message, "details": []}),
        headers,
    )


def _refuse(refused: Refused) -> Work:
    def work(index: Index, call: Call) -> Json:
        raise refused

    return work


def _understand(request: HttpRequest) -> Asked:
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    query = parse_qs(request.query, keep_blank_values=True)
    body = request.json()
    match request.method, parts:
        case "GET", ["vectors", "fetch"]:
            return Asked("fetch", _fetch(query), _one(query, "namespace") or "")
        case "GET", ["vectors", "list"]:
            return Asked("list", _list(query), _one(query, "namespace") or "", "paginationToken" in query)
        case "POST", ["vectors", "upsert" | "delete" | "update" | "fetch_by_metadata" as name]:
            return Asked(name, _POSTS[name](body), body.get("namespace") or "", bool(body.get("paginationToken")))
        case "POST", ["query"]:
            return Asked("query", _query(body), body.get("namespace") or "")
        case "POST", ["describe_index_stats"]:
            return Asked("stats", _stats(body))
        case "GET", ["namespaces"]:
            return Asked("list_namespaces", namespaces.listing(query), has_token="paginationToken" in query)
        case "POST", ["namespaces"]:
            return Asked("create_namespace", namespaces.creation(body), str(body.get("name") or ""))
        case "GET", ["namespaces", name]:
            return Asked("describe_namespace", namespaces.describe, name)
        case "DELETE", ["namespaces", name]:
            return Asked("delete_namespace", namespaces.delete, name)
        case "POST", ["namespaces", name, "documents", verb] if verb in documents.VERBS:
            has_token = bool(body.get("pagination_token"))
            return Asked(f"documents.{verb}", documents.VERBS[verb](body), name, has_token)
    raise Refused(f"{request.method} {request.path} is not known", Code.NOT_FOUND)


def _upsert(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        given = _list_of(body, "vectors")
        if len(given) > call.limits.upsert_records:
            raise Refused(
                f"The requested batch size {len(given)} exceeds the maximum batch size {call.limits.upsert_records}"
            )
        vectors.check_write(index)  # first, since the records of another model are malformed here
        records = [
            record(index, call.limits, item.get("id"), _values(item), _sparse(item), item.get("metadata"))
            for item in given
        ]
        return {"upsertedCount": vectors.upsert(index, call, records)}

    return work


def _fetch(query: dict[str, list[str]]) -> Work:
    def work(index: Index, call: Call) -> Json:
        found = vectors.fetch(index, call, query.get("ids", []))
        return _records(found, call)

    return work


def _fetch_by_metadata(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        found, token = vectors.fetch_by_metadata(
            index, call, body.get("filter") or {}, body.get("limit"), body.get("paginationToken")
        )
        return _records(found, call) | _pagination(token)

    return work


def _list(query: dict[str, list[str]]) -> Work:
    def work(index: Index, call: Call) -> Json:
        ids, token = vectors.list_ids(
            index, call, _one(query, "prefix") or "", _whole(_one(query, "limit")), _one(query, "paginationToken")
        )
        shown: Json = {"vectors": [{"id": id} for id in ids], "namespace": call.namespace, "usage": _usage(call)}
        return shown | _pagination(token)

    return work


def _query(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        vector = dense(body["vector"]) if body.get("vector") else None
        pairs = _sparse(body, "sparseVector")
        top_k = body.get("topK")
        if not isinstance(top_k, int):
            raise Refused("topK is required")
        asked = vectors.Query(top_k, vector, pairs, body.get("id") or "", body.get("filter"))
        matches = [
            {"score": score, **_record(found, bool(body.get("includeValues")), bool(body.get("includeMetadata")))}
            for found, score in vectors.query(index, call, asked)
        ]
        return {"results": [], "matches": matches, "namespace": call.namespace, "usage": _usage(call)}

    return work


def _delete(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        ids = _list_of(body, "ids") if body.get("ids") is not None else []
        vectors.delete(index, call, ids, bool(body.get("deleteAll")), body.get("filter"))
        return {}

    return work


def _update(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        matched = vectors.update(
            index,
            call,
            body.get("id") or "",
            _values(body),
            _sparse(body),
            body.get("setMetadata"),
            body.get("filter"),
            bool(body.get("dryRun")),
        )
        return {} if matched is None else {"matchedRecords": matched}

    return work


def _stats(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        counts = vectors.stats(index, call, body.get("filter"))
        shown: Json = {
            "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
            "indexFullness": 0.0,
            "totalVectorCount": sum(counts.values()),
            "metric": index.metric,
            "vectorType": "dense" if index.dense_field else "sparse",
        }
        return shown | ({"dimension": index.dimension} if index.dimension else {})

    return work


_POSTS: dict[str, Callable[[Json], Work]] = {
    "upsert": _upsert,
    "delete": _delete,
    "update": _update,
    "fetch_by_metadata": _fetch_by_metadata,
}


def _usage(call: Call) -> Json:
    return {"readUnits": call.whole_read_units}


def _whole(text: str | None) -> int | None:
    """An integer of the query string. Raises Refused for anything else."""
    if text is None:
        return None
    if not text.isdecimal():
        raise Refused(f"'{text}' is not a whole number")
    return int(text)


def _records(found: list[Record], call: Call) -> Json:
    return {
        "vectors": {record.id: _record(record, True, True) for record in found},
        "namespace": call.namespace,
        "usage": _usage(call),
    }


def _record(record: Record, with_values: bool, with_metadata: bool) -> Json:
    shown: Json = {"id": record.id, "values": record.values if with_values and record.values is not None else []}
    if with_values and record.sparse:
        shown["sparseValues"] = {"indices": record.sparse.indices, "values": record.sparse.values}
    if with_metadata and record.metadata:
        shown["metadata"] = record.metadata
    return shown


def _pagination(token: str | None) -> Json:
    return {"pagination": {"next": token}} if token else {}


def _values(item: Json) -> Any:
    return dense(item["values"]) if item.get("values") else None


def _sparse(item: Json, name: str = "sparseValues") -> Sparse | None:
    given = item.get(name)
    return sparse(given.get("indices"), given.get("values")) if isinstance(given, dict) else None


def _list_of(body: Json, name: str) -> list[Any]:
    items = body.get(name)
    if not isinstance(items, list):
        raise Refused(f"'{name}' must be a list")
    return items


def _one(query: dict[str, list[str]], name: str) -> str | None:
    return query[name][0] if name in query else None
