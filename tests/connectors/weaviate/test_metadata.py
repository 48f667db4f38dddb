"""Each value stands where the plan says: in a property of its type, or as JSON; and it comes back as it was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from weaviate.classes.data import DataObject, GeoCoordinate

from tests.connectors.weaviate.places import batch, make, opened
from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.model.batch import Key
from vecmig.model.collection import Collection, Field, FieldType, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.metadata import loads

VECTORS = (VectorField("", 2, "cosine"),)
TYPES: tuple[FieldType, ...] = (
    "text",
    "int",
    "float",
    "bool",
    "datetime",
    "text[]",
    "int[]",
    "float[]",
    "bool[]",
    "datetime[]",
)
FIELDS = tuple(Field(each.replace("[]", "s"), each) for each in TYPES)
NULL = "null, which Weaviate drops,"
ROUNDED = "an integer over 2**53, which Weaviate would round,"
TIME = "a time that is not written as Weaviate writes it, such as one without a zone,"
UNTYPED = "an object, a mixed list, or what is of several types in several records"


@dataclass(frozen=True, slots=True)
class Case:
    field: str
    value: Any
    why: str = ""
    """Why it stands as JSON; empty: it has a property of its own."""


CASES = [
    Case("text", "grüße \0 🎈"),
    Case("text", ""),
    Case("text", "0b5e8a53-7a52-4c3e-8f0e-6f1d7a52c3e8"),
    Case("text", "2026-01-01T00:00:00Z"),
    Case("text", 7, "what is no text"),
    Case("text", None, NULL),
    Case("int", 7),
    Case("int", -(2**53)),
    Case("int", 2.0),
    Case("int", 2**53 + 1, ROUNDED),
    Case("int", -(2**63), ROUNDED),
    Case("int", 2.5, "what is no int"),
    Case("int", "7", "what is no int"),
    Case("int", True, "what is no int"),
    Case("float", 0.1),
    Case("float", 5e-324),
    Case("float", 3),
    Case("float", 2**53 + 1, ROUNDED),
    Case("float", "0.1", "what is no float"),
    Case("bool", False),
    Case("bool", 0, "what is no bool"),
    Case("datetime", "2026-01-01T00:00:00Z"),
    Case("datetime", "2026-01-01T00:00:00.120000+05:30"),
    Case("datetime", "0001-01-01T00:00:00Z"),
    Case("datetime", "2026-01-01T00:00:00.123456789Z"),
    Case("datetime", "2026-01-01T00:00:00", TIME),
    Case("datetime", "2026-01-01", TIME),
    Case("datetime", "2026-01-01T00:00:00.12Z", TIME),
    Case("datetime", "2026-02-30T00:00:00Z", TIME),
    Case("texts", ["a", "", "ü"]),
    Case("texts", []),
    Case("texts", ["a", 1], "what is no text[]"),
    Case("texts", ["a", None], "what is no text[]"),
    Case("texts", "a", "what is no text[]"),
    Case("ints", [1, -2, 2**53]),
    Case("ints", []),
    Case("ints", [1, 2**53 + 1], ROUNDED),
    Case("ints", [1, 2.5], "what is no int[]"),
    Case("floats", [1, 2.5, -0.0]),
    Case("bools", [True, False]),
    Case("bools", []),
    Case("datetimes", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.500000Z"]),
    Case("datetimes", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00"], TIME),
    Case("unknown", 1, UNTYPED),
    Case("unknown", [1, "x", None], UNTYPED),
    Case("unknown", {"a": {"b": [1.5, None]}}, UNTYPED),
    Case("unknown", [[1], []], UNTYPED),
    Case("vecmig_json", "{}", UNTYPED),
]


@pytest.fixture(scope="module")
def store(weaviate_server: WeaviateServer) -> Iterator[WeaviateConnector]:
    """A record for each case, whose id is its number."""
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        connector.create(connector.options.complete(Collection(name, VECTORS, FIELDS, "vecmig:test", namespaced=False)))
        rows = [
            {"id": str(n), "vector:": [1.0, n], "metadata": {case.field: case.value}} for n, case in enumerate(CASES)
        ]
        assert not connector.upsert(name, batch(rows, VECTORS))
        yield connector


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(CASES)), ids=[f"{case.field}-{case.value!r:.30}" for case in CASES]
)
def test_a_value_stands_where_the_plan_says_and_comes_back(
    weaviate_server: WeaviateServer, store: WeaviateConnector, number: int, case: Case
) -> None:
    name = store.options.collection
    one = batch([{"id": str(number), "vector:": [1.0, number], "metadata": {case.field: case.value}}], VECTORS)
    declared = store.options.complete(Collection(name, VECTORS, FIELDS, "vecmig:test", namespaced=False))
    said = [line for line in store.options.rewrites(declared, one) if "sampled ids" not in line]
    if case.why:
        assert said == [
            f"{case.why} (`{case.field}`) stands as JSON in the property `vecmig_json`, where no filter and no search"
            " finds it"
        ]
    else:
        assert not said
    with connected(weaviate_server) as client:
        found = client.collections.use(name).query.fetch_object_by_id(stored("", str(number)))
    assert found
    assert found.properties["vecmig_id"] == str(number)
    if case.why:
        assert found.properties.get(case.field) in (None, found.properties["vecmig_json"])
        assert loads(str(found.properties["vecmig_json"]).encode()) == {case.field: case.value}
    else:
        assert found.properties["vecmig_json"] is None
        assert found.properties[case.field] is not None
    assert digest_of(store.fetch(name, [Key("", str(number))])) == digest_of(one)


OPTIONS = WeaviateOptions("Kb")


def lines(
    rows: list[dict[str, Any]], *fields: Field, mark: str | None = "vecmig:test", tenants: bool = False
) -> list[str]:
    declared = OPTIONS.complete(Collection("Kb", VECTORS, fields, mark, namespaced=tenants))
    return list(OPTIONS.rewrites(declared, batch([{"vector:": [1.0, 2.0], **row} for row in rows], VECTORS)))


UUIDS = ["0b5e8a53-7a52-4c3e-8f0e-6f1d7a52c3e8", "0b5e8a53-7a52-4c3e-8f0e-6f1d7a52c3e9"]


def test_records_that_fit_are_said_nothing_of() -> None:
    rows = [{"id": id, "metadata": {"title": "a", "n": [1]}} for id in UUIDS]
    assert lines(rows, Field("title", "text"), Field("n", "int[]")) == []


def test_ids_names_and_tenants_of_another_form_are_each_said_with_what_an_application_finds() -> None:
    rows: list[dict[str, Any]] = [
        {"id": UUIDS[0], "namespace": "", "metadata": {"Title": "a", "title": "b", "id": "c"}},
        {"id": UUIDS[1].upper(), "namespace": "acme corp"},
        {"id": "x", "namespace": "plain"},
        {"id": "y", "namespace": "ü" * 60},
    ]
    ids, tenants, renamed = lines(rows, *(Field(name, "text") for name in ("Title", "title", "id")), tenants=True)
    assert ids.startswith("3 of 4 sampled ids are no UUIDs as Weaviate writes them")
    assert "stands in the property `vecmig_id`" in ids
    assert "namespace 'acme corp' is the tenant `vecmig-acme_20corp`" in tenants
    assert "plain" not in tenants
    assert "`Title` is the property `title_2`, `id` is the property `id_`" in renamed


def test_an_empty_list_in_a_field_that_is_filtered_by_is_said() -> None:
    (said,) = lines([{"id": UUIDS[0], "metadata": {"tags": []}}], Field("tags", "text[]", filter=True))
    assert said == "an empty list (`tags`) is kept, and a filter takes it for a value that is not there"


def test_what_an_adopted_collection_has_no_place_for_is_told_before_it_is_refused() -> None:
    (said,) = lines([{"id": UUIDS[0], "metadata": {"n": None, "ref": UUIDS[1]}}], Field("n", "int"), mark=None)
    assert said.startswith("null, which Weaviate drops, (`n`) has no place in this collection")
    assert "such records would be refused" in said


NESTED = [
    {"name": "Text", "dataType": ["text"]},
    {"name": "n", "dataType": ["int"]},
    {"name": "at", "dataType": ["date"]},
    {"name": "ids", "dataType": ["uuid[]"]},
    {"name": "inner", "dataType": ["object"], "nestedProperties": [{"name": "numbers", "dataType": ["number[]"]}]},
]
OF_OTHERS: dict[str, tuple[str, Any, Any]] = {
    "text": ("text", "ü", "ü"),
    "int": ("int", 2**53, 2**53),
    "number": ("number", 0.1, 0.1),
    "boolean": ("boolean", False, False),
    "date": ("date", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500000Z"),
    "uuid": ("uuid", UUID(UUIDS[0]), UUIDS[0]),
    "texts": ("text[]", ["a", ""], ["a", ""]),
    "ints": ("int[]", [1, -2], [1, -2]),
    "numbers": ("number[]", [1.5, 2.0], [1.5, 2.0]),
    "booleans": ("boolean[]", [True, False], [True, False]),
    "dates": ("date[]", ["2026-01-01T00:00:00+02:00"], ["2026-01-01T00:00:00+02:00"]),
    "uuids": ("uuid[]", [UUID(UUIDS[0])], [UUIDS[0]]),
    "blob": ("blob", "aGVsbG8=", "aGVsbG8="),
    "one": (
        "object",
        {"Text": "a", "n": 1, "at": "2026-01-01T00:00:00Z", "ids": [UUIDS[0]], "inner": {"numbers": [0.5]}},
        {"Text": "a", "n": 1, "at": "2026-01-01T00:00:00Z", "ids": [UUIDS[0]], "inner": {"numbers": [0.5]}},
    ),
    "many": (
        "object[]",
        [{"Text": "a"}, {"inner": {"numbers": [1.5]}}],
        [{"Text": "a"}, {"inner": {"numbers": [1.5]}}],
    ),
    "empty": ("text[]", [], []),
    "place": ("geoCoordinates", GeoCoordinate(latitude=52.5, longitude=13.4), {"latitude": 52.5, "longitude": 13.4}),
}


@pytest.fixture
def others(weaviate_server: WeaviateServer) -> Iterator[WeaviateConnector]:
    """A collection of others with a property of each type, and an object that has them all."""
    with opened(weaviate_server) as connector:
        properties = [
            {"name": name, "dataType": [type], **({"nestedProperties": NESTED} if type.startswith("object") else {})}
            for name, (type, _, _) in OF_OTHERS.items()
        ]
        name = connector.options.collection
        make(
            weaviate_server,
            {
                "class": name,
                "properties": properties,
                "vectorConfig": {"default": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}},
            },
        )
        with connected(weaviate_server) as client:
            added = client.collections.use(name).data.insert_many(
                [
                    DataObject(
                        uuid=UUIDS[0],
                        properties={name: given for name, (_, given, _) in OF_OTHERS.items()},
                        vector=[1.0, 2.0],
                    )
                ]
            )
            assert not added.errors
        yield connector


def test_every_type_of_a_collection_of_others_is_read(others: WeaviateConnector) -> None:
    found = others.fetch(others.options.collection, [Key("", UUIDS[0])])
    assert json.loads(found.strings("metadata")[0]) == {name: want for name, (_, _, want) in OF_OTHERS.items()}


def test_what_was_read_of_it_is_written_to_it_and_is_there_as_before(
    weaviate_server: WeaviateServer, others: WeaviateConnector
) -> None:
    """All but coordinates and telephone numbers, which a batch cannot say."""
    name = others.options.collection
    metadata = {name: want for name, (_, _, want) in OF_OTHERS.items() if name != "place"}
    new = batch([{"id": UUIDS[1], "vector:": [2.0, 1.0], "metadata": metadata}], VECTORS)
    assert not others.upsert(name, new)
    assert digest_of(others.fetch(name, [Key("", UUIDS[1])])) == digest_of(new)
    with connected(weaviate_server) as client:
        by_id = client.collections.use(name).query.fetch_object_by_id
        before, after = by_id(UUIDS[0]), by_id(UUIDS[1])
    assert before
    assert after
    assert {**before.properties, "place": None} == {**after.properties, "place": None}


@pytest.mark.parametrize(
    "metadata",
    [
        {"place": {"latitude": 1.0, "longitude": 2.0}},
        {"int": 2**53 + 1},
        {"text": None},
        {"nobody": 1},
        {"one": {"x": 1}},
    ],
    ids=str,
)
def test_what_an_adopted_collection_has_no_place_for_is_refused_by_the_name_of_the_field(
    others: WeaviateConnector, metadata: dict[str, Any]
) -> None:
    name = others.options.collection
    rows: list[dict[str, Any]] = [
        {"id": UUIDS[1], "vector:": [2.0, 1.0], "metadata": metadata},
        {"id": UUIDS[0], "vector:": [2.0, 1.0]},
        {"id": "no uuid", "vector:": [2.0, 1.0]},
    ]
    field, id = others.upsert(name, batch(rows, VECTORS))
    assert field.key == Key("", UUIDS[1])
    assert field.reason.startswith(f"field `{next(iter(metadata))}` fits no property of the collection")
    assert id.key == Key("", "no uuid")
    assert "its id is no UUID" in id.reason
    assert others.count(name) == {"": 1}


def test_a_property_that_got_a_value_since_is_read_and_not_the_null_of_before(weaviate_server: WeaviateServer) -> None:
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        connector.create(connector.options.complete(Collection(name, VECTORS, FIELDS, "vecmig:test", namespaced=False)))
        assert not connector.upsert(
            name, batch([{"id": "a", "vector:": [1.0, 2.0], "metadata": {"text": None}}], VECTORS)
        )
        with connected(weaviate_server) as client:
            client.collections.use(name).data.update(uuid=stored("", "a"), properties={"text": "an answer"})
        assert loads(connector.fetch(name, [Key("", "a")]).bytes_of("metadata")[0]) == {"text": "an answer"}
