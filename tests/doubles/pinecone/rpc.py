"""The data plane over gRPC: the same operations as in rest.py, from and to protobuf messages."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from tests.doubles.pinecone import namespaces, vectors
from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.checks import check_namespace, record
from tests.doubles.pinecone.errors import Code, Dropped, Refused
from tests.doubles.pinecone.gate import Gate
from tests.doubles.pinecone.messages import MESSAGES, floats, json_of, pairs, show
from tests.doubles.pinecone.store import Index, Record

Work = Callable[[Index, Call, Any, Any], None]
"""Does what a request asks for, and writes its answer into an empty message."""


@dataclass(frozen=True, slots=True)
class _Method:
    operation: str
    work: Work
    answer: str
    """The message it answers with."""


class GrpcServer:
    """A gRPC server for one index, on a port of its own behind the index's door."""

    def __init__(self, gate: Gate, index: Index, reset_peer: Callable[[int], None]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="grpc")
        # Wide windows, since the default of 64 KiB costs a round trip each; the double checks sizes by its own limit.
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.http2.lookahead_bytes", 1 << 24),
            ("grpc.http2.max_frame_size", 1 << 20),
        ]
        self._server = grpc.server(self._pool, options=options)
        handlers = {name: _handler(gate, index, name, reset_peer) for name in _METHODS}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("VectorService", handlers),))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self) -> None:
        self._server.stop(None).wait()
        self._pool.shutdown()


def _handler(gate: Gate, index: Index, name: str, reset_peer: Callable[[int], None]) -> Any:
    method = _METHODS[name]
    asked_type, answer_type = MESSAGES[f"{name}Request"], MESSAGES[method.answer]

    def serve(received: bytes, context: Any) -> Any:
        asked, answer = asked_type.FromString(received), answer_type()
        call = Call(
            method.operation,
            "grpc",
            gate.store.limits,
            index.name,
            asked.name if name == "CreateNamespace" else getattr(asked, "namespace", ""),
            len(received),
            bool(getattr(asked, "pagination_token", "")),
        )
        key = dict(context.invocation_metadata()).get("api-key", "")

        def work(call: Call) -> None:
            _check_size(call)
            check_namespace(call.namespace, call.limits)
            method.work(index, call, asked, answer)

        try:
            gate.run(call, key, work)
        except Refused as refused:
            _abort(context, refused)
        except Dropped:
            _drop(context, reset_peer)
        if call.is_truncated:
            _drop(context, reset_peer)
        return answer

    return grpc.unary_unary_rpc_method_handler(serve, response_serializer=answer_type.SerializeToString)


def _check_size(call: Call) -> None:
    if call.bytes > call.limits.request_bytes:
        # OUT_OF_RANGE, as a tonic server says it: RESOURCE_EXHAUSTED would be tried again by the SDK, in vain
        raise Refused(
            f"Error, message length too large: found {call.bytes} bytes, the limit is: {call.limits.request_bytes} bytes",
            Code.OUT_OF_RANGE,
        )


def _abort(context: Any, refused: Refused) -> NoReturn:
    if refused.retry_after_s is not None:
        context.set_trailing_metadata((("retry-after", f"{refused.retry_after_s:g}"),))
    context.abort(grpc.StatusCode[refused.code.name], refused.message)
    raise AssertionError("abort always raises")


def _drop(context: Any, reset_peer: Callable[[int], None]) -> NoReturn:
    reset_peer(int(context.peer().rpartition(":")[2]))
    context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
    raise AssertionError("abort always raises")


def _upsert(index: Index, call: Call, asked: Any, answer: Any) -> None:
    vectors.check_write(index)
    limits = call.limits
    if len(asked.vectors) > limits.upsert_records:
        raise Refused(
            f"The requested batch size {len(asked.vectors)} exceeds the maximum batch size {limits.upsert_records}"
        )
    records = [
        record(index, limits, item.id, floats(item.values), pairs(item, "sparse_values"), json_of(item, "metadata"))
        for item in asked.vectors
    ]
    answer.upserted_count = vectors.upsert(index, call, records)


def _fetch(index: Index, call: Call, asked: Any, answer: Any) -> None:
    _show_all(vectors.fetch(index, call, list(asked.ids)), call, answer)


