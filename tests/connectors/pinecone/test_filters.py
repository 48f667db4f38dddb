"""A filter means in Pinecone what it means in memory, or is refused."""

from datetime import datetime
from typing import Any as Anything

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import PLAIN, TRANSPORTS, batch
from tests.doubles.pinecone import Double, Index
from tests.doubles.pinecone.checks import clean
from tests.doubles.pinecone.filters import compile
from tests.doubles.pinecone.limits import Limits
from vecmig.connectors.pinecone.records.filters import condition
from vecmig.connectors.pinecone.records.metadata import Encoding
from vecmig.errors import UnsupportedError
from vecmig.model.collection import Collection, Field
from vecmig.model.filter import All, Any, Compare, Filter, Not, matches, parse
from vecmig.model.metadata import dumps
from vecmig.protocols import Search

ENCODING = Encoding(frozenset({"at"}))
TEXTS = st.sampled_from(["", "a", "b", "é", "1", "true", "$a"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -0.0, 1.0, 2.0**53, 1e300]))
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
TIMES = st.datetimes(datetime(1700, 1, 1), datetime(2240, 1, 1))  # farther away a double holds no microseconds
FIELDS = st.sampled_from(["a", "b", "$a", "vecmig_json"])
RECORDS = st.dictionaries(FIELDS, st.one_of(SCALARS, st.none(), st.lists(TEXTS, min_size=1, max_size=3)))
COMPARISONS = st.one_of(
    st.builds(Compare, FIELDS, st.sampled_from(["eq", "ne"]), SCALARS),
    st.builds(Compare, FIELDS, st.sampled_from(["gt", "gte", "lt", "lte"]), NUMBERS),
    st.builds(Compare, FIELDS, st.just("exists"), st.booleans()),
    st.builds(Compare, FIELDS, st.just("in"), st.lists(SCALARS, min_size=1, max_size=3).map(tuple)),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)


def passes(filter: Filter, metadata: dict[str, Anything]) -> bool:
    """Return whether the double lets a record through."""
    kept = clean(ENCODING.written(dumps(metadata)), Limits(), Index("docs", {})) or {}
    return compile(condition(ENCODING, filter))(kept)


@given(FILTERS, RECORDS)
def test_a_record_passes_in_pinecone_where_it_passes_in_memory(filter: Filter, metadata: dict[str, Anything]) -> None:
    try:
        found = passes(filter, metadata)
    except UnsupportedError:
        return
    assert found == matches(filter, metadata)


@given(TIMES, TIMES, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]))
@example(datetime(1833, 1, 1, 0, 0, 0, 89), datetime(1833, 1, 1, 0, 0, 0, 89), "eq")  # a product of doubles is a µs off
def test_times_of_declared_fields_compare_as_times(one: Anything, other: Anything, operator: Anything) -> None:
    filter = Compare("at", operator, other.isoformat())
    metadata = {"at": one.isoformat() + "Z"}
    assert passes(filter, metadata) == matches(filter, metadata)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"a": {"gt": "b"}}, "ranges of numbers only .*`fields` declares `a` as datetime"),
        ({"a": {"lt": True}}, "ranges of numbers only"),
        ({"not": {"a": {"gt": 1}}}, "cannot negate a range .*say the opposite range"),
        ({"a": 2**53 + 1}, "keeps numbers as doubles"),
        ({"a": {"in": [1, -(2**60)]}}, "keeps numbers as doubles"),
    ],
)
def test_what_pinecone_cannot_say_is_refused_with_a_way_out(document: object, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        condition(ENCODING, parse(document))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_search_with_a_filter_finds_what_an_exact_one_does(double: Double, connect: Connect, transport: str) -> None:
    connector = connect("docs", transport=transport)
    connector.create(Collection("docs", PLAIN.vectors, (Field("at", "datetime"),), "vecmig:test"))
    rows = [
        {
            "id": f"{n}",
            "vector:": [1, n, 0],
            "metadata": {"n": n, "at": f"2024-01-{n + 1:02}T00:00:00Z", "$t": ["x"] * (n % 3)},
        }
        for n in range(20)
    ]
    sent = batch(rows)
    assert not connector.upsert("docs", sent)
    for document in (
        {"n": {"gte": 5, "lt": 9}},
        {"at": {"gt": "2024-01-12"}},
        {"$t": "x", "n": {"in": [1, 2, 3]}},
        {"not": {"any": [{"n": 3}, {"$t": "x"}]}},
    ):
        some = [
            connector.search("docs", Search(sent.vectors("")[:2], 5, filter=parse(document), exact=exact))
            for exact in (True, False)
        ]
        assert [each.keys for each in some[0]] == [each.keys for each in some[1]]
        assert some[0][0].keys
