"""Hybrid search: the search by words and the one by vector, fused as the server does it.

https://docs.weaviate.io/weaviate/concepts/search/hybrid-search
"""

from collections import defaultdict
from typing import Any

from tests.doubles.weaviate.keywords import Match, Scored, keyword_search
from tests.doubles.weaviate.near import nearest
from tests.doubles.weaviate.partitions import Partition
from tests.doubles.weaviate.protos import base_search_pb2
from tests.doubles.weaviate.store import Collection

RANK_OFFSET = 60
"""Of reciprocal rank fusion; ranks count from 0."""
AT_LEAST = 100
"""What either search finds before they are fused, or as many as are asked for (QUERY_HYBRID_MAXIMUM_RESULTS)."""


def hybrid_search(collection: Collection, partition: Partition, asked: Any, match: Match, size: int) -> Scored:
    """The best of both searches; alpha is the share of the vector's."""
    alpha = asked.alpha_param if asked.use_alpha_param else asked.alpha
    depth = max(size, AT_LEAST)
    vectors = _by_vector(collection, partition, asked, match, depth) if alpha > 0 else []
    words = keyword_search(collection, partition, asked, match, depth) if alpha < 1 else []
    if alpha > 0 and asked.HasField("vector_distance"):
        vectors = [(id, score) for id, score in vectors if 1 - score <= asked.vector_distance]
        near = {id for id, _ in vectors}
        words = [(id, score) for id, score in words if id in near]
    is_ranked = asked.fusion_type == base_search_pb2.Hybrid.FUSION_TYPE_RANKED
    fused = _by_rank if is_ranked else _by_score
    totals: defaultdict[bytes, float] = defaultdict(float)
    for found, share in ((vectors, alpha), (words, 1 - alpha)):
        for id, score in fused(found):
            totals[id] += share * score
    own = dict([*vectors, *words])  # decides between equals
    return sorted(totals.items(), key=lambda pair: (-round(pair[1], 7), -own[pair[0]], pair[0]))


def _by_vector(collection: Collection, partition: Partition, asked: Any, match: Match, depth: int) -> Scored:
    near = base_search_pb2.NearVector(vector_bytes=asked.vector_bytes, vectors=asked.vectors, targets=asked.targets)
    if asked.HasField("near_vector"):
        near.MergeFrom(asked.near_vector)
    return [(id, 1 - distance) for id, distance in nearest(collection, partition, near, match, depth)]


def _by_rank(found: Scored) -> Scored:
    return [(id, 1 / (RANK_OFFSET + rank)) for rank, (id, _) in enumerate(found)]


def _by_score(found: Scored) -> Scored:
    """Scores stretched over 0 to 1."""
    if not found:
        return []
    high, low = found[0][1], found[-1][1]
    return [(id, (score - low) / (high - low) if high > low else 1.0) for id, score in found]
