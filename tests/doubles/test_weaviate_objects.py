import math
import struct
import time
import uuid
from typing import Any

import numpy as np
import pytest
from weaviate.classes.config import Configure, DataType, Property, Tokenization
from weaviate.classes.data import DataObject, GeoCoordinate
from weaviate.classes.query import MetadataQuery, QueryNested
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInsertManyAllFailedError

from tests.doubles.conftest import MakeCollection, numbered

RICH = [
    Property(name="text", data_type=DataType.TEXT),
    Property(name="int", data_type=DataType.INT),
    Property(name="number", data_type=DataType.NUMBER),
    Property(name="bool", data_type=DataType.BOOL),
    Property(name="date", data_type=DataType.DATE),
    Property(name="uuid", data_type=DataType.UUID),
    Property(name="geo", data_type=DataType.GEO_COORDINATES),
    Property(name="blob", data_type=DataType.BLOB),
    Property(name="texts", data_type=DataType.TEXT_ARRAY),
    Property(name="ints", data_type=DataType.INT_ARRAY),
    Property(name="numbers", data_type=DataType.NUMBER_ARRAY),
    Property(name="bools", data_type=DataType.BOOL_ARRAY),
    Property(name="dates", data_type=DataType.DATE_ARRAY),
    Property(name="uuids", data_type=DataType.UUID_ARRAY),
    Property(
        name="object",
        data_type=DataType.OBJECT,
        nested_properties=[
            Property(name="Key", data_type=DataType.TEXT),
            Property(name="n", data_type=DataType.INT),
        ],
    ),
    Property(
        name="objects",
        data_type=DataType.OBJECT_ARRAY,
        nested_properties=[Property(name="n", data_type=DataType.INT)],
    ),
]


@pytest.fixture
def rich(make_collection: MakeCollection) -> Any:
    """A collection with a property of every type."""
    return make_collection(properties=RICH)


def stored(collection: Any, properties: dict[str, Any]) -> dict[str, Any]:
    """What comes back of these properties, without those that are null."""
    result = collection.data.insert_many([DataObject(properties=properties, uuid=numbered(1), vector=[1.0, 2.0])])
    assert not result.errors
    found = collection.query.fetch_object_by_id(numbered(1)).properties
    return {name: value for name, value in found.items() if value is not None}


def refusal(collection: Any, properties: dict[str, Any], vector: Any = None) -> str:
    """The error of one object, beside another that is right: the client raises where all are wrong."""
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties=properties, uuid=numbered(1), vector=vector or [1.0, 2.0]),
        DataObject(properties={}, uuid=numbered(2), vector=[1.0, 2.0]),
    ]
    result = collection.data.insert_many(objects)
    assert list(result.errors) == [0]
    assert collection.query.fetch_object_by_id(numbered(1)) is None
    assert collection.query.fetch_object_by_id(numbered(2)) is not None
    return str(result.errors[0].message)


def test_vectors_come_back_bit_for_bit(rich: Any) -> None:
    vectors = np.array([[-0.0, 1e-45, 3e38], [0.1, -1 / 3, 0.0], [0.0, 0.0, 0.0]], np.float32)
    rich.data.insert_many(
        [DataObject(properties={}, uuid=numbered(row), vector=vector.tolist()) for row, vector in enumerate(vectors)]
    )
    for row, vector in enumerate(vectors):
        found = rich.query.fetch_object_by_id(numbered(row), include_vector=True).vector["default"]
        assert struct.pack("<3f", *found) == vector.tobytes()


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("text", "a\0é😀", "a\0é😀"),
        ("text", "", ""),
        ("int", 5, 5),
        ("int", 5.0, 5),
        ("int", 2**53 + 1, 2**53),
        ("int", -(2**63), -(2**63)),
        ("number", 5, 5.0),
        ("number", -0.1, -0.1),
        ("bool", False, False),
        ("uuid", numbered(7), uuid.UUID(int=7)),
        ("uuid", uuid.UUID(int=0xABC).hex.upper(), uuid.UUID(int=0xABC)),
        ("texts", ["a", ""], ["a", ""]),
        ("texts", [], []),
        ("ints", [1, 2**53 + 1], [1, 2**53]),
        ("ints", [1.0], [1]),
        ("ints", [], []),
        ("numbers", [1, 2], [1.0, 2.0]),
        ("numbers", [1.5], [1.5]),
        ("bools", [True, False], [True, False]),
        ("uuids", [numbered(7)], [uuid.UUID(int=7)]),
        ("object", {"Key": "x", "n": 3}, {"Key": "x", "n": 3}),
        ("object", {"Key": None, "n": 3}, {"Key": None, "n": 3}),
        ("object", {}, {}),
        ("objects", [{"n": 1}, {}], [{"n": 1}, {}]),
        ("objects", [], []),
    ],
)
def test_a_value_comes_back_as_its_type_keeps_it(rich: Any, name: str, given: Any, found: Any) -> None:
    back = stored(rich, {name: given})
    assert back == {name: found}
    assert type(back[name]) is type(found)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("2020-01-01T10:00:00+02:00", "2020-01-01T10:00:00+02:00"),
        ("2020-01-01T00:00:00.123456789Z", "2020-01-01T00:00:00.123456789Z"),
        ("2020-01-01T00:00:00.1200Z", "2020-01-01T00:00:00.12Z"),
        ("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("2020-01-01T1:00:00,5Z", "2020-01-01T01:00:00.5Z"),
    ],
)
def test_a_date_keeps_its_zone_and_nanoseconds(rich: Any, raw_properties: Any, given: str, found: str) -> None:
    rich.data.insert_many([DataObject(properties={"date": given, "dates": [given]}, uuid=numbered(1))])
    fields = raw_properties(rich.name)
    assert fields["date"].date_value == found
    assert list(fields["dates"].list_value.date_values.values) == [found]


