import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from weaviate.classes.config import Configure, DataType, Property, Tokenization
from weaviate.classes.data import DataObject, GeoCoordinate
from weaviate.classes.query import Filter, Sort
from weaviate.exceptions import WeaviateQueryError

from tests.doubles.conftest import MakeCollection, numbered
from tests.weaviate_server import WeaviateServer, connected

NAME = "VecmigFilters"
TOKENIZATIONS = {
    "word": Tokenization.WORD,
    "field": Tokenization.FIELD,
    "lower": Tokenization.LOWERCASE,
    "white": Tokenization.WHITESPACE,
    "tri": Tokenization.TRIGRAM,
}
PROPERTIES = [
    *[Property(name=name, data_type=DataType.TEXT, tokenization=kind) for name, kind in TOKENIZATIONS.items()],
    Property(name="int", data_type=DataType.INT),
    Property(name="number", data_type=DataType.NUMBER),
    Property(name="bool", data_type=DataType.BOOL),
    Property(name="date", data_type=DataType.DATE),
    Property(name="uuid", data_type=DataType.UUID),
    Property(name="texts", data_type=DataType.TEXT_ARRAY, tokenization=Tokenization.FIELD),
    Property(name="ints", data_type=DataType.INT_ARRAY),
    Property(name="geo", data_type=DataType.GEO_COORDINATES),
    Property(name="plain", data_type=DataType.TEXT, index_filterable=False, index_searchable=False),
    Property(name="ranged", data_type=DataType.INT, index_filterable=False, index_range_filters=True),
    Property(name="object", data_type=DataType.OBJECT, nested_properties=[Property(name="k", data_type=DataType.INT)]),
]
LONG = "The quick Brown-fox"
YEAR = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
OBJECTS: list[dict[str, Any]] = [
    {
        **dict.fromkeys(TOKENIZATIONS, LONG),
        "int": 1,
        "number": 1.5,
        "bool": True,
        "date": "2020-01-01T00:00:00Z",
        "uuid": numbered(5),
        "texts": ["a", "b"],
        "ints": [1, 2],
        "geo": GeoCoordinate(latitude=1, longitude=1),
        "plain": "a",
        "ranged": 1,
        "object": {"k": 1},
    },
    {
        **dict.fromkeys(TOKENIZATIONS, "quick"),
        "int": 2,
        "number": 2.0,
        "bool": False,
        "date": "2021-01-01T02:00:00+02:00",
        "uuid": numbered(6),
        "texts": ["b"],
        "ints": [2],
        "geo": GeoCoordinate(latitude=50, longitude=1),
        "ranged": 2,
    },
    {},
    {"word": "", "field": "", "texts": [], "ints": []},
    {"field": " ", "date": "1600-01-01T00:00:00Z", "texts": [""]},
]


@pytest.fixture(scope="module")
def films(weaviate_server: WeaviateServer) -> Iterator[Any]:
    """Objects 1 to 5, of which the last three have hardly anything."""
    with connected(weaviate_server) as client:
        client.collections.delete(NAME)
        films = client.collections.create(
            NAME,
            properties=PROPERTIES,
            vector_config=Configure.Vectors.self_provided(),
            inverted_index_config=Configure.inverted_index(
                index_null_state=True, index_property_length=True, index_timestamps=True
            ),
        )
        objects: list[DataObject[Any, Any]] = [
            DataObject(properties=properties, uuid=numbered(number), vector=[float(number), 1.0])
            for number, properties in enumerate(OBJECTS, start=1)
        ]
        assert not films.data.insert_many(objects).errors
        yield films
        client.collections.delete(NAME)


def by(name: str, **options: Any) -> Any:
    return Filter.by_property(name, **options)


def matches(films: Any, wanted: Any) -> list[int]:
    """The numbers of the objects that match, in order: a filter promises none."""
    return sorted(found.uuid.int for found in films.query.fetch_objects(filters=wanted, limit=100).objects)


