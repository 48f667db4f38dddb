"""Search: by Weaviate's own index, or exactly, which reads the namespace and compares every record."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmig.connectors.weaviate.client import requests
from vecmig.connectors.weaviate.client.proto import base_pb2, base_search_pb2, search_get_pb2
from vecmig.connectors.weaviate.client.requests import SINGLE
from vecmig.connectors.weaviate.records.filters import message
from vecmig.connectors.weaviate.records.read import Reading, partitions, read
from vecmig.model.collection import Metric
from vecmig.model.record import Key
from vecmig.nearest import nearest
from vecmig.protocols import Hits, Search


def search(reading: Reading, collection: str, search: Search) -> list[Hits]:
    """Return one Hits for each query."""
    stored, field = next((there, each) for there, each in reading.layout.vectors.items() if each.name == search.vector)
    if search.exact:
        parts = partitions(collection, {search.namespace: 1}, at_most=1)
        pages = (page for part in parts for page, _ in read(reading, part, None, [field.name]))
        return nearest(pages, field, search)
    version = reading.calls.session.version
    filters = message(reading.layout, version, search.filter) if search.filter is not None else None
    if not reading.known([search.namespace]):
        return [Hits([], np.empty(0, np.float32)) for _ in search.queries]
    with reading.awake([search.namespace]):
        started = [
            reading.calls.start(_found, reading, search, stored, field.metric, query, filters)
            for query in search.queries
        ]
        return [future.result() for future in started]


def _found(
    reading: Reading, search: Search, stored: str | None, metric: Metric, query: NDArray[np.float32], filters: Any
) -> Hits:
    raw = np.ascontiguousarray(query, "<f4").tobytes()
    near = base_search_pb2.NearVector(vectors=[base_pb2.Vectors(vector_bytes=raw, type=SINGLE)])
    if stored is not None:
        near.targets.target_vectors.append(stored)
    request = requests.search(
        reading.layout,
        reading.tenant(search.namespace),
        search.k,
        near_vector=near,
        filters=filters,
        metadata=search_get_pb2.MetadataRequest(uuid=True, distance=True),
        properties=requests.only_ids(reading.layout),
    )
    answer = reading.calls.grpc("search", "Search", request)
    keys = [
        Key(search.namespace, requests.own_id(requests.uuid_of(each.metadata), each.properties.non_ref_props.fields))
        for each in answer.results
    ]
    distances = np.array([each.metadata.distance for each in answer.results], np.float32)
    return Hits(keys, np.sqrt(np.maximum(distances, 0)) if metric == "l2" else distances)  # it gives the square
