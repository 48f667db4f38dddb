"""The gRPC service."""

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from tests.doubles.weaviate import aggregate, batches, tenants
from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Code, Dropped, Refused
from tests.doubles.weaviate.gate import Gate
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.protos import (
    aggregate_pb2,
    batch_delete_pb2,
    batch_pb2,
    health_weaviate_pb2,
    search_get_pb2,
    tenants_pb2,
)
from tests.doubles.weaviate.search import search
from tests.doubles.weaviate.store import Store

Work = Callable[[Store, Call, Any, Any], None]
"""Does what a request asks for, and writes its answer into an empty message."""


@dataclass(frozen=True, slots=True)
class _Method:
    operation: str
    work: Work
    asked: Any
    answer: Any


class GrpcServer:
    """The gRPC server on the loopback interface, on this port or a free one."""

    def __init__(self, gate: Gate, port: int = 0) -> None:
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="grpc")
        # Wide windows, since the default of 64 KiB costs a round trip each; sizes are checked by the double's limit.
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.http2.lookahead_bytes", 1 << 24),
            ("grpc.http2.max_frame_size", 1 << 20),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(self._pool, options=options)
        handlers = {name: self._handler(gate, method) for name, method in METHODS.items()}
        health = {"Check": self._handler(gate, _HEALTH)}
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("weaviate.v1.Weaviate", handlers),
                grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
            )
        )
        self.port: int = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    def close(self) -> None:
        """Stop at once: calls under way are broken off."""
        self._server.stop(None).wait()
        self._pool.shutdown()

    def _handler(self, gate: Gate, method: _Method) -> Any:
        def serve(received: bytes, context: Any) -> bytes:
            asked, answer = method.asked.FromString(received), method.answer()
            call = Call(
                method.operation,
                "grpc",
                gate.store.limits,
                class_name(_collection(asked)),
                getattr(asked, "tenant", ""),
                len(received),
            )
            key = dict(context.invocation_metadata()).get("authorization", "")

            def work(call: Call) -> bytes:
                _check_size(call.bytes, call, "received message larger than max")
                method.work(gate.store, call, asked, answer)
                content: bytes = answer.SerializeToString()
                size = max(len(content), call.limits.message_bytes + 1) if call.is_oversize else len(content)
                _check_size(size, call, "trying to send message larger than max")
                return content

            try:
                return gate.run(call, key, work)
            except Refused as refused:
                context.abort(grpc.StatusCode[refused.code.name], refused.message)
            except Dropped:
                self._drop(context)
            raise AssertionError("abort always raises")

        return grpc.unary_unary_rpc_method_handler(serve)

    def _drop(self, context: Any) -> NoReturn:
        """Break the connection of this call: of every socket of the process, the one that joins these two ports."""
        peer = int(context.peer().rpartition(":")[2])
        for entry in os.listdir("/dev/fd"):
            with contextlib.suppress(OSError):
                _shut(int(entry), self.port, peer)
        context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        raise AssertionError("abort always raises")


def _shut(descriptor: int, port: int, peer: int) -> None:
    """Shut a socket down, if it is one that joins these two ports."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        is_inet = connection.family in (socket.AF_INET, socket.AF_INET6)
        if is_inet and (connection.getsockname()[1], connection.getpeername()[1]) == (port, peer):
            connection.shutdown(socket.SHUT_RDWR)


def _check_size(size: int, call: Call, what: str) -> None:
    if size > call.limits.message_bytes:
        raise Refused(f"grpc: {what} ({size} vs. {call.limits.message_bytes})", 413, Code.RESOURCE_EXHAUSTED)


def _collection(asked: Any) -> str:
    if isinstance(asked, batch_pb2.BatchObjectsRequest):
        return str(asked.objects[0].collection) if asked.objects else ""
    return str(getattr(asked, "collection", ""))


def _tenants_get(store: Store, call: Call, asked: Any, answer: Any) -> None:
    try:
        found = tenants.get_all(store, asked.collection)
    except Refused as refused:
        raise Refused(f"get tenants: {refused.message or 'class not found'}") from refused
    wanted = set(asked.names.values) if asked.HasField("names") else None
    if wanted is not None and not wanted:
        raise Refused("get tenants: must specify at least one tenant name")
    for item in found:
        if wanted is None or item["name"] in wanted:
            status = tenants_pb2.TenantActivityStatus.Value(f"TENANT_ACTIVITY_STATUS_{item['activityStatus']}")
            answer.tenants.add(name=item["name"], activity_status=status)
    call.objects = len(answer.tenants)


def _health(store: Store, call: Call, asked: Any, answer: Any) -> None:
    answer.status = health_weaviate_pb2.WeaviateHealthCheckResponse.SERVING


_HEALTH = _Method(
    "health",
    _health,
    health_weaviate_pb2.WeaviateHealthCheckRequest,
    health_weaviate_pb2.WeaviateHealthCheckResponse,
)
METHODS = {
    "Search": _Method("search", search, search_get_pb2.SearchRequest, search_get_pb2.SearchReply),
    "BatchObjects": _Method("batch_objects", batches.write, batch_pb2.BatchObjectsRequest, batch_pb2.BatchObjectsReply),
    "BatchDelete": _Method(
        "batch_delete", batches.delete, batch_delete_pb2.BatchDeleteRequest, batch_delete_pb2.BatchDeleteReply
    ),
    "TenantsGet": _Method("tenants_get", _tenants_get, tenants_pb2.TenantsGetRequest, tenants_pb2.TenantsGetReply),
    "Aggregate": _Method(
        "aggregate", aggregate.aggregate, aggregate_pb2.AggregateRequest, aggregate_pb2.AggregateReply
    ),
}
