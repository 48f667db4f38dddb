"""A filter means in Weaviate what it means in memory, or is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any as Anything

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.weaviate.places import batch, make, opened
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.records.filters import message
from vecmig.connectors.weaviate.schema.parameters import Inverted
from vecmig.errors import UnsupportedError
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.filter import All, Any, Compare, Filter, Not, Operator, matches, parse
from vecmig.protocols import Search

VECTORS = (VectorField("", 2, "cosine"),)
TYPES = {
    "lang": "text",
    "count": "int",
    "price": "float",
    "new": "bool",
    "at": "datetime",
    "tags": "text[]",
    "counts": "int[]",
    "prices": "float[]",
    "news": "bool[]",
    "seen": "datetime[]",
}
VALUES: dict[str, list[Anything]] = {
    "text": ["", "a", "b", "Ab", "the", "a b", "é", "ÿ", "🎈", "1", "true", "[x]", "*", "a\0b"],
    "int": [0, 1, -1, 2, 7, 2**53, -(2**53)],
    "float": [0.0, -0.0, 0.5, -2.5, 1.0, 5e-324, 1e300, -1e300],
    "bool": [True, False],
    "datetime": [
        "2024-02-29T12:00:00Z",
        "2024-02-29T12:00:00.000001Z",
        "2024-02-29T12:00:00.500000Z",
        "2024-02-29T14:00:00+02:00",
        "1969-12-31T23:59:59Z",
        "1700-01-01T00:00:00Z",
        "2240-01-01T00:00:00Z",
    ],
}
NAMESPACES = ("de", "en")
ROWS = 40  # of each namespace


def value(field: str, n: int) -> Anything:
    """Return the value of a field in record n; there is none in every fourth."""
    random = np.random.default_rng((n, *field.encode()))
    some = VALUES[TYPES[field].removesuffix("[]")]
    if random.integers(4) == 0:
        return None
    if TYPES[field].endswith("[]"):
        return [some[n] for n in random.integers(len(some), size=random.integers(4))]
    return some[random.integers(len(some))]


def metadata(n: int) -> dict[str, Anything]:
    """Return the metadata of record n; a field without a value is null, or not there."""
    found = {field: value(field, n) for field in TYPES}
    return {field: each for field, each in found.items() if each is not None or n % 2} | {"Title": f"t{n % 3}"}


RECORDS = {
    namespace: {f"r{n}": metadata(n) for n in range(ROWS * number, ROWS * (number + 1))}
    for number, namespace in enumerate(NAMESPACES)
}


@pytest.fixture(scope="module")
def store(weaviate_server: WeaviateServer) -> Iterator[WeaviateConnector]:
    fields = (*(Field(name, type, filter=True) for name, type in TYPES.items()), Field("Title", "text", filter=True))  # type: ignore[arg-type]
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        connector.create(
            connector.options.complete(Collection(name, VECTORS, fields, mark="vecmig:test", namespaced=True))
        )
        rows = [
            {"id": id, "namespace": namespace, "vector:": [1.0, n / 9], "metadata": each}
            for namespace, some in RECORDS.items()
            for n, (id, each) in enumerate(some.items())
        ]
        assert not connector.upsert(name, batch(rows, VECTORS))
        yield connector


def found(store: WeaviateConnector, namespace: str, filter: Filter) -> set[str]:
    """Return the ids of the records that pass."""
    search = Search(np.array([[1, 0]], np.float32), 2 * ROWS, namespace=namespace, filter=filter)
    (hits,) = store.search(store.options.collection, search)
    return {key.id for key in hits.keys}


def expected(namespace: str, filter: Filter) -> set[str]:
    return {id for id, each in RECORDS[namespace].items() if matches(filter, each)}


OPERANDS = {
    "text": st.sampled_from([*VALUES["text"], "zz"]),
    "int": st.one_of(st.sampled_from(VALUES["int"]), st.integers(-3, 9), st.sampled_from([0.5, -1.5, 1.0])),
    "float": st.one_of(st.sampled_from(VALUES["float"]), st.integers(-3, 3)),
    "bool": st.booleans(),
    "datetime": st.one_of(
        st.sampled_from([*VALUES["datetime"], "2024-02-29", "2024-02-29T12:00:00", "2024-02-29T06:30:00-05:30"]),
        st.datetimes(datetime(1700, 1, 1), datetime(2240, 1, 1)).map(datetime.isoformat),
    ),
}
RANGES: st.SearchStrategy[Operator] = st.sampled_from(["gt", "gte", "lt", "lte"])


@st.composite
def comparison(draw: st.DrawFn) -> Compare:
    field = draw(st.sampled_from(sorted(TYPES)))
    of_its_type = OPERANDS[TYPES[field].removesuffix("[]")]
    operands = draw(st.sampled_from([of_its_type] * 9 + [st.one_of(*OPERANDS.values())]))
    kind = draw(st.sampled_from(["eq", "ne", "in", "exists", "range", "range"]))
    match kind:
        case "exists":
            return Compare(field, "exists", draw(st.booleans()))
        case "in":
            return Compare(field, "in", tuple(draw(st.lists(operands, min_size=1, max_size=3))))
        case "range":
            return Compare(field, draw(RANGES), draw(operands))
    return Compare(field, kind, draw(operands))  # type: ignore[arg-type]


FILTERS = st.recursive(
    comparison(),
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(filter=FILTERS)
def test_a_record_passes_in_weaviate_where_it_passes_in_memory(store: WeaviateConnector, filter: Filter) -> None:
    for namespace in NAMESPACES:
        try:
            ids = found(store, namespace, filter)
        except UnsupportedError:
            return
        assert ids == expected(namespace, filter)


@pytest.mark.parametrize("field", sorted(TYPES))
@pytest.mark.parametrize("operator", ["eq", "ne", "gt", "gte", "lt", "lte"])
@pytest.mark.parametrize("negated", [False, True])
def test_every_type_is_compared_in_each_tenant(
    store: WeaviateConnector, field: str, operator: Anything, negated: bool
) -> None:
    for operand in VALUES[TYPES[field].removesuffix("[]")][1:6]:
        compare = Compare(field, operator, operand)
        filter = Not(compare) if negated else compare
        for namespace in NAMESPACES:
            assert found(store, namespace, filter) == expected(namespace, filter), filter


@pytest.mark.parametrize(
    "document",
    [
        {"lang": {"in": ["a", "é", ""]}},
        {"not": {"lang": {"in": ["a", "é", ""]}}},
        {"tags": {"in": ["a", "🎈"]}},
        {"not": {"counts": {"in": [0, 7]}}},
        {"lang": {"exists": True}},
        {"lang": {"exists": False}},
        {"not": {"lang": {"exists": True}}},
        {"count": {"exists": True}, "new": {"exists": False}},
        {"at": {"exists": False}},
        {"Title": "t1"},
        {"not": {"any": [{"lang": "a"}, {"count": {"gt": 0}}, {"not": {"new": True}}]}},
        {"not": {"all": [{"lang": {"ne": "a"}}, {"at": {"lt": "2024-02-29"}}]}},
        {"count": {"gt": 0.5, "lte": 1.5}},
        {"price": {"lt": 1}},
        {"at": {"gte": "2024-02-29", "lt": "2024-03-01"}},
    ],
    ids=str,
)
def test_what_is_said_with_and_or_and_not_means_the_same(store: WeaviateConnector, document: object) -> None:
    filter = parse(document)
    results = [found(store, namespace, filter) for namespace in NAMESPACES]
    assert results == [expected(namespace, filter) for namespace in NAMESPACES]
    assert 0 < sum(map(len, results)) < 2 * ROWS, "a filter that passes none or all shows nothing"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"unknown": 1}, "no property that Weaviate filters by .*`filter: true`"),
        ({"count": "one"}, "property `count` is int, which is not compared so"),
        ({"count": True}, "is int, which is not compared so"),
        ({"new": 1}, "is boolean, which is not compared so"),
        ({"lang": 1}, "is text, which is not compared so"),
        ({"at": "yesterday"}, "is date, which is not compared so"),
        ({"count": 1.5}, "holds integers, so none is equal to 1.5"),
        ({"count": 2**53 + 1}, "keeps numbers as doubles"),
        ({"price": {"lt": -(2**60)}}, "keeps numbers as doubles"),
        ({"price": {"lt": float("inf")}}, "keeps numbers as doubles"),
        ({"lang": " a"}, "without the white space around them"),
        ({"lang": {"gt": "2024-01-01"}}, "texts are not compared as times .*declare `lang` as datetime"),
        ({"at": {"gt": "1600-01-01"}}, "times from 1677 to 2262 only"),
        ({"at": {"lt": "0001-01-01T00:00:00+05:00"}}, "times from 1677 to 2262 only"),
        ({"tags": {"exists": True}}, "takes an empty list for an absent one"),
        ({"not": {"counts": {"exists": False}}}, "takes an empty list for an absent one"),
    ],
    ids=str,
)
def test_what_weaviate_cannot_say_is_refused_with_the_reason(
    store: WeaviateConnector, document: object, words: str
) -> None:
    with pytest.raises(UnsupportedError, match=words):
        found(store, "de", parse(document))


def test_a_server_that_cannot_negate_is_asked_for_opposites(store: WeaviateConnector) -> None:
    layout = store._open(store.options.collection).layout
    message(layout, (1, 32, 0), parse({"not": {"lang": {"in": ["a"]}, "count": {"exists": True}}}))
    with pytest.raises(UnsupportedError, match=r"negates a range .* from version 1.33 on: say the opposite range"):
        message(layout, (1, 32, 0), parse({"not": {"count": {"gt": 1}}}))


def test_absence_is_not_asked_for_where_the_collection_has_no_index_of_it(weaviate_server: WeaviateServer) -> None:
    fields = (Field("lang", "text", filter=True),)
    with opened(weaviate_server, inverted_index=Inverted(null_state=False)) as connector:
        name = connector.options.collection
        connector.create(connector.options.complete(Collection(name, VECTORS, fields, mark="vecmig:test")))
        with pytest.raises(
            UnsupportedError, match=r"no index of what is absent .*`inverted_index: \{null_state: true\}`"
        ):
            found(connector, "", parse({"lang": {"exists": True}}))


def test_a_text_that_is_cut_into_words_is_not_filtered_by(weaviate_server: WeaviateServer) -> None:
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        make(
            weaviate_server,
            {
                "class": name,
                "vectorConfig": {"default": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}},
                "properties": [{"name": "body", "dataType": ["text"]}],
            },
        )
        with pytest.raises(UnsupportedError, match=r"cut into words \(tokenization word\), so a filter finds parts"):
            found(connector, "", parse({"body": "a"}))


def test_a_time_of_another_zone_is_the_same_moment(store: WeaviateConnector) -> None:
    moment = datetime(2024, 2, 29, 12, tzinfo=UTC)
    filter = Compare("at", "eq", moment.isoformat())
    for namespace in NAMESPACES:
        ids = found(store, namespace, filter)
        assert ids == expected(namespace, filter)
        assert {RECORDS[namespace][id]["at"] for id in ids} == {"2024-02-29T12:00:00Z", "2024-02-29T14:00:00+02:00"}
