"""The messages of Weaviate's gRPC interface, as its client ships them for the protobuf that is installed."""

from vecmig.connectors.weaviate.client import session as session  # first: it quietens the client's import

# isort: split
from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    base_search_pb2,
    batch_delete_pb2,
    batch_pb2,
    search_get_pb2,
    tenants_pb2,
)

__all__ = [
    "aggregate_pb2",
    "base_pb2",
    "base_search_pb2",
    "batch_delete_pb2",
    "batch_pb2",
    "search_get_pb2",
    "tenants_pb2",
]
