import uuid
from typing import Any

import grpc
import numpy as np
import pytest
from weaviate.classes.config import Configure, DataType, Property, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, HybridFusion, MetadataQuery, TargetVectors
from weaviate.exceptions import WeaviateQueryError
from weaviate.proto.v1 import search_get_pb2

from tests.doubles.conftest import MakeCollection, numbered

DISTANCE = MetadataQuery(distance=True)
RANDOM = np.random.default_rng(3)
MATRIX = RANDOM.normal(size=(60, 8)).astype(np.float32)
QUERY = RANDOM.normal(size=8).astype(np.float32)
EXPECTED = {
    VectorDistances.COSINE: 1
    - MATRIX @ QUERY / (np.linalg.norm(MATRIX, axis=1) * np.linalg.norm(QUERY)).astype(np.float32),
    VectorDistances.DOT: -(MATRIX @ QUERY),
    VectorDistances.L2_SQUARED: ((MATRIX - QUERY) ** 2).sum(axis=1),
    VectorDistances.MANHATTAN: np.abs(MATRIX - QUERY).sum(axis=1),
}


def filled(make_collection: MakeCollection, metric: VectorDistances = VectorDistances.COSINE) -> Any:
    """Sixty objects, each with its number."""
    config = Configure.Vectors.self_provided(
        vector_index_config=Configure.VectorIndex.hnsw(distance_metric=metric),
    )
    made = make_collection(vector_config=config, properties=[Property(name="int", data_type=DataType.INT)])
    made.data.insert_many(
        [
            DataObject(properties={"int": number}, uuid=numbered(number), vector=vector.tolist())
            for number, vector in enumerate(MATRIX)
        ]
    )
    return made


def numbers(answer: Any) -> list[int]:
    return [found.uuid.int for found in answer.objects]


def near(films: Any, vector: Any = QUERY, **options: Any) -> Any:
    return films.query.near_vector(list(map(float, vector)), return_metadata=DISTANCE, **options)


@pytest.mark.parametrize("metric", EXPECTED)
def test_the_nearest_come_first_with_their_distances(make_collection: MakeCollection, metric: VectorDistances) -> None:
    answer = near(filled(make_collection, metric), limit=10)
    order = np.argsort(EXPECTED[metric])[:10]
    assert numbers(answer) == order.tolist()
    np.testing.assert_allclose(
        [found.metadata.distance for found in answer.objects], EXPECTED[metric][order], rtol=1e-4, atol=1e-5
    )


def test_hamming_counts_the_components_that_differ(make_collection: MakeCollection) -> None:
    config = Configure.Vectors.self_provided(
        vector_index_config=Configure.VectorIndex.flat(distance_metric=VectorDistances.HAMMING)
    )
    bits = make_collection(vector_config=config)
    bits.data.insert_many(
        [
            DataObject(properties={}, uuid=numbered(n), vector=v)
            for n, v in enumerate([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
        ]
    )
    answer = near(bits, [0, 1, 1])
    assert [(o.uuid.int, o.metadata.distance) for o in answer.objects] == [(0, 0.0), (1, 1.0), (2, 3.0)]


def test_a_zero_vector_is_at_distance_one(make_collection: MakeCollection) -> None:
    films = make_collection()
    films.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[0.0, 0.0])])
    assert near(films, [1.0, 2.0]).objects[0].metadata.distance == 1.0


def test_a_search_may_be_filtered_and_bounded(make_collection: MakeCollection) -> None:
    films = filled(make_collection)
    distances = EXPECTED[VectorDistances.COSINE]
    order = np.argsort(distances)
    few = [int(number) for number in order if number < 20]
    assert numbers(near(films, limit=5, filters=Filter.by_property("int").less_than(20))) == few[:5]
    assert numbers(near(films, limit=5, offset=3)) == order[3:8].tolist()
    assert numbers(near(films, distance=float(distances[order[3]]) + 1e-4, limit=60)) == order[:4].tolist()
    assert numbers(near(films, certainty=1 - (float(distances[order[3]]) + 1e-4) / 2, limit=60)) == order[:4].tolist()


