"""Search: by Pinecone's own index, or exactly, which reads the namespace and compares every record."""

from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from vecmig.connectors.pinecone.client.api import Match, Query
from vecmig.connectors.pinecone.limits import MAX_FOUND
from vecmig.connectors.pinecone.records.filters import condition
from vecmig.connectors.pinecone.records.ids import original
from vecmig.connectors.pinecone.records.partitions import partitions
from vecmig.connectors.pinecone.records.read import Reading, read
from vecmig.errors import UnsupportedError
from vecmig.model.collection import Metric, VectorField
from vecmig.model.record import Key
from vecmig.nearest import nearest
from vecmig.protocols import Hits, Search


def search(reading: Reading, collection: str, search: Search) -> list[Hits]:
    """Return one Hits for each query."""
    field = next(vector for vector in reading.vectors if vector.name == search.vector)
    if field.kind == "sparse":
        raise UnsupportedError(f"queries are dense vectors, and {field.name!r} is sparse")
    if search.exact:
        parts = partitions(collection, {search.namespace: 1}, (), at_most=1)
        pages = (page for part in parts for page, _ in read(reading, part, None, [field.name]))
        return nearest(pages, field, search)
    filter = condition(reading.encoding, search.filter) if search.filter is not None else None
    started: list[Future[Hits]] = [
        reading.calls.start(_found, reading, field, search, query.tolist(), filter) for query in search.queries
    ]
    return [future.result() for future in started]


def _found(
    reading: Reading, field: VectorField, search: Search, values: list[float], filter: dict[str, object] | None
) -> Hits:
    query = Query(search.namespace, min(search.k, MAX_FOUND), values, filter=filter)
    matches = reading.calls.send("query", lambda: reading.api.query(query))
    ordered = sorted(matches, key=lambda each: _distance(field.metric, each))
    distances: NDArray[np.float32] = np.array([_distance(field.metric, each) for each in ordered], np.float32)
    return Hits([Key(search.namespace, original(each.id)) for each in ordered], distances)


def _distance(metric: Metric, match: Match) -> float:
    """Return the distance of a score: the cosine, the dot product, or the square of the l2 norm."""
    if metric == "cosine":
        return 1 - match.score
    return -match.score if metric == "dot" else float(np.sqrt(max(match.score, 0)))
