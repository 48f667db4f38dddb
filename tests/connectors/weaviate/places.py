"""Collections on a server that tests share: each test has one of its own, which goes with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import pyarrow as pa

from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.model.batch import Key, RecordBatch, schema_of
from vecmig.model.collection import VectorField
from vecmig.model.metadata import dumps


def options(server: WeaviateServer, collection: str, **given: Any) -> WeaviateOptions:
    return WeaviateOptions(
        collection, url=server.url, grpc_url=f"grpc://{server.grpc_host}:{server.grpc_port}", **given
    )


@contextmanager
def opened(server: WeaviateServer, **given: Any) -> Iterator[WeaviateConnector]:
    """Connect to a name that is free; what is made under it is removed again."""
    name = f"Place_{uuid4().hex[:12]}"
    try:
        with closing(options(server, name, **given).open()) as connector:
            yield connector
    finally:
        remove(server, name)


def remove(server: WeaviateServer, name: str) -> None:
    """Remove a collection, or an alias and what stands behind it."""
    with connected(server) as client:
        alias = client.alias.get(alias_name=name)
        if alias is not None:
            client.alias.delete(alias_name=name)
        client.collections.delete(alias.collection if alias is not None else name)


def make(server: WeaviateServer, schema: Mapping[str, Any]) -> None:
    """Make a collection as others do."""
    with connected(server) as client:
        client.collections.create_from_dict(dict(schema))


def batch(rows: Sequence[Mapping[str, Any]], vectors: Sequence[VectorField]) -> RecordBatch:
    """Return records; what a row leaves out is empty."""
    filled = [{"namespace": "", **row, "metadata": dumps(row.get("metadata", {})).decode()} for row in rows]
    return RecordBatch(pa.RecordBatch.from_pylist(filled, schema_of(vectors)))


def read(connector: WeaviateConnector, parts: int = 1) -> list[Key]:
    name = connector.options.collection
    return [
        key
        for part in connector.partitions(name, parts)
        for found, _ in connector.read(part, None)
        for key in found.keys
    ]  # fmt: skip