def test_coordinates_are_kept_in_single_precision(rich: Any, raw_properties: Any) -> None:
    stored(rich, {"geo": GeoCoordinate(latitude=1.5, longitude=2.1)})
    found = raw_properties(rich.name)["geo"].geo_value
    assert (found.latitude, found.longitude) == (1.5, float(np.float32(2.1)))


def test_null_and_absent_are_the_same(rich: Any) -> None:
    assert stored(rich, {"text": None, "undeclared": None}) == {}


def test_the_first_letter_of_a_property_is_made_small_but_not_of_a_nested_one(rich: Any) -> None:
    assert stored(rich, {"Text": "a", "object": {"Key": "x"}}) == {"text": "a", "object": {"Key": "x"}}
    rich.data.delete_by_id(numbered(1))
    assert "unknown property" in refusal(rich, {"object": {"key": "x"}})


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"int": 1.5}, "requires an integer"),
        ({"int": True}, "requires an integer"),
        ({"int": "5"}, "requires an integer"),
        ({"int": 2**63 - 1}, "requires an integer"),
        ({"ints": [1.5]}, "ints"),
        ({"number": "5"}, "requires a float"),
        ({"number": True}, "requires a float"),
        ({"number": math.nan}, "requires a float"),
        ({"number": math.inf}, "requires a float"),
        ({"numbers": [math.nan]}, "NaN"),
        ({"bool": 1}, "not a bool"),
        ({"text": 5}, "not a string"),
        ({"text": ["a"]}, "not a string"),
        ({"text": []}, "not a string"),
        ({"texts": "a"}, "texts"),
        ({"texts": [None]}, "texts"),
        ({"date": "2020-01-01"}, "RFC3339"),
        ({"date": "2020-01-01T00:00:00"}, "RFC3339"),
        ({"date": "2020-01-01 00:00:00Z"}, "RFC3339"),
        ({"date": "2020-13-01T00:00:00Z"}, "RFC3339"),
        ({"date": "2016-12-31T23:59:60Z"}, "RFC3339"),
        ({"uuid": "x"}, "uuid"),
        ({"blob": "%%"}, "base64"),
        ({"geo": {"latitude": 1.0}}, "longitude"),
        ({"object": {"zz": 1}}, "unknown property 'object.zz'"),
        ({"object": {"n": "x"}}, "requires an integer"),
        ({"object": "x"}, "must be a map"),
        ({"undeclared": 1}, "no such prop"),
        ({"undeclared": []}, "no such prop"),
    ],
)
def test_one_wrong_object_is_refused_alone(rich: Any, properties: dict[str, Any], message: str) -> None:
    assert message in refusal(rich, properties)


def test_a_vector_of_another_length_is_refused_alone(rich: Any) -> None:
    rich.data.insert_many([DataObject(properties={}, uuid=numbered(5), vector=[1.0, 2.0])])
    assert "vector dimensions do not match" in refusal(rich, {}, [1.0, 2.0, 3.0])