def test_objects_without_a_vector_are_not_found(make_collection: MakeCollection) -> None:
    films = make_collection()
    films.data.insert_many(
        [DataObject(properties={}, uuid=numbered(1), vector=[1.0, 2.0]), DataObject(properties={}, uuid=numbered(2))]
    )
    assert numbers(near(films, [1.0, 2.0])) == [1]


def test_an_empty_collection_has_nothing_near(make_collection: MakeCollection) -> None:
    assert near(make_collection(), [1.0, 2.0]).objects == []


def test_a_query_of_another_length_is_an_error(make_collection: MakeCollection) -> None:
    with pytest.raises(WeaviateQueryError, match=r"vector lengths don't match|vector dimensions"):
        near(filled(make_collection), [1.0, 2.0])


def test_several_vectors_need_a_target(make_collection: MakeCollection) -> None:
    two = make_collection(vector_config=[Configure.Vectors.self_provided(name=name) for name in ("a", "b")])
    two.data.insert_many(
        [
            DataObject(properties={}, uuid=numbered(1), vector={"a": [1.0, 0.0], "b": [0.0, 1.0]}),
            DataObject(properties={}, uuid=numbered(2), vector={"a": [0.0, 1.0], "b": [1.0, 0.1]}),
        ]
    )
    with pytest.raises(WeaviateQueryError, match="no target vectors were provided"):
        near(two, [1.0, 0.0])
    with pytest.raises(WeaviateQueryError, match="does not have named vector zz"):
        near(two, [1.0, 0.0], target_vector="zz")
    assert numbers(near(two, [1.0, 0.0], target_vector="a")) == [1, 2]
    assert numbers(near(two, [1.0, 0.0], target_vector="b")) == [2, 1]
    joined = near(two, [1.0, 0.0], target_vector=TargetVectors.sum(["a", "b"]))
    assert [round(o.metadata.distance, 4) for o in joined.objects] == [1.0, 1.005]


def test_vectors_of_vectors_are_compared_by_their_best(make_collection: MakeCollection) -> None:
    late = make_collection(vector_config=Configure.MultiVectors.self_provided(name="late"))
    late.data.insert_many(
        [
            DataObject(properties={}, uuid=numbered(1), vector={"late": [[1.0, 0.0], [0.0, 1.0]]}),
            DataObject(properties={}, uuid=numbered(2), vector={"late": [[0.6, 0.8]]}),
        ]
    )
    found = late.query.near_vector([[1.0, 0.0], [0.0, 1.0]], target_vector="late", return_metadata=DISTANCE).objects
    assert [(o.uuid.int, round(o.metadata.distance, 4)) for o in found] == [(1, -2.0), (2, -1.4)]


def page(stub: Any, collection: Any, **asked: Any) -> list[int]:
    request = search_get_pb2.SearchRequest(
        collection=collection.name, metadata={"uuid": True}, uses_127_api=True, **asked
    )
    return [uuid.UUID(bytes=found.metadata.id_as_bytes).int for found in stub.Search(request).results]