@pytest.mark.parametrize(
    ("name", "value", "numbers"),
    [
        ("word", "quick", [1, 2]),
        ("word", "QUICK", [1, 2]),
        ("word", "the quick brown fox", [1]),
        ("word", "Brown-fox", [1]),
        ("word", "uic", []),
        ("field", "quick", [2]),
        ("field", " quick ", [2]),
        ("field", "Quick", []),
        ("field", LONG, [1]),
        ("field", "", [4, 5]),
        ("field", "the", []),
        ("lower", "Quick", [1, 2]),
        ("lower", "brown", []),
        ("lower", "brown-fox", [1]),
        ("lower", "the", [1]),
        ("white", "Quick", []),
        ("white", "Brown-fox quick", [1]),
        ("tri", "uic", [1, 2]),
        ("tri", "the", [1]),
        ("int", 1, [1]),
        ("int", 1.0, [1]),
        ("number", 2, [2]),
        ("bool", True, [1]),
        ("date", YEAR, [2]),
        ("uuid", uuid.UUID(int=5), [1]),
        ("texts", "b", [1, 2]),
        ("texts", "", [5]),
        ("ints", 2, [1, 2]),
        ("ranged", 2, [2]),
    ],
)
def test_equality_is_of_tokens_and_of_any_in_a_list(films: Any, name: str, value: Any, numbers: list[int]) -> None:
    assert matches(films, by(name).equal(value)) == numbers


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (by("field").not_equal("quick"), [1, 3, 4, 5]),
        (by("int").not_equal(1), [2, 3, 4, 5]),
        (by("texts").not_equal("a"), [2, 3, 4, 5]),
        (by("ranged").not_equal(1), [2]),
        (by("int").less_than(2), [1]),
        (by("int").less_or_equal(2), [1, 2]),
        (by("number").greater_than(1.5), [2]),
        (by("number").greater_or_equal(2), [2]),
        (by("field").less_than("a"), [1, 4, 5]),
        (by("field").greater_than("Z"), [2]),
        (by("date").less_than(YEAR), [1]),
        (by("date").less_or_equal(YEAR), [1, 2]),
        (by("ints").less_than(2), [1]),
        (by("ranged").greater_or_equal(1), [1, 2]),
        (by("word").like("*ick"), [1, 2]),
        (by("field").like("The*"), [1]),
        (by("field").like("QU?CK"), []),
        (by("word").like("qu?ck"), [1, 2]),
        (by("texts").contains_any(["a", "zz"]), [1]),
        (by("texts").contains_all(["a", "b"]), [1]),
        (by("texts").contains_none(["a"]), [2, 3, 4, 5]),
        (by("word").contains_all(["quick", "Brown"]), [1]),
        (by("int").contains_any([1, 2]), [1, 2]),
        (by("uuid").contains_any([numbered(5), numbered(6)]), [1, 2]),
        (by("date").contains_any([YEAR]), [2]),
        (by("geo").within_geo_range(GeoCoordinate(latitude=1, longitude=1.001), 1000), [1]),
        (by("int").equal(1) & by("bool").equal(True), [1]),
        (by("int").equal(1) | by("int").equal(2), [1, 2]),
        (Filter.not_(by("int").equal(1)), [2, 3, 4, 5]),
        (Filter.by_id().equal(numbered(2)), [2]),
        (Filter.by_id().not_equal(numbered(2)), [1, 3, 4, 5]),
        (Filter.by_id().contains_any([numbered(3), numbered(1), numbered(99)]), [1, 3]),
        (Filter.by_creation_time().greater_than(YEAR), [1, 2, 3, 4, 5]),
        (Filter.by_update_time().less_than(YEAR), []),
    ],
)
def test_an_operator_selects(films: Any, wanted: Any, numbers: list[int]) -> None:
    assert matches(films, wanted) == numbers


