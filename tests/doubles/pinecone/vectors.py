"""The operations of a vector index, on values that know no transport.

A document index answers their reads as if it were empty, as the service does, and refuses their writes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.doubles.pinecone import filters
from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.checks import check_dense, check_id, check_sparse, clean
from tests.doubles.pinecone.errors import Code, Refused
from tests.doubles.pinecone.scores import Hit, rank
from tests.doubles.pinecone.store import Index, Json, Namespace, Record, Sparse, Vector
from tests.doubles.pinecone.tokens import skip_past, token

WRONG_MODEL = "This index has a document schema, so writes must go through the documents API."


@dataclass(frozen=True, slots=True)
class Query:
    top_k: int
    vector: Vector | None = None
    sparse: Sparse | None = None
    id: str = ""
    filter: Json | None = None


def upsert(index: Index, call: Call, records: Sequence[Record]) -> int:
    check_write(index)
    if not records:
        raise Refused("Vectors array must not be empty")
    store(index, call, records)
    return call.records


def fetch(index: Index, call: Call, ids: Sequence[str]) -> list[Record]:
    """Those of these records that there are, in the order asked."""
    check_ids(ids, call)
    with index.lock:
        namespace = readable(index, call)
        found = [namespace.records[id] for id in dict.fromkeys(ids) if id in namespace.records and id not in call.lost]
    call.records = len(found)
    call.read_units = fetch_units(len(found))
    return found


def fetch_by_metadata(
    index: Index, call: Call, filter: Json, limit: int | None, pagination_token: str | None
) -> tuple[list[Record], str | None]:
    """A page of the records that match, in order of ids, and the token of the next page."""
    _check_serverless(index, "fetch by metadata")
    if not filter:
        raise Refused("Filter must not be empty")
    with index.lock:
        return matching_page(readable(index, call), call, filter, limit, pagination_token)


def list_ids(
    index: Index, call: Call, prefix: str, limit: int | None, pagination_token: str | None
) -> tuple[list[str], str | None]:
    """A page of ids in order, and the token of the next page."""
    _check_serverless(index, "listing vectors")
    with index.lock:
        return id_page(readable(index, call), call, prefix, limit, pagination_token)


def query(index: Index, call: Call, query: Query) -> list[Hit]:
    """The best records, best first, by exact search."""
    if not 1 <= query.top_k <= call.limits.top_k:
        raise Refused(f"top_k must be between 1 and {call.limits.top_k}, but got {query.top_k}")
    is_match = filters.compile(query.filter) if query.filter is not None else None
    with index.lock:
        namespace = readable(index, call)
        if index.is_document_index:
            return []
        vector, pairs = query.vector, query.sparse
        if query.id:
            known = namespace.records.get(query.id)
            if known is None:
                return []
            vector, pairs = known.values, known.sparse
        if vector is None and pairs is None:
            raise Refused("Either 'vector', 'sparseVector' or 'id' is required")
        if vector is not None:
            check_dense(index, vector)
        elif index.dense_field:
            raise Refused("Query must have a dense vector: the index is dense")
        if pairs is not None:
            check_sparse(index, call.limits, pairs)
        hits = rank(namespace, index.metric, vector, pairs, is_match, query.top_k)
        call.read_units = query_units(namespace)
    call.records = len(hits)
    return hits


def delete(index: Index, call: Call, ids: Sequence[str], delete_all: bool, filter: Json | None) -> None:
    check_write(index)
    if sum([bool(ids), delete_all, filter is not None]) != 1:
        raise Refused("Delete takes exactly one of 'ids', 'deleteAll' and 'filter'")
    if ids:
        check_ids(ids, call)
    remove(index, call, ids, delete_all, filter)


def update(
    index: Index,
    call: Call,
    id: str,
    values: Vector | None,
    pairs: Sparse | None,
    set_metadata: Json | None,
    filter: Json | None,
    dry_run: bool,
) -> int | None:
    """Change one record, or the metadata of all that match; return how many match, None for one by id."""
    check_write(index)
    if bool(id) == (filter is not None):
        raise Refused("Update takes exactly one of 'id' and 'filter'")
    with index.lock:
        namespace = existing(index, call)
        if filter is not None:
            is_match = filters.compile(filter)
            chosen = [record for record in namespace.records.values() if is_match(record.metadata or {})]
        else:
            check_id(id, call.limits)
            known = namespace.latest(id)
            chosen = [known] if known else []
        changed = []
        for record in chosen:
            if values is not None:
                check_dense(index, values)
            if pairs is not None:
                check_sparse(index, call.limits, pairs)
            merged = clean({**(record.metadata or {}), **(set_metadata or {})}, call.limits, index)
            changed.append(
                Record(
                    record.id,
                    values if values is not None else record.values,
                    pairs or record.sparse,
                    merged,
                    record.bytes,
                )
            )
        if changed and not dry_run:
            store(index, call, changed)
    return len(chosen) if filter is not None else None


def stats(index: Index, call: Call, filter: Json | None) -> dict[str, int]:
    """The number of records of every namespace; also of a document index, since the documents API has no such call."""
    check_exists(index)
    if filter and not index.is_pod:
        raise Refused("Serverless and Starter indexes do not support describing index stats with metadata filtering")
    with index.lock:
        counts = {
            name: count
            for name, namespace in index.visible().items()
            if (count := _count(namespace, filter)) or filter or namespace.kept
        }
    call.records = sum(counts.values())
    return counts


# What both data models share


def check_exists(index: Index) -> None:
    if index.is_deleted:
        raise Refused(f"Index {index.name} not found", Code.NOT_FOUND)


def readable(index: Index, call: Call) -> Namespace:
    """The namespace of a read; an empty one where there is none. Counts as a read."""
    check_exists(index)
    if index.is_document_index and not call.operation.startswith("documents."):
        return Namespace()
    namespace = index.namespace(call.namespace, reading=True) or Namespace()
    call.indexed_lsn = namespace.indexed_lsn
    return namespace


def existing(index: Index, call: Call) -> Namespace:
    """The namespace of a delete or update. Raises Refused where there is none."""
    namespace = index.namespace(call.namespace)
    if namespace is None:
        raise Refused("Namespace not found", Code.NOT_FOUND)
    return namespace


def check_namespace_quota(index: Index, call: Call) -> None:
    if len(index.namespaces) >= call.limits.namespaces:
        raise Refused(
            f"Index {index.name} has reached the max namespaces allowed ({call.limits.namespaces})",
            Code.PERMISSION_DENIED,
        )


def store(index: Index, call: Call, records: Sequence[Record]) -> None:
    limits = call.limits
    if len(records) > limits.upsert_records:
        raise Refused(f"Too many records: {len(records)}, the limit is {limits.upsert_records} per request")
    with index.lock:
        if index.namespace(call.namespace) is None:
            check_namespace_quota(index, call)
        records = records[call.unstored :]
        call.written_lsn = index.write(call.namespace, {record.id: record for record in records}, call.lag)
    call.records = len(records)
    call.write_units = write_units(sum(record.bytes for record in records))


def remove(index: Index, call: Call, ids: Sequence[str], delete_all: bool, filter: Json | None) -> int:
    """Delete what is chosen, and return how many records that were."""
    with index.lock:
        namespace = existing(index, call)
        if delete_all:
            chosen = list(namespace.records)
        elif filter is not None:
            is_match = filters.compile(filter)
            chosen = [id for id, record in namespace.records.items() if is_match(record.metadata or {})]
        else:
            chosen = [id for id in ids if namespace.latest(id)]
        freed = sum(record.bytes for id in chosen if (record := namespace.latest(id)))
        if delete_all:
            namespace.kept = False
        call.written_lsn = index.write(call.namespace, dict.fromkeys(chosen), call.lag)
    call.records = len(chosen)
    call.write_units = write_units(freed)
    return len(chosen)


def id_page(
    namespace: Namespace, call: Call, prefix: str, limit: int | None, pagination_token: str | None
) -> tuple[list[str], str | None]:
    size = page_size(call, limit, call.limits.list_page, call.limits.list_page)
    bound = ("list", call.namespace, prefix)
    after = skip_past(pagination_token, call.limits, *bound)
    ids, has_more = namespace.page(prefix, after, size)
    call.records = len(ids)
    call.read_units = 1
    shown = [id for id in ids if id not in call.lost]
    return shown, token(ids[-1] if ids else after or "", *bound) if has_more else None


def matching_page(
    namespace: Namespace, call: Call, filter: Json, limit: int | None, pagination_token: str | None
) -> tuple[list[Record], str | None]:
    size = page_size(call, limit, call.limits.filter_page_default, call.limits.filter_page)
    is_match = filters.compile(filter)
    bound = ("filter", call.namespace)
    after = skip_past(pagination_token, call.limits, *bound) or ""
    found = [
        record
        for id in namespace.ids()
        if id > after and id not in call.lost and is_match((record := namespace.records[id]).metadata or {})
    ]
    page = found[:size]
    call.records = len(page)
    call.read_units = fetch_units(len(page))
    return page, token(page[-1].id if page else after, *bound) if len(found) > size else None


def fetch_units(records: int) -> int:
    return max(1, math.ceil(records / 10))


def query_units(namespace: Namespace) -> float:
    return max(0.25, namespace.bytes / 1e9)


def write_units(size: int) -> int:
    return max(5, math.ceil(size / 1024))


def page_size(call: Call, limit: int | None, default: int, bound: int) -> int:
    if limit is not None and not 1 <= limit <= bound:
        raise Refused(f"limit must be between 1 and {bound}, but got {limit}")
    return min(limit or default, default if call.page_rows is None else call.page_rows)


def check_write(index: Index) -> None:
    check_exists(index)
    if index.is_document_index:
        raise Refused(WRONG_MODEL)


def _count(namespace: Namespace, filter: Json | None) -> int:
    if not filter:
        return namespace.counted()
    is_match = filters.compile(filter)
    return sum(is_match(record.metadata or {}) for record in namespace.records.values())


def _check_serverless(index: Index, what: str) -> None:
    check_exists(index)
    if index.is_pod:
        raise Refused(f"Pod indexes do not support {what}", Code.UNIMPLEMENTED, http=400)


def check_ids(ids: Sequence[str], call: Call) -> None:
    if not ids:
        raise Refused("At least one id is required")
    if len(ids) > call.limits.ids_per_request:
        raise Refused(f"Too many ids: {len(ids)}, the limit is {call.limits.ids_per_request} per request")
    for id in ids:
        check_id(id, call.limits)
