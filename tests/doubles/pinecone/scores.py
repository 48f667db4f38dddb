"""Exact search: scores of every record against one query."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.doubles.pinecone.store import Json, Namespace, Record, Sparse, Vector

Hit = tuple[Record, float]


def rank(
    namespace: Namespace,
    metric: str,
    vector: Vector | None,
    pairs: Sparse | None,
    is_match: Callable[[Json], bool] | None,
    top_k: int,
) -> list[Hit]:
    """The best records, best first; equal scores in the order they were stored."""
    if vector is None and pairs is None:
        return []
    ids, scores = _scores(namespace, metric, vector, pairs)
    if is_match:
        chosen = [row for row, id in enumerate(ids) if is_match(namespace.records[id].metadata or {})]
        ids, scores = [ids[row] for row in chosen], scores[chosen]
    keys = scores if metric == "euclidean" and vector is not None else -scores  # a distance: less is better
    if top_k < len(keys):
        nearest = np.argpartition(keys, top_k - 1)[:top_k]
        order = nearest[np.argsort(keys[nearest], kind="stable")]
    else:
        order = np.argsort(keys, kind="stable")
    return [(namespace.records[ids[row]], float(scores[row])) for row in order]


def _scores(
    namespace: Namespace, metric: str, vector: Vector | None, pairs: Sparse | None
) -> tuple[list[str], NDArray[Any]]:
    if vector is None:
        assert pairs is not None
        ids = [id for id, record in namespace.records.items() if record.sparse is not None]
        scores = np.array([_sparse_dot(namespace.records[id].sparse, pairs) for id in ids], np.float32)
        overlapping = np.flatnonzero(scores)  # a sparse search finds only what shares an index with the query
        return [ids[row] for row in overlapping], scores[overlapping]
    ids, matrix = namespace.matrix()
    if not ids:
        return [], np.empty(0, np.float32)
    scores = _dense_scores(matrix, metric, vector)
    if pairs is not None:
        scores = scores + np.array([_sparse_dot(namespace.records[id].sparse, pairs) for id in ids], np.float32)
    return ids, scores


def _dense_scores(matrix: Vector, metric: str, vector: Vector) -> NDArray[Any]:
    if metric == "euclidean":
        # the square, as users report it; the service's pages say only that less is better
        return np.asarray(((matrix - vector) ** 2).sum(axis=1))
    dots = np.asarray(matrix @ vector)
    if metric == "dotproduct":
        return dots
    return np.asarray(dots / np.sqrt(_squares(matrix) * _squares(vector[None])))


def _squares(matrix: Vector) -> NDArray[Any]:
    """The squared lengths of the rows, which as float32 would be zero for the smallest of them."""
    return np.asarray(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))


def _sparse_dot(stored: Sparse | None, asked: Sparse) -> float:
    if stored is None:
        return 0.0
    _, left, right = np.intersect1d(stored.indices, asked.indices, assume_unique=True, return_indices=True)
    return float(stored.values[left] @ asked.values[right])
