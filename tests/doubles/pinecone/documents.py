"""The documents API: the operations of a document index, in JSON.

A document is kept as a record: its dense and its sparse field as vectors, every other field as metadata."""

from collections.abc import Callable
from typing import Any

from tests.doubles.pinecone import filters, vectors
from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.checks import check_dense, check_sparse, dense, record, sparse
from tests.doubles.pinecone.errors import Refused
from tests.doubles.pinecone.scores import rank
from tests.doubles.pinecone.store import Index, Json, Namespace, Record, Sparse

Work = Callable[[Index, Call], Json]


def upsert(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        _check(index, call)
        given = _documents(body)
        _check_unique(given)
        vectors.store(index, call, [_record(index, call, document) for document in given])
        return {"upserted_count": call.records}

    return work


def fetch(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        _check(index, call)
        ids, filter = body.get("ids"), body.get("filter")
        if (ids is None) == (filter is None):
            raise Refused("Exactly one of 'ids' and 'filter' is required")
        if ids is not None:
            found, token = vectors.fetch(index, call, ids), None
        else:
            found, token = vectors.fetch_by_metadata(
                index, call, filter or {}, body.get("limit"), body.get("pagination_token")
            )
        fields = body.get("include_fields") or ["*"]
        shown: Json = {
            "documents": {record.id: _document(index, record, fields) for record in found},
            "namespace": call.namespace,
            "usage": {"read_units": call.whole_read_units},
        }
        return shown | _pagination(token)

    return work


def listing(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        _check(index, call)
        ids, token = vectors.list_ids(
            index, call, body.get("prefix") or "", body.get("limit"), body.get("pagination_token")
        )
        shown: Json = {
            "documents": [{"_id": id} for id in ids],
            "namespace": call.namespace,
            "usage": {"read_units": call.whole_read_units},
        }
        return shown | _pagination(token)

    return work


def search(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        _check(index, call)
        top_k, clauses = body.get("top_k"), body.get("score_by")
        if not isinstance(top_k, int) or not 1 <= top_k <= call.limits.top_k:
            raise Refused(f"top_k must be between 1 and {call.limits.top_k}")
        if not isinstance(clauses, list) or len(clauses) != 1:
            raise Refused("score_by must be one clause: this double does not combine several")
        is_match = filters.compile(body["filter"]) if body.get("filter") else None
        _check_filter(index, body.get("filter") or {})
        with index.lock:
            namespace = vectors.readable(index, call)
            hits = _rank(index, call, namespace, clauses[0], is_match, top_k)
            call.read_units = vectors.query_units(namespace)
        call.records = len(hits)
        fields = body.get("include_fields") or []
        return {
            "matches": [{**_document(index, found, fields), "_score": score} for found, score in hits],
            "namespace": call.namespace,
            "usage": {"read_units": call.whole_read_units},
        }

    return work


def delete(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        _check(index, call)
        ids, filter, delete_all = body.get("ids"), body.get("filter"), bool(body.get("delete_all"))
        if sum([ids is not None, filter is not None, delete_all]) != 1:
            raise Refused("Exactly one of 'ids', 'filter' and 'delete_all' is required")
        if ids is not None:
            vectors.check_ids(ids, call)
        matched = vectors.remove(index, call, ids or [], delete_all, filter)
        return {} if filter is None else {"matched_records": matched}

    return work


def update(body: Json) -> Work:
    def work(index: Index, call: Call) -> Json:
        _check(index, call)
        with index.lock:
            namespace = vectors.existing(index, call)
            patches, matched = _patches(body, namespace)
            changed = [
                _record(index, call, _patched(_document(index, known, ["*"]), patch))
                for id, patch in patches.items()
                if (known := namespace.latest(id))
            ]
            if changed:
                vectors.store(index, call, changed)
        return {} if matched is None else {"matched_records": matched}

    return work


VERBS: dict[str, Callable[[Json], Work]] = {
    "upsert": upsert,
    "fetch": fetch,
    "list": listing,
    "search": search,
    "delete": delete,
    "update": update,
}


def _check(index: Index, call: Call) -> None:
    vectors.check_exists(index)
    if not call.namespace.strip():
        raise Refused("namespace must not be empty")
    if not index.is_document_index:
        raise Refused("This index has no document schema, so requests must go through the vectors API.")


def _check_filter(index: Index, filter: Json) -> None:
    """Raises Refused for a comparison with what is searched: a vector, or text that is indexed for full-text search."""
    for name, part in filter.items():
        if name in ("$and", "$or"):
            for each in part:
                _check_filter(index, each)
        elif index.fields.get(name, {}).keys() & {"full_text_search", "dimension"}:
            raise Refused(f"Field '{name}' is a data field, which a filter cannot compare")


def _documents(body: Json) -> list[Json]:
    given = body.get("documents")
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        raise Refused("'documents' must be a non-empty list of objects")
    return given


def _check_unique(given: list[Json]) -> None:
    if len({document.get("_id") for document in given}) != len(given):
        raise Refused("Document ids must be unique within a request")


def _record(index: Index, call: Call, document: Json) -> Record:
    rest = dict(document)
    id = rest.pop("_id", None)
    values = rest.pop(index.dense_field, None) if index.dense_field else None
    pairs = _sparse(rest.pop(index.sparse_field, None)) if index.sparse_field else None
    if reserved := [key for key in rest if key.startswith(("_", "$"))]:
        raise Refused(f"Field name '{reserved[0]}' must not start with '_' or '$'")
    return record(index, call.limits, id, dense(values) if values is not None else None, pairs, rest)


def _document(index: Index, record: Record, fields: list[str]) -> Json:
    document: Json = {"_id": record.id}
    if index.dense_field and record.values is not None:
        document[index.dense_field] = record.values
    if index.sparse_field and record.sparse is not None:
        document[index.sparse_field] = {"indices": record.sparse.indices, "values": record.sparse.values}
    document |= record.metadata or {}
    return {key: value for key, value in document.items() if key == "_id" or key in fields or "*" in fields}


def _rank(
    index: Index, call: Call, namespace: Namespace, clause: Json, is_match: filters.Test | None, top_k: int
) -> list[tuple[Record, float]]:
    field = clause.get("field") or next(iter(clause.get("fields") or []), None)
    match clause.get("type"):
        case "dense_vector" if field == index.dense_field:
            vector = dense(clause.get("values"))
            check_dense(index, vector)
            return rank(namespace, index.metric, vector, None, is_match, top_k)
        case "sparse_vector" if field == index.sparse_field:
            pairs = _sparse(clause.get("sparse_values"))
            if pairs is None:
                raise Refused("'sparse_values' is required")
            check_sparse(index, call.limits, pairs)
            return rank(namespace, "dotproduct", None, pairs, is_match, top_k)
    raise Refused(f"'{field}' is not a field of this index that '{clause.get('type')}' can score")


def _sparse(given: Any) -> Sparse | None:
    return sparse(given.get("indices"), given.get("values")) if isinstance(given, dict) else None


def _patches(body: Json, namespace: Namespace) -> tuple[dict[str, Json], int | None]:
    """What to change of which document, and how many match where a filter chose them."""
    if body.get("documents") is not None:
        given = _documents(body)
        _check_unique(given)
        return {str(patch["_id"]): patch for patch in given}, None
    is_match = filters.compile(body.get("filter"))
    patch = {**(body.get("set_fields") or {}), "_remove_fields": body.get("remove_fields") or []}
    ids = [id for id, record in namespace.records.items() if is_match(record.metadata or {})]
    return dict.fromkeys(ids, patch), len(ids)


def _patched(document: Json, patch: Json) -> Json:
    removed = patch.get("_remove_fields") or []
    changed = {**document, **{key: value for key, value in patch.items() if key not in ("_id", "_remove_fields")}}
    return {key: value for key, value in changed.items() if key not in removed}


def _pagination(token: str | None) -> Json:
    return {"pagination": {"next": token}} if token else {}
