"""Keyword search by BM25, as the server of 1.38 scores it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from tests.doubles.weaviate import tokens
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.partitions import Object, Partition
from tests.doubles.weaviate.protos import base_search_pb2
from tests.doubles.weaviate.store import Collection

Scored = list[tuple[bytes, float]]
"""Ids with their scores, best first."""
Match = Callable[[Object], bool] | None
Documents = dict[bytes, Counter[str]]
"""How often each token is in one property, of the objects that have it."""


def keyword_search(collection: Collection, partition: Partition, asked: Any, match: Match, size: int) -> Scored:
    """The best objects that have a word of the query in a searchable property, by BM25 added up over the properties.

    `asked` is a BM25 or a Hybrid. As on the server, a property adds its score only to those that are among its own best,
    a few more than `size`.
    """
    weights = _weights(collection, list(asked.properties))
    documents = {name: _documents(collection, partition, name) for name in weights}
    totals: defaultdict[bytes, float] = defaultdict(float)
    for tokenization in {collection.declared[name]["tokenization"] for name in weights}:
        names = [name for name in weights if collection.declared[name]["tokenization"] == tokenization]
        wanted = _wanted(collection, tokenization, asked.query)
        rarity = _rarity(wanted, [documents[name] for name in names], len(partition.objects))
        needed = _needed(asked, len(wanted))
        for name in names:
            scores = _scores(collection, documents[name], rarity, needed)
            found = [(id, score) for id, score in scores if match is None or match(partition.objects[id])]
            best = sorted(found, key=lambda pair: -pair[1])
            for id, score in best[: max(int(size * 1.1), size + 10)]:
                totals[id] += weights[name] * score
    return sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))[:size]


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


def _documents(collection: Collection, partition: Partition, name: str) -> Documents:
    tokenization = collection.declared[name]["tokenization"]
    found = {}
    for id, item in partition.objects.items():
        value = item.properties.get(name) or ()
        if counts := _counted(tokenization, (value,) if isinstance(value, str) else tuple(value)):
            found[id] = counts
    return found


@lru_cache(maxsize=200_000)
def _counted(tokenization: str, texts: tuple[str, ...]) -> Counter[str]:
    return Counter(token for text in texts for token in tokens.tokens(tokenization, text))


def _scores(
    collection: Collection, documents: Documents, rarity: Mapping[str, float], needed: int
) -> Iterator[tuple[bytes, float]]:
    config = collection.schema["invertedIndexConfig"]["bm25"]
    b, k1 = config["b"], config["k1"]
    average = sum(counts.total() for counts in documents.values()) / max(len(documents), 1)
    for id, counts in documents.items():
        present = [token for token in rarity if token in counts]
        if present and len(present) >= needed:
            damping = k1 * (1 - b + b * counts.total() / average)
            yield id, sum(rarity[token] * counts[token] / (counts[token] + damping) for token in present)


def _wanted(collection: Collection, tokenization: str, query: str) -> Counter[str]:
    ignored = tokens.stopwords(collection.schema, tokenization)
    return Counter(token for token in tokens.tokens(tokenization, query) if token not in ignored)


def _rarity(wanted: Counter[str], properties: list[Documents], objects: int) -> Mapping[str, float]:
    """Of each token: the same in all properties, from the mean number of objects over those that have it."""
    found = {}
    for token, times in wanted.items():
        holders = [sum(token in counts for counts in documents.values()) for documents in properties]
        having = [count for count in holders if count]
        if having:
            n = sum(having) // len(having)
            found[token] = times * math.log(1 + (objects - n + 0.5) / (n + 0.5))
    return found


def _needed(asked: Any, wanted: int) -> int:
    """How many tokens of the query a property must have."""
    how = asked.bm25_search_operator if hasattr(asked, "bm25_search_operator") else asked.search_operator
    if how.operator == base_search_pb2.SearchOperatorOptions.OPERATOR_AND:
        return wanted
    return int(how.minimum_or_tokens_match)
