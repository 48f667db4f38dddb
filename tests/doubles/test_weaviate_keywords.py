"""Search by words, and its fusion with the search by vector: on the double, and on a real server where there is one."""

import math
from typing import Any

import numpy as np
import pytest
from weaviate.classes.config import Configure, DataType, Property, Tokenization
from weaviate.classes.data import DataObject
from weaviate.classes.query import BM25Operator, Filter, HybridFusion, MetadataQuery
from weaviate.exceptions import WeaviateQueryError

from tests.doubles.conftest import MakeCollection, numbered

TEXTS = [
    "open the file and read it",
    "os.path.join joins one or more paths",
    "the file is closed, and the file is gone",
    "raises OSError with EINTR",
    "read a line of a file that is open for reading in text mode, and so on until the end of it",
]
VECTORS = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0], [0.6, 0.8, 0.0]]
QUERY = [1.0, 0.0, 0.0]
"""Its neighbours are 0, 2 and 4, at 0.0, 0.2 and 0.4; all others are at 1.0."""
K1, B = 1.2, 0.75


@pytest.fixture
def manual(make_collection: MakeCollection) -> Any:
    made = make_collection(
        properties=[
            Property(name="text", data_type=DataType.TEXT, tokenization=Tokenization.WORD),
            Property(name="number", data_type=DataType.INT),
        ],
        inverted_index_config=Configure.inverted_index(bm25_b=B, bm25_k1=K1),
    )
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties={"text": text, "number": number}, uuid=numbered(number), vector=vector)
        for number, (text, vector) in enumerate(zip(TEXTS, VECTORS, strict=True))
    ]
    assert not made.data.insert_many(objects).errors
    return made


def scored(answer: Any) -> dict[int, float]:
    """Number of the object -> score, best first."""
    return {found.uuid.int: found.metadata.score for found in answer.objects}


def by_words(manual: Any, query: str, **options: Any) -> dict[int, float]:
    return scored(manual.query.bm25(query, return_metadata=MetadataQuery(score=True), **options))


def hybrid(manual: Any, query: str, **options: Any) -> dict[int, float]:
    return scored(manual.query.hybrid(query, vector=QUERY, return_metadata=MetadataQuery(score=True), **options))


def rarity(holders: int, objects: int = len(TEXTS)) -> float:
    return math.log(1 + (objects - holders + 0.5) / (holders + 0.5))


def saturated(times: int, words: int, mean: float) -> float:
    return times / (times + K1 * (1 - B + B * words / mean))


LENGTHS = [len(text.replace(".", " ").split()) for text in TEXTS]
MEAN = sum(LENGTHS) / len(LENGTHS)


def test_a_word_counts_more_the_rarer_it_is_and_the_shorter_the_text(manual: Any) -> None:
    file = {n: rarity(3) * saturated(times, LENGTHS[n], MEAN) for n, times in ((0, 1), (2, 2), (4, 1))}
    assert by_words(manual, "file") == pytest.approx(file, abs=1e-4)
    both = file | {3: rarity(1) * saturated(1, LENGTHS[3], MEAN)}
    assert by_words(manual, "file eintr") == pytest.approx(both, abs=1e-4)
    assert list(by_words(manual, "file eintr")) == [3, 2, 0, 4]


def test_a_word_that_is_asked_for_twice_counts_twice(manual: Any) -> None:
    once, twice = by_words(manual, "eintr"), by_words(manual, "EINTR eintr")
    assert twice == pytest.approx({3: 2 * once[3]}, abs=1e-4)


def test_words_are_whole_without_their_case_and_punctuation(manual: Any) -> None:
    assert list(by_words(manual, "Join")) == [1]
    assert list(by_words(manual, "os.path")) == [1]
    assert by_words(manual, "oserr") == {}


def test_stopwords_find_nothing(manual: Any) -> None:
    assert by_words(manual, "the and of") == {}
    assert by_words(manual, "the eintr") == by_words(manual, "eintr")


def test_a_filter_leaves_the_scores_as_they_are(manual: Any) -> None:
    few = by_words(manual, "file", filters=Filter.by_property("number").less_than(4))
    everything = by_words(manual, "file")
    assert few == pytest.approx({2: everything[2], 0: everything[0]}, abs=1e-6)


def test_all_the_words_or_some_of_them_may_be_asked_for(manual: Any) -> None:
    assert set(by_words(manual, "open read gone")) == {0, 2, 4}
    assert set(by_words(manual, "open read gone", operator=BM25Operator.or_(minimum_match=2))) == {0, 4}
    assert by_words(manual, "open read gone", operator=BM25Operator.and_()) == {}
    assert set(by_words(manual, "open read", operator=BM25Operator.and_())) == {0, 4}