def test_a_vector_of_an_unknown_name_is_refused(rich: Any) -> None:
    assert "does not have configuration for vector zz" in refusal(rich, {}, {"zz": [1.0]})


def test_a_vector_that_is_not_finite_is_accepted(rich: Any) -> None:
    rich.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[math.nan, math.inf])])
    found = rich.query.fetch_object_by_id(numbered(1), include_vector=True).vector["default"]
    assert math.isnan(found[0])
    assert found[1] == math.inf


def test_an_object_without_a_vector_is_accepted(rich: Any) -> None:
    rich.data.insert_many([DataObject(properties={}, uuid=numbered(1))])
    assert rich.query.fetch_object_by_id(numbered(1), include_vector=True).vector == {}
    assert len(rich) == 1


def test_a_write_replaces_the_whole_object(rich: Any) -> None:
    stored(rich, {"text": "a", "int": 1})
    assert stored(rich, {"int": 2}) == {"int": 2}
    assert len(rich) == 1


def test_of_one_id_twice_in_a_batch_the_last_counts(rich: Any) -> None:
    twice = [DataObject(properties={"int": n}, uuid=numbered(1), vector=[1.0, 2.0]) for n in (1, 2)]
    assert len(rich.data.insert_many(twice).uuids) == 2
    assert len(rich) == 1
    assert rich.query.fetch_object_by_id(numbered(1)).properties["int"] == 2


def test_an_object_written_with_its_id_in_capitals_is_listed_but_not_found_by_a_filter(rich: Any) -> None:
    id = str(uuid.UUID(int=0xABC))
    rich.data.insert_many([DataObject(properties={}, uuid=id.upper(), vector=[1.0, 2.0])])
    assert [str(o.uuid) for o in rich.query.fetch_objects().objects] == [id]
    assert rich.data.exists(id)
    assert rich.query.fetch_object_by_id(id) is None
    rich.data.insert_many([DataObject(properties={}, uuid=id, vector=[1.0, 2.0])])
    assert rich.query.fetch_object_by_id(id) is None
    assert len(rich) == 1


def test_all_wrong_is_an_exception_of_the_client(rich: Any) -> None:
    with pytest.raises(WeaviateInsertManyAllFailedError, match="no such prop"):
        rich.data.insert_many([DataObject(properties={"zz": 1}, uuid=numbered(1))])


def test_a_blob_is_returned_only_by_name(rich: Any) -> None:
    assert stored(rich, {"blob": "aGVsbG8=", "text": "a"}) == {"text": "a"}
    found = rich.query.fetch_object_by_id(numbered(1), return_properties=["blob"])
    assert found.properties == {"blob": "aGVsbG8="}


def test_only_the_properties_named_are_returned(rich: Any) -> None:
    stored(rich, {"text": "a", "int": 1})
    assert rich.query.fetch_object_by_id(numbered(1), return_properties=["int"]).properties == {"int": 1}


def test_an_object_written_again_is_as_if_it_were_new(rich: Any) -> None:
    stored(rich, {})
    first = rich.query.fetch_objects(return_metadata=MetadataQuery.full()).objects[0].metadata
    time.sleep(0.01)
    stored(rich, {})
    second = rich.query.fetch_objects(return_metadata=MetadataQuery.full()).objects[0].metadata
    assert first.creation_time == first.last_update_time < second.creation_time == second.last_update_time


def test_named_vectors_are_stored_by_their_names(make_collection: MakeCollection) -> None:
    names = ["a", "b"]
    two = make_collection(vector_config=[Configure.Vectors.self_provided(name=name) for name in names])
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties={}, uuid=numbered(1), vector={"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}),
        DataObject(properties={}, uuid=numbered(2), vector={"b": [4.0, 5.0, 6.0]}),
        DataObject(properties={}, uuid=numbered(3), vector=[1.0, 2.0]),
    ]
    result = two.data.insert_many(objects)
    assert "does not have single vector index" in result.errors[2].message
    found = {o.uuid.int: o.vector for o in two.query.fetch_objects(include_vector=True).objects}
    assert found == {1: {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}, 2: {"b": [4.0, 5.0, 6.0]}}
    only = two.query.fetch_objects(include_vector=["a"]).objects
    assert [o.vector for o in only] == [{"a": [1.0, 2.0]}, {}]