def test_pages_follow_a_cursor_in_the_order_of_ids(make_collection: MakeCollection, weaviate_stub: Any) -> None:
    films = filled(make_collection)
    assert page(weaviate_stub, films) == list(range(10))
    assert page(weaviate_stub, films, limit=3) == [0, 1, 2]
    assert page(weaviate_stub, films, limit=3, after=numbered(2)) == [3, 4, 5]
    assert page(weaviate_stub, films, limit=3, offset=2) == [2, 3, 4]
    assert page(weaviate_stub, films, limit=100, after=numbered(57)) == [58, 59]
    assert page(weaviate_stub, films, after=numbered(59)) == []
    films.data.delete_by_id(numbered(4))
    assert page(weaviate_stub, films, limit=2, after=numbered(4)) == [5, 6]
    films.data.insert_many([DataObject(properties={}, uuid=numbered(4), vector=MATRIX[4].tolist())])
    assert [found.uuid.int for found in films.iterator(cache_size=7)] == list(range(60))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"limit": 10_001}, "query maximum results exceeded"),
        ({"limit": 10, "offset": 9_991}, "query maximum results exceeded"),
        ({"limit": 1, "after": "x"}, "not a valid uuid"),
        ({"limit": 1, "after": numbered(1), "offset": 1}, "offset cannot be set"),
        (
            {
                "limit": 1,
                "after": numbered(1),
                "filters": {"operator": 1, "target": {"property": "_id"}, "value_text": numbered(1)},
            },
            "where cannot be set",
        ),
        ({"properties": {"non_ref_properties": ["zz"]}}, "no such prop"),
        ({"tenant": "t"}, "has multi-tenancy disabled"),
    ],
)
def test_a_page_that_cannot_be_given_is_an_error(
    make_collection: MakeCollection, weaviate_stub: Any, asked: dict[str, Any], message: str
) -> None:
    films = make_collection()
    with pytest.raises(grpc.RpcError, match=message):
        page(weaviate_stub, films, **asked)


def test_nothing_named_is_everything(make_collection: MakeCollection, weaviate_stub: Any) -> None:
    films = filled(make_collection)
    asked = search_get_pb2.SearchRequest(collection=films.name, limit=1, uses_127_api=True)
    found = weaviate_stub.Search(asked).results[0]
    assert found.properties.target_collection == films.name
    assert found.properties.non_ref_props.fields["int"].int_value == 0
    asked.metadata.vector = True
    (vector,) = weaviate_stub.Search(asked).results[0].metadata.vectors
    assert (vector.name, vector.vector_bytes) == ("default", MATRIX[0].tobytes())


@pytest.fixture
def library(make_collection: MakeCollection) -> Any:
    names = ("title", "body")
    made = make_collection(properties=[Property(name=name, data_type=DataType.TEXT) for name in names])
    texts = [
        ("red fox", "a fox in a wood"),
        ("blue whale", "the whale in the sea, with one fox"),
        ("green tree", "a wood of trees"),
        ("fox fox fox", "nothing else"),
    ]
    made.data.insert_many(
        [
            DataObject(
                properties=dict(zip(names, texts[number], strict=True)),
                uuid=numbered(number),
                vector=[float(number == other) for other in range(4)],
            )
            for number in range(4)
        ]
    )
    return made


def test_keywords_find_what_has_them(library: Any) -> None:
    found = library.query.bm25("fox", query_properties=["body"], return_metadata=MetadataQuery(score=True)).objects
    assert [o.uuid.int for o in found] == [0, 1]
    assert found[0].metadata.score > found[1].metadata.score > 0
    assert set(numbers(library.query.bm25("fox"))) == {0, 1, 3}
    assert numbers(library.query.bm25("whale wood", query_properties=["body"], limit=1)) == [1]
    assert numbers(library.query.bm25("nowhere")) == []
    assert numbers(library.query.bm25("fox", filters=Filter.by_property("title").equal("whale"))) == [1]


def test_a_hybrid_search_joins_words_and_vectors(library: Any) -> None:
    tree = [0.0, 0.0, 1.0, 0.0]
    assert numbers(library.query.hybrid("fox", vector=tree, alpha=1, limit=1)) == [2]
    assert set(numbers(library.query.hybrid("fox", vector=tree, alpha=0))) == {0, 1, 3}
    for fusion in HybridFusion:
        assert set(numbers(library.query.hybrid("whale", vector=tree, alpha=0.5, fusion_type=fusion, limit=2))) == {
            1,
            2,
        }
