"""The vectors API, over gRPC or REST: both clients of the SDK have the same methods."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pinecone import Index, SparseValues, Vector
from pinecone.grpc import GrpcIndex

from vecmig.connectors.pinecone.client.api import Listed, Match, Query, Record, vector_of
from vecmig.connectors.pinecone.limits import MAX_LISTED, MAX_URL_BYTES
from vecmig.connectors.pinecone.options import plain

REST_BYTES = 22  # a component in JSON: a float32 has 17 digits as Python writes it
GRPC_BYTES = 4
FETCHED_BYTES = 1_600_000  # of vectors in one answer: 250 of 1,536 dimensions


class VectorsApi:
    """Requests of one vector index."""

    reserved: tuple[str, ...] = ()
    leading: tuple[str, ...] = ("$",)

    def __init__(self, client: Index | GrpcIndex, dimensions: int = 0) -> None:
        """`dimensions`: of the dense vector, 0 where there is none or it is not known."""
        self._client = client
        rest = isinstance(client, Index)
        fitting = max(1, FETCHED_BYTES // (4 * max(1, dimensions)))  # the SDK's lists take twelve times as much
        self.fetched_at_once = min(fitting, 100 if rest else 250)
        self.fetched_url_bytes = MAX_URL_BYTES if rest else None
        self._component_bytes = REST_BYTES if rest else GRPC_BYTES
        self._sent = _list if rest else _packed

    def stats(self) -> dict[str, int]:
        found = self._client.describe_index_stats().namespaces
        return {plain(name): each.vector_count for name, each in found.items() if each.vector_count}

    def dimensions(self) -> int | None:
        """Return those of the dense vectors; None where there are none."""
        return self._client.describe_index_stats().dimension or None

    def namespaces(self) -> dict[str, int]:
        found = (each for page in self._client.list_namespaces() for each in page.namespaces)
        return {plain(each.name): each.record_count for each in found if each.record_count}

    def list(self, namespace: str, prefix: str, token: str | None) -> Listed:
        page = self._client.list_paginated(
            namespace=namespace, prefix=prefix or None, limit=MAX_LISTED, pagination_token=token
        )
        return Listed([each.id for each in page.vectors if each.id], page.pagination.next if page.pagination else None)

    def fetch(self, namespace: str, ids: Sequence[str]) -> dict[str, Record]:
        found = self._client.fetch(ids=list(ids), namespace=namespace).vectors
        return {id: _record(id, each) for id, each in found.items()}

    def upsert(self, namespace: str, records: Sequence[Record]) -> int:
        # one request, and no `batch_size`: a batched upsert does not raise where a batch fails
        found = self._client.upsert(vectors=[self._vector(each) for each in records], namespace=namespace)
        return found.upserted_count

    def delete(self, namespace: str, ids: Sequence[str]) -> None:
        self._client.delete(ids=list(ids), namespace=namespace)

    def query(self, query: Query) -> Sequence[Match]:
        asked: dict[str, Any] = {"vector": query.values} if query.values is not None else {}
        if query.sparse is not None:
            asked["sparse_vector"] = {"indices": query.sparse[0], "values": query.sparse[1]}
        found = self._client.query(
            top_k=query.k,
            namespace=query.namespace,
            filter=dict(query.filter) if query.filter is not None else None,
            include_values=False,
            include_metadata=False,
            **asked,
        )
        return [Match(each.id, each.score) for each in found.matches]

    def _vector(self, record: Record) -> Vector:
        sparse = SparseValues(*record.sparse) if record.sparse is not None else None
        values = self._sent(record.values) if record.values is not None else []
        return Vector(record.id, values, sparse, dict(record.metadata))

    def size_of(self, dimensions: int) -> int:
        return self._component_bytes * dimensions

    def close(self) -> None:
        self._client.close()


def _record(id: str, vector: Vector) -> Record:
    sparse = vector.sparse_values
    return Record(
        id,
        vector_of(vector.values),
        (sparse.indices, sparse.values) if sparse is not None and sparse.indices else None,
        vector.metadata or {},
    )


def _list(values: NDArray[np.float32]) -> list[float]:
    numbers: list[float] = values.tolist()
    return numbers


def _packed(values: NDArray[np.float32]) -> list[float]:
    """Return what the SDK's gRPC client takes as well as a list: in a tenth of the memory and half of the time."""
    return array("f", values.tobytes())  # type: ignore[return-value]  # a sequence of floats all the same
