from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecmig.model.filter import describe, fields_of, matches, parse

ACME = {"tenant": "acme", "page": 7, "share": 0.5, "live": True, "tags": ["a", "b"], "none": None,
        "created": "2026-01-02T00:00:00Z", "big": Decimal("9223372036854775808")}  # fmt: skip


@pytest.mark.parametrize(
    ("document", "passes"),
    [
        ({"tenant": "acme"}, True),
        ({"tenant": "other"}, False),
        ({"page": 7.0}, True),
        ({"page": "7"}, False),
        ({"live": True}, True),
        ({"live": 1}, False),
        ({"page": True}, False),
        ({"page": {"gt": 6, "lte": 7}}, True),
        ({"page": {"gt": 7}}, False),
        ({"page": {"lt": 8, "gte": 8}}, False),
        ({"page": {"gt": "6"}}, False),
        ({"share": {"in": [1, 0.5]}}, True),
        ({"big": {"gt": 2**62}}, True),
        ({"tags": "b"}, True),
        ({"tags": {"in": ["c", "a"]}}, True),
        ({"tags": "c"}, False),
        ({"tenant": {"ne": "other"}}, True),
        ({"missing": {"ne": "other"}}, True),
        ({"missing": "x"}, False),
        ({"missing": {"exists": False}}, True),
        ({"none": {"exists": False}}, True),
        ({"tags": {"exists": True}}, True),
        ({"created": {"gte": "2026-01-02"}}, True),
        ({"created": {"gt": "2026-01-02T00:30:00+01:00"}}, True),
        ({"created": {"gt": "2026-01-02T00:00:00.5Z"}}, False),
        ({"tenant": {"gt": "a", "lt": "b"}}, True),
        ({"all": [{"tenant": "acme"}, {"page": 7}]}, True),
        ({"any": [{"tenant": "x"}, {"page": 7}]}, True),
        ({"any": [{"tenant": "x"}, {"page": 8}]}, False),
        ({"not": {"tenant": "acme"}}, False),
        ({"tenant": "acme", "not": {"page": 8}}, True),
    ],
)
def test_what_passes(document: dict[str, Any], passes: bool) -> None:
    assert matches(parse(document), ACME) is passes


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "a filter is a mapping"),
        ([], "a filter is a mapping"),
        ({"a": {"like": "x"}}, "`like` is no comparison"),
        ({"a": {}}, "no comparison"),
        ({"a": [1]}, "compared with"),
        ({"a": None}, "compared with"),
        ({"a": {"in": 1}}, "list of values"),
        ({"a": {"in": []}}, "list of values"),
        ({"a": {"exists": 1}}, "true or false"),
        ({"any": []}, "list of filters"),
        ({"all": {"a": 1}}, "list of filters"),
        ({"not": [{"a": 1}]}, "a filter is a mapping"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(document)


def test_a_filter_names_its_fields_and_reads_as_one_line() -> None:
    filter = parse({"tenant": "acme", "any": [{"page": {"gt": 1}}, {"not": {"tags": {"in": ["a", "b"]}}}]})
    assert fields_of(filter) == {"tenant", "page", "tags"}
    assert describe(filter) == "tenant = acme and (page > 1 or not (tags in a, b))"


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_a_filter_and_its_negation_never_agree(metadata: dict[str, Any]) -> None:
    for operator in ("eq", "ne", "gt", "gte", "lt", "lte"):
        filter, negated = parse({"a": {operator: 3}}), parse({"not": {"a": {operator: 3}}})
        assert matches(filter, metadata) is not matches(negated, metadata)
