"""Keyword search by BM25, and its fusion with the search by vector."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from tests.doubles.weaviate import tokens
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.near import nearest
from tests.doubles.weaviate.partitions import Object, Partition
from tests.doubles.weaviate.protos import base_search_pb2
from tests.doubles.weaviate.store import Collection

Scored = list[tuple[bytes, float]]
"""Ids with their scores, best first."""
Match = Callable[[Object], bool] | None
RANK_OFFSET = 60
"""Of reciprocal rank fusion."""


def keyword_search(collection: Collection, partition: Partition, query: str, names: list[str], match: Match) -> Scored:
    """The objects that have a word of the query in a searchable property, by BM25 added up over the properties."""
    weights = _weights(collection, names)
    totals: defaultdict[bytes, float] = defaultdict(float)
    for name, weight in weights.items():
        for id, score in _of_property(collection, partition, name, query).items():
            totals[id] += weight * score
    found = [(id, score) for id, score in totals.items() if match is None or match(partition.objects[id])]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def hybrid_search(collection: Collection, partition: Partition, asked: Any, match: Match, size: int) -> Scored:
    """Both searches, joined: alpha is the share of the vector's."""
    alpha = asked.alpha_param if asked.use_alpha_param else asked.alpha
    words = keyword_search(collection, partition, asked.query, list(asked.properties), match) if alpha < 1 else []
    vectors: Scored = []
    if alpha > 0:
        near = base_search_pb2.NearVector(vector_bytes=asked.vector_bytes, vectors=asked.vectors, targets=asked.targets)
        if asked.HasField("near_vector"):
            near.MergeFrom(asked.near_vector)
        found = nearest(collection, partition, near, match, max(size, 100))
        vectors = [(id, -distance) for id, distance in found]
    is_ranked = asked.fusion_type == base_search_pb2.Hybrid.FUSION_TYPE_RANKED
    fused = _by_rank if is_ranked else _by_score
    totals: defaultdict[bytes, float] = defaultdict(float)
    for part, share in ((vectors, alpha), (words, 1 - alpha)):
        for id, score in fused(part):
            totals[id] += share * score
    return sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))


def _by_rank(found: Scored) -> Scored:
    return [(id, 1 / (RANK_OFFSET + rank)) for rank, (id, _) in enumerate(found)]


def _by_score(found: Scored) -> Scored:
    """Scores stretched over 0 to 1."""
    if not found:
        return []
    high, low = found[0][1], found[-1][1]
    return [(id, (score - low) / (high - low) if high > low else 1.0) for id, score in found]


def _weights(collection: Collection, names: list[str]) -> dict[str, float]:
    declared = collection.declared
    if not names:
        return {name: 1.0 for name, item in declared.items() if item["indexSearchable"]}
    weights = {}
    for given in names:
        name, _, boost = given.partition("^")
        if name not in declared:
            raise Refused(f"no such prop with name '{name}' found in class '{collection.name}' in the schema")
        if not declared[name]["indexSearchable"]:
            raise Refused(f"Searching by property '{name}' requires inverted index")
        weights[name] = float(boost or 1)
    return weights


def _of_property(collection: Collection, partition: Partition, name: str, query: str) -> dict[bytes, float]:
    tokenization = collection.declared[name]["tokenization"]
    ignored = tokens.stopwords(collection.schema, tokenization)
    wanted = {token for token in tokens.tokens(tokenization, query) if token not in ignored}
    documents = {}
    for id, item in partition.objects.items():
        value = item.properties.get(name)
        if value:
            texts = value if isinstance(value, list) else [value]
            documents[id] = Counter(token for text in texts for token in tokens.tokens(tokenization, text))
    if not documents:
        return {}
    config = collection.schema["invertedIndexConfig"]["bm25"]
    b, k1 = config["b"], config["k1"]
    average = sum(sum(counts.values()) for counts in documents.values()) / len(documents)
    scores: defaultdict[bytes, float] = defaultdict(float)
    for token in wanted:
        holders = {id: counts[token] for id, counts in documents.items() if token in counts}
        rarity = math.log(1 + (len(partition.objects) - len(holders) + 0.5) / (len(holders) + 0.5))
        for id, count in holders.items():
            length = sum(documents[id].values()) / average
            scores[id] += rarity * count * (k1 + 1) / (count + k1 * (1 - b + b * length))
    return dict(scores)
