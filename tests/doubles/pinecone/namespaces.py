"""The operations on namespaces, and their JSON."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.checks import check_namespace
from tests.doubles.pinecone.errors import Code, Refused
from tests.doubles.pinecone.store import Index, Json, Namespace
from tests.doubles.pinecone.tokens import skip_past, token
from tests.doubles.pinecone.vectors import check_exists, check_namespace_quota, existing, page_size, write_units

Work = Callable[[Index, Call], Json]


@dataclass(frozen=True, slots=True)
class Description:
    name: str
    records: int
    bytes: int


def page(
    index: Index, call: Call, prefix: str, limit: int | None, pagination_token: str | None
) -> tuple[list[Description], int, str | None]:
    """A page of namespaces in order of their names, the number of all, and the token of the next page."""
    _check_serverless(index)
    size = page_size(call, limit, call.limits.list_page, call.limits.list_page)
    after = skip_past(pagination_token, call.limits, "namespaces", prefix)
    with index.lock:
        found = [_description(name, found) for name, found in index.visible().items() if name.startswith(prefix)]
    rest = [item for item in found if after is None or item.name > after]
    call.records = len(rest[:size])
    call.read_units = 1
    if len(rest) <= size:
        return rest, len(found), None
    return rest[:size], len(found), token(rest[size - 1].name if size else after or "", "namespaces", prefix)


def one(index: Index, call: Call) -> Description:
    _check_serverless(index)
    with index.lock:
        namespace = index.namespace(call.namespace, reading=True)
        if namespace is None:
            raise Refused(f"Namespace {call.namespace} not found", Code.NOT_FOUND)
        call.read_units = 1
        return _description(call.namespace, namespace)


def create(index: Index, call: Call) -> Description:
    _check_serverless(index)
    check_namespace(call.namespace, call.limits)
    with index.lock:
        if index.namespace(call.namespace) is not None:
            raise Refused(f"Namespace {call.namespace} already exists", Code.ALREADY_EXISTS)
        check_namespace_quota(index, call)
        index.namespaces[call.namespace] = Namespace(kept=True)
    return Description(call.namespace, 0, 0)


def remove(index: Index, call: Call) -> None:
    _check_serverless(index)
    with index.lock:
        namespace = existing(index, call)
        call.records = len(namespace.records)
        call.write_units = write_units(namespace.bytes)
        del index.namespaces[call.namespace]


# In JSON


def listing(query: dict[str, list[str]]) -> Work:
    def work(index: Index, call: Call) -> Json:
        limit = query.get("limit", [""])[0]
        if limit and not limit.isdecimal():
            raise Refused(f"'{limit}' is not a whole number")
        found, total, token = page(
            index,
            call,
            query.get("prefix", [""])[0],
            int(limit) if limit else None,
            query.get("paginationToken", [""])[0],
        )
        shown: Json = {"namespaces": [_json(item) for item in found], "total_count": total}
        return shown | ({"pagination": {"next": token}} if token else {})

    return work


def creation(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        return _json(create(index, call))

    return work


def describe(index: Index, call: Call) -> Json:
    return _json(one(index, call))


def delete(index: Index, call: Call) -> Json:
    remove(index, call)
    return {}


def _json(item: Description) -> Json:
    # numbers as text: so the service answers, though its OpenAPI document says integer
    return {"name": item.name, "record_count": str(item.records), "size_bytes": str(item.bytes)}


def _description(name: str, namespace: Namespace) -> Description:
    return Description(name, len(namespace.records), namespace.bytes)


def _check_serverless(index: Index) -> None:
    check_exists(index)
    if index.is_pod:
        raise Refused("Pod indexes do not support operations on namespaces", Code.UNIMPLEMENTED, http=400)