@pytest.mark.parametrize(
    ("name", "present"), [("word", [1, 2]), ("field", [1, 2, 5]), ("texts", [1, 2, 5]), ("ints", [1, 2])]
)
def test_what_is_empty_is_null_to_a_filter_and_has_no_length(films: Any, name: str, present: list[int]) -> None:
    absent = [number for number in range(1, 6) if number not in present]
    assert matches(films, by(name).is_none(False)) == present
    assert matches(films, by(name).is_none(True)) == absent
    assert matches(films, by(name, length=True).equal(0)) == absent


def test_a_time_before_1677_is_after_those_that_follow(films: Any) -> None:
    assert matches(films, by("date").greater_than(YEAR)) == [5]
    assert matches(films, by("date").equal(YEAR.replace(year=1600))) == [5]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (by("word").equal("the"), "only stopwords provided"),
        (by("word").equal(""), "only stopwords provided"),
        (by("int").equal(1.5), "floating point"),
        (by("int").equal("x"), "could not parse string 'x'"),
        (by("int").equal(True), "expected value to be int"),
        (by("word").equal(1), "expected value to be string"),
        (by("bool").equal(1), "expected value to be bool"),
        (by("date").equal("2021"), "RFC3339"),
        (by("uuid").equal("x"), "invalid UUID"),
        (by("uuid").like("0*"), "cannot be used on uuid"),
        (by("plain").equal("a"), "requires inverted index"),
        (by("object.k").equal(1), "preview feature"),
        (by("zz").equal(1), "no such prop"),
    ],
)
def test_a_filter_that_cannot_be_answered_is_an_error(films: Any, wanted: Any, message: str) -> None:
    with pytest.raises(WeaviateQueryError, match=message):
        matches(films, wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (by("text").is_none(True), "Nullstate must be indexed"),
        (by("text", length=True).equal(1), "length must be indexed"),
        (Filter.by_creation_time().greater_than(YEAR), "Timestamps must be indexed"),
    ],
)
def test_nulls_lengths_and_times_are_filtered_only_where_they_are_indexed(
    make_collection: MakeCollection, wanted: Any, message: str
) -> None:
    bare = make_collection(properties=[Property(name="text", data_type=DataType.TEXT)])
    bare.data.insert_many([DataObject(properties={"text": "x"}, uuid=numbered(1), vector=[1.0])])
    with pytest.raises(WeaviateQueryError, match=message):
        matches(bare, wanted)


def test_what_matches_is_counted(films: Any) -> None:
    assert films.aggregate.over_all(total_count=True, filters=by("texts").equal("b")).total_count == 2
    assert len(films) == 5


def test_objects_are_fetched_by_their_ids(films: Any) -> None:
    found = films.query.fetch_objects_by_ids([numbered(number) for number in (4, 1, 99, 4)]).objects
    assert sorted(o.uuid.int for o in found) == [1, 4]


def test_objects_are_sorted(films: Any) -> None:
    found = films.query.fetch_objects(sort=Sort.by_property("int", ascending=False), limit=2).objects
    assert [o.uuid.int for o in found] == [2, 1]


def test_what_matches_is_deleted(make_collection: MakeCollection) -> None:
    some = make_collection(properties=[Property(name="int", data_type=DataType.INT)])
    some.data.insert_many(
        [DataObject(properties={"int": n % 2}, uuid=numbered(n), vector=[1.0, 2.0]) for n in range(6)]
    )
    tried = some.data.delete_many(by("int").equal(1), dry_run=True, verbose=True)
    assert (tried.matches, sorted(o.uuid.int for o in tried.objects)) == (3, [1, 3, 5])
    assert len(some) == 6
    result = some.data.delete_many(by("int").equal(1))
    assert (result.matches, result.successful, result.failed) == (3, 3, 0)
    assert some.data.delete_many(Filter.by_id().contains_any([numbered(2), numbered(3)])).matches == 1
    assert [o.uuid.int for o in some.query.fetch_objects().objects] == [0, 4]