def test_vectors_of_vectors_come_back(make_collection: MakeCollection) -> None:
    late = make_collection(vector_config=Configure.MultiVectors.self_provided(name="late"))
    late.data.insert_many(
        [DataObject(properties={}, uuid=numbered(1), vector={"late": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]})]
    )
    found = late.query.fetch_object_by_id(numbered(1), include_vector=True).vector
    assert found == {"late": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}


def test_the_legacy_vector_is_called_default_by_the_client(make_collection: MakeCollection) -> None:
    legacy = make_collection(raw={"vectorizer": "none"})
    legacy.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[1.0, 2.0])])
    assert legacy.query.fetch_object_by_id(numbered(1), include_vector=True).vector == {"default": [1.0, 2.0]}
    found = legacy.query.near_vector([1.0, 2.0], return_metadata=MetadataQuery(distance=True)).objects
    assert [o.uuid.int for o in found] == [1]


def test_a_property_added_later_is_null_in_what_was_there(make_collection: MakeCollection) -> None:
    films = make_collection(properties=[Property(name="a", data_type=DataType.TEXT, tokenization=Tokenization.FIELD)])
    films.data.insert_many([DataObject(properties={"a": "x"}, uuid=numbered(1))])
    assert films.query.fetch_object_by_id(numbered(1)).properties == {"a": "x"}
    films.config.add_property(Property(name="b", data_type=DataType.INT))
    assert films.query.fetch_object_by_id(numbered(1)).properties == {"a": "x", "b": None}


def test_a_vector_of_more_dimensions_than_fit_in_16_bits_is_refused(make_collection: MakeCollection) -> None:
    flat = make_collection(
        vector_config=Configure.Vectors.self_provided(vector_index_config=Configure.VectorIndex.flat())
    )
    objects: list[DataObject[Any, Any]] = [
        DataObject(properties={}, uuid=numbered(size), vector=[1.0] * size) for size in (65_536, 65_535)
    ]
    result = flat.data.insert_many(objects)
    assert list(result.errors) == [0]
    assert "max length exceeded" in result.errors[0].message


def test_objects_are_written_one_by_one(rich: Any) -> None:
    rich.data.insert({"text": "a", "int": 2**53 + 1}, uuid=numbered(1), vector=[1.0, 2.0])
    with pytest.raises(UnexpectedStatusCodeError, match="already exists"):
        rich.data.insert({}, uuid=numbered(1), vector=[1.0, 2.0])
    rich.data.update(numbered(1), {"int": 5})
    found = rich.query.fetch_object_by_id(numbered(1), include_vector=True, return_properties=["text", "int"])
    assert (found.properties, found.vector) == ({"text": "a", "int": 5}, {"default": [1.0, 2.0]})
    rich.data.replace(numbered(1), {"int": 6})
    found = rich.query.fetch_object_by_id(numbered(1), include_vector=True, return_properties=["text", "int"])
    assert (found.properties, found.vector) == ({"text": None, "int": 6}, {})
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        rich.data.update(numbered(2), {"int": 5})
    with pytest.raises(UnexpectedStatusCodeError, match="no such prop"):
        rich.data.insert({"zz": 5}, uuid=numbered(2))
    assert [rich.data.delete_by_id(numbered(1)) for _ in range(2)] == [True, True]
    assert not rich.data.exists(numbered(1))


def test_the_clients_own_batches_are_stored(rich: Any) -> None:
    with rich.batch.fixed_size(10) as batch:
        for number in range(25):
            batch.add_object(properties={"int": number}, uuid=numbered(number), vector=[1.0, float(number)])
    assert rich.batch.failed_objects == []
    assert [found.properties["int"] for found in rich.iterator(cache_size=10)] == list(range(25))


def test_parts_of_a_nested_object_are_returned_by_name(rich: Any) -> None:
    stored(rich, {"object": {"Key": "x", "n": 1}})
    wanted = QueryNested(name="object", properties=["n"])
    assert rich.query.fetch_object_by_id(numbered(1), return_properties=[wanted]).properties == {"object": {"n": 1}}


def test_a_nested_name_with_a_capital_is_given_with_the_whole_object_alone(rich: Any) -> None:
    stored(rich, {"object": {"Key": "x", "n": 1}})
    wanted = QueryNested(name="object", properties=["Key", "n"])
    assert rich.query.fetch_object_by_id(numbered(1), return_properties=[wanted]).properties == {"object": {"n": 1}}
    whole = rich.query.fetch_object_by_id(numbered(1), return_properties=["object"])
    assert whole.properties == {"object": {"Key": "x", "n": 1}}