def _fetch_by_metadata(index: Index, call: Call, asked: Any, answer: Any) -> None:
    found, token = vectors.fetch_by_metadata(
        index, call, json_of(asked, "filter") or {}, _limit(asked), asked.pagination_token
    )
    _show_all(found, call, answer)
    if token:
        answer.pagination.next = token


def _list(index: Index, call: Call, asked: Any, answer: Any) -> None:
    ids, token = vectors.list_ids(index, call, asked.prefix, _limit(asked), asked.pagination_token)
    for id in ids:
        answer.vectors.add().id = id
    if token:
        answer.pagination.next = token
    answer.namespace = call.namespace
    answer.usage.read_units = call.whole_read_units


def _query(index: Index, call: Call, asked: Any, answer: Any) -> None:
    query = vectors.Query(
        asked.top_k, floats(asked.vector), pairs(asked, "sparse_vector"), asked.id, json_of(asked, "filter")
    )
    for found, score in vectors.query(index, call, query):
        match = answer.matches.add()
        match.score = score
        show(found, match, asked.include_values, asked.include_metadata)
    answer.namespace = call.namespace
    answer.usage.read_units = call.whole_read_units


def _delete(index: Index, call: Call, asked: Any, answer: Any) -> None:
    vectors.delete(index, call, list(asked.ids), asked.delete_all, json_of(asked, "filter"))


def _update(index: Index, call: Call, asked: Any, answer: Any) -> None:
    matched = vectors.update(
        index,
        call,
        asked.id,
        floats(asked.values),
        pairs(asked, "sparse_values"),
        json_of(asked, "set_metadata"),
        json_of(asked, "filter"),
        asked.dry_run,
    )
    if matched is not None:
        answer.matched_records = matched


def _stats(index: Index, call: Call, asked: Any, answer: Any) -> None:
    for name, count in vectors.stats(index, call, json_of(asked, "filter")).items():
        answer.namespaces[name].vector_count = count
        answer.total_vector_count += count
    answer.metric = index.metric
    answer.vector_type = "dense" if index.dense_field else "sparse"
    if index.dimension:
        answer.dimension = index.dimension


def _list_namespaces(index: Index, call: Call, asked: Any, answer: Any) -> None:
    found, total, token = namespaces.page(index, call, asked.prefix, _limit(asked), asked.pagination_token)
    for item in found:
        _describe(item, answer.namespaces.add())
    answer.total_count = total
    if token:
        answer.pagination.next = token


def _describe_namespace(index: Index, call: Call, asked: Any, answer: Any) -> None:
    _describe(namespaces.one(index, call), answer)


def _create_namespace(index: Index, call: Call, asked: Any, answer: Any) -> None:
    _describe(namespaces.create(index, call), answer)


def _delete_namespace(index: Index, call: Call, asked: Any, answer: Any) -> None:
    namespaces.remove(index, call)


def _describe(item: namespaces.Description, message: Any) -> None:
    message.name, message.record_count, message.size_bytes = item.name, item.records, item.bytes


def _show_all(found: list[Record], call: Call, answer: Any) -> None:
    for item in found:
        show(item, answer.vectors[item.id])
    answer.namespace = call.namespace
    answer.usage.read_units = call.whole_read_units


def _limit(asked: Any) -> int | None:
    return asked.limit if asked.HasField("limit") else None


_METHODS = {
    "Upsert": _Method("upsert", _upsert, "UpsertResponse"),
    "Fetch": _Method("fetch", _fetch, "FetchResponse"),
    "FetchByMetadata": _Method("fetch_by_metadata", _fetch_by_metadata, "FetchByMetadataResponse"),
    "List": _Method("list", _list, "ListResponse"),
    "Query": _Method("query", _query, "QueryResponse"),
    "Delete": _Method("delete", _delete, "DeleteResponse"),
    "Update": _Method("update", _update, "UpdateResponse"),
    "DescribeIndexStats": _Method("stats", _stats, "DescribeIndexStatsResponse"),
    "ListNamespaces": _Method("list_namespaces", _list_namespaces, "ListNamespacesResponse"),
    "DescribeNamespace": _Method("describe_namespace", _describe_namespace, "NamespaceDescription"),
    "CreateNamespace": _Method("create_namespace", _create_namespace, "NamespaceDescription"),
    "DeleteNamespace": _Method("delete_namespace", _delete_namespace, "DeleteResponse"),
}
