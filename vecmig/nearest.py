"""Exact search without a store's help: every vector is compared, page by page; only the k nearest so far are held."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmig.errors import UnsupportedError
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Metric, VectorField
from vecmig.model.filter import matches
from vecmig.model.metadata import loads
from vecmig.model.record import Key
from vecmig.protocols import Hits, Search

Floats = NDArray[np.floating[Any]]


def nearest(pages: Iterable[RecordBatch], field: VectorField, search: Search) -> list[Hits]:
    """Return one Hits for each query. Of equal distances the one read first comes first."""
    if field.kind == "sparse":
        raise UnsupportedError(f"exact search knows no sparse vectors ({field.name!r})")
    count = len(search.queries)
    distances = np.empty((count, 0), np.float32)
    keys: list[list[Key]] = [[] for _ in range(count)]
    for page in pages:
        found = _chosen(page, search)
        rows, vectors = found.present_vectors(search.vector)
        finite = np.isfinite(vectors).all(axis=1)
        rows, vectors = rows[finite], vectors[finite]  # the others are near to nothing
        if not len(rows):
            continue
        here = distances_of(field.metric, search.queries, vectors)
        both = np.concatenate([distances, here], axis=1)
        best = both.argsort(axis=1, kind="stable")[:, : search.k]
        kept = distances.shape[1]
        names = found.take(rows).table
        ids, namespaces = names.column("id"), names.column("namespace")
        for query, row in enumerate(best.tolist()):
            keys[query] = [
                keys[query][n] if n < kept else Key(namespaces[n - kept].as_py(), ids[n - kept].as_py()) for n in row
            ]
        distances = np.take_along_axis(both, best, axis=1)
    return [Hits(each, row) for each, row in zip(keys, distances, strict=True)]


def distances_of(metric: Metric, queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (q, n) distances of finite queries (q, d) and vectors (n, d), as `Hits` defines them."""
    with np.errstate(over="ignore", invalid="ignore"):
        distances = _distances_of(metric, queries, vectors).astype(np.float32, copy=False)
        if not np.isfinite(distances).all():  # components so large that their products are beyond float32
            distances = _distances_of(metric, queries.astype(np.float64), vectors.astype(np.float64)).astype(np.float32)
    return distances


def _distances_of(metric: Metric, queries: Floats, vectors: Floats) -> Floats:
    distances: Floats
    if metric == "l1":
        distances = np.stack([np.abs(vectors - query).sum(axis=1) for query in queries])
    elif metric == "hamming":
        distances = np.stack([(vectors != query).sum(axis=1) for query in queries])
    elif metric == "l2":
        # in doubles, for the difference of large squares loses what matters; |a - b|² = |a|² + |b|² - 2ab
        a, b = queries.astype(np.float64), vectors.astype(np.float64)
        squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
        distances = np.sqrt(np.maximum(squares, 0))
    else:
        distances = -queries @ vectors.T
        if metric == "cosine":
            norms = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)
            distances = 1 + distances / np.maximum(norms, np.finfo(np.float32).tiny)  # of a zero vector: 1
    return distances


def _chosen(page: RecordBatch, search: Search) -> RecordBatch:
    """Return the records of the namespace that pass the filter."""
    inside = [n for n, name in enumerate(page.strings("namespace")) if name == search.namespace]
    if len(inside) < len(page):
        page = page.take(inside)
    if search.filter is None:
        return page
    metadata = page.bytes_of("metadata")
    return page.take([n for n, text in enumerate(metadata) if matches(search.filter, loads(text))])