def test_properties_add_up_by_their_weights_with_one_rarity_for_all(make_collection: MakeCollection) -> None:
    names = ("title", "body")
    made = make_collection(properties=[Property(name=name, data_type=DataType.TEXT) for name in names])
    texts = [("fox", "a red fox"), ("", "one fox runs"), ("tree", "green"), ("fox tree", "x fox fox")]
    made.data.insert_many(
        [
            DataObject(properties=dict(zip(names, pair, strict=True)), uuid=numbered(number))
            for number, pair in enumerate(texts)
        ]
    )
    shared = rarity((2 + 3) // 2, objects=4)
    title = {0: saturated(1, 1, 4 / 3), 3: saturated(1, 2, 4 / 3)}
    body = {0: saturated(1, 3, 10 / 4), 1: saturated(1, 3, 10 / 4), 3: saturated(2, 3, 10 / 4)}
    for boost in (1, 3):
        expected = {n: shared * (boost * title.get(n, 0) + body.get(n, 0)) for n in (0, 1, 3)}
        found = by_words(made, "fox", query_properties=[f"title^{boost}", "body"])
        assert found == pytest.approx(expected, abs=1e-4)


def test_a_property_counts_only_for_those_that_are_among_its_own_best(make_collection: MakeCollection) -> None:
    names = ("title", "body")
    made = make_collection(properties=[Property(name=name, data_type=DataType.TEXT) for name in names])
    others = [DataObject(properties={"body": "fox"}, uuid=numbered(number)) for number in range(40)]
    long = DataObject(properties={"title": "fox", "body": "fox" + 30 * " and"}, uuid=numbered(40))
    made.data.insert_many([*others, long])
    both = ["title^5", "body"]
    few, many = (
        by_words(made, "fox", query_properties=both, limit=1),
        by_words(made, "fox", query_properties=both, limit=41),
    )
    assert list(few) == list(many)[:1] == [40]
    assert few[40] < many[40]


def test_ranks_are_fused_by_their_reciprocals(manual: Any) -> None:
    found = hybrid(manual, "gone file", alpha=0.25, fusion_type=HybridFusion.RANKED, limit=3)
    # by vector: 0, 2, 4, then those at 1.0; by words: 2, 0, 4
    expected = {2: 0.25 / 61 + 0.75 / 60, 0: 0.25 / 60 + 0.75 / 61, 4: 0.25 / 62 + 0.75 / 62}
    assert found == pytest.approx(expected, abs=1e-6)
    assert list(found) == [2, 0, 4]


def test_scores_are_fused_after_they_were_stretched_over_0_to_1(manual: Any) -> None:
    words = by_words(manual, "gone file")
    low, high = min(words.values()), max(words.values())
    near = {0: 1.0, 2: 0.8, 4: 0.6, 1: 0.0, 3: 0.0}
    expected = {
        n: 0.4 * near[n] + (0.6 * (words[n] - low) / (high - low) if n in words else 0.0) for n in range(len(TEXTS))
    }
    found = hybrid(manual, "gone file", alpha=0.4, fusion_type=HybridFusion.RELATIVE_SCORE)
    assert found == pytest.approx(expected, abs=1e-4)
    assert list(found) == sorted(expected, key=lambda n: (-expected[n], n))
    assert hybrid(manual, "gone file", alpha=0.4) == found  # unless another is asked for


def test_a_word_brings_up_what_is_far_by_its_vector(manual: Any) -> None:
    assert 3 not in hybrid(manual, "eintr", alpha=1, limit=3)
    assert next(iter(hybrid(manual, "eintr", alpha=0.4, limit=3))) == 3
    assert list(hybrid(manual, "eintr", alpha=0)) == [3]


def test_what_has_none_of_the_words_is_found_by_its_vector(manual: Any) -> None:
    assert list(hybrid(manual, "nowhere", alpha=0.5, limit=3)) == [0, 2, 4]
    assert hybrid(manual, "nowhere", alpha=0) == {}


def test_a_hybrid_search_may_be_filtered_and_bounded(manual: Any) -> None:
    assert set(hybrid(manual, "eintr", alpha=0.5, filters=Filter.by_property("number").less_than(3))) == {0, 1, 2}
    assert set(hybrid(manual, "eintr file", alpha=0.5, max_vector_distance=0.3)) == {0, 2}
    everything = list(hybrid(manual, "gone file", alpha=0.4))
    assert list(hybrid(manual, "gone file", alpha=0.4, limit=2, offset=1)) == everything[1:3]


def test_either_search_brings_in_a_hundred_at_most_or_as_many_as_are_asked_for(make_collection: MakeCollection) -> None:
    made = make_collection(properties=[Property(name="text", data_type=DataType.TEXT)])
    angles = np.linspace(0, 1.5, 150)
    made.data.insert_many(
        [
            DataObject(properties={"text": "same"}, uuid=numbered(n), vector=[math.cos(a), math.sin(a), 0.0])
            for n, a in enumerate(angles)
        ]
    )
    for limit, depth in ((10, 100), (120, 120)):
        found = hybrid(made, "nowhere", alpha=1, limit=limit)
        near = {n: math.cos(angles[n]) for n in range(depth)}
        low = near[depth - 1]
        assert found == pytest.approx({n: (near[n] - low) / (1 - low) for n in range(limit)}, abs=1e-4)


def test_a_search_in_what_is_not_cut_into_words_is_an_error(manual: Any) -> None:
    for search in (manual.query.bm25, lambda query, **more: manual.query.hybrid(query, vector=QUERY, **more)):
        with pytest.raises(WeaviateQueryError, match="number"):
            search("file", query_properties=["number"])
        with pytest.raises(WeaviateQueryError, match="zz"):
            search("file", query_properties=["zz"])


def test_a_hybrid_search_without_a_vector_is_an_error_where_nothing_makes_one(manual: Any) -> None:
    with pytest.raises(WeaviateQueryError):
        manual.query.hybrid("file", alpha=0.5)
    assert list(scored(manual.query.hybrid("eintr", alpha=0))) == [3]
