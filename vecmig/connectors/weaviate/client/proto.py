"""The messages of Weaviate's gRPC interface, as its client ships them for the protobuf that is installed."""

from vecmig.connectors.weaviate.client.session import weaviate  # first: it quietens the client's import

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

VERSION = weaviate.__version__

__all__ = [
    "VERSION",
    "aggregate_pb2",
    "base_pb2",
    "base_search_pb2",
    "batch_delete_pb2",
    "batch_pb2",
    "search_get_pb2",
    "tenants_pb2",
]
