"""Metadata of any shape goes in and comes out by value, within what Pinecone holds."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import PLAIN, TRANSPORTS, batch, pages, plant
from tests.doubles.pinecone import Double, Index
from tests.doubles.pinecone.checks import clean
from tests.doubles.pinecone.limits import Limits
from vecmig.connectors.pinecone.records.metadata import NOTED, Encoding
from vecmig.model.collection import Collection, Field
from vecmig.model.metadata import canonical, dumps

TIMES = frozenset({"at", "$at"})
ENCODING = Encoding(TIMES)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(2**63, 2**70).map(Decimal),
    st.integers(-(2**53) - 2, -(2**53) + 2),
    st.integers(2**53 - 2, 2**53 + 2),
    st.floats(allow_nan=False, allow_infinity=False),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
TIMES_OF_DAY = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, TIMES_OF_DAY),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
NAMES = st.one_of(
    TEXTS, st.sampled_from([NOTED, f"{NOTED}.a", f"{NOTED}.{NOTED}", "$a", "at", "$at", "", f"{NOTED}.$a"])
)


def came_back(text: bytes, encoding: Encoding) -> bytes:
    """Return what is read of it, after the double kept it: no null, numbers as doubles."""
    kept = clean(encoding.written(text), Limits(), Index("docs", {}))
    return encoding.read(kept or {})


@given(st.dictionaries(NAMES, VALUES, max_size=6))
@example({"at": "2024-01-01T00:00:00Z", "$at": "2024-01-01T00:00:00.5Z"})
@example({"at": 5, "a": 2**53, "b": 2**53 + 1, "c": Decimal(-(2**70)), "d": 1e22, "e": -0.0})
@example({NOTED: ["a"], "a": "[1]", "b": None})
@example({NOTED: None, f"{NOTED}.{NOTED}": {"a": None}})
@example({"a": "null", "b": [], "c": [1], "d": {}, "e": [None], "f": ["x", None], "g": ["x"], "h": [[]]})
def test_any_object_survives(value: dict[str, Any]) -> None:
    text = dumps(value)
    assert canonical(came_back(text, ENCODING)) == canonical(text)


@given(st.text(alphabet="0123456789.eE+-", min_size=1, max_size=30))
@example("1e400")
@example("0.1000000000000000055511151231257827")
@example("123456789012345678901234567890")
def test_any_number_survives(number: str) -> None:
    try:
        json.loads(number)
        expected = canonical(f'{{"a":{number}}}')
    except ValueError:
        return
    assert canonical(came_back(f'{{"a":{number}}}'.encode(), ENCODING)) == expected


def test_what_fits_stands_as_applications_expect_it() -> None:
    text = '{"title": "x", "n": 3, "share": 0.5, "new": true, "tags": ["a", "b"]}'
    assert ENCODING.written(text.encode()) == json.loads(text)


def test_what_does_not_fit_is_text_and_noted() -> None:
    text = b'{"a": {"b": [1]}, "big": 9007199254740993, "none": null, "n": [1, 2]}'
    assert ENCODING.written(text) == {
        "a": '{"b":[1]}',
        "big": "9007199254740993",
        "n": "[1,2]",
        NOTED: ["a", "big", "none", "n"],
    }


def test_a_time_is_seconds_that_ranges_can_be_asked_for() -> None:
    assert ENCODING.written(b'{"at": "2024-05-01T12:00:00.250000Z", "other": "2024-05-01T12:00:00Z"}') == {
        "at": 1714564800.25,
        "other": "2024-05-01T12:00:00Z",
    }


@pytest.mark.parametrize(
    "text", ["2024-05-01T12:00:00.250Z", "2024-05-01T12:00:00+02:00", "2024-05-01", "soon", "0001-01-01T00:00:00Z", ""]
)
def test_a_time_in_another_form_comes_back_in_that_form(text: str) -> None:
    assert json.loads(came_back(dumps({"at": text}), ENCODING)) == {"at": text}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_metadata_of_all_kinds_is_read_as_it_was_written(double: Double, connect: Connect, transport: str) -> None:
    connector = connect("docs", transport=transport)
    declared = Collection("docs", PLAIN.vectors, (Field("at", "datetime"),), "vecmig:test")
    connector.create(declared)
    value = {
        "at": "2024-05-01T12:00:00Z",
        "n": [1, {"a": None}],
        "$x": 2**60,
        "": 0.1,
        "t": ["é"],
        "z": None,
        "b": False,
    }
    assert not connector.upsert("docs", batch([{"metadata": value}]))
    ((page, _),) = pages(connector)
    assert json.loads(page.strings("metadata")[0]) == value


def sized(size: int) -> dict[str, Any]:
    """Return metadata that takes so many bytes as it is sent."""
    return {"a": "x" * (size - len('{"a":""}'))}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_metadata_of_forty_kilobytes_is_held_and_one_byte_more_is_named(
    double: Double, connect: Connect, transport: str
) -> None:
    plant(double, [])
    rows = [{"metadata": sized(40_960)}, {"metadata": sized(40_961)}]
    (rejected,) = connect("docs", transport=transport).upsert("docs", batch(rows))
    assert (rejected.key.id, rejected.reason) == ("r1", "its metadata has 40,961 bytes, Pinecone holds 40,960")
    assert list(double.store.find("docs").records()) == ["r0"]


def test_the_size_counts_as_it_is_sent_and_not_as_it_was(double: Double, connect: Connect) -> None:
    """Text within text has its quotes escaped."""
    plant(double, [])
    fits, too_large = ({f"${n:04}": list[str]() for n in range(count)} for count in (1_100, 1_400))
    assert len(json.dumps(too_large)) < 20_000
    (rejected,) = connect("docs").upsert("docs", batch([{"metadata": fits}, {"metadata": too_large}]))
    assert rejected.key.id == "r1"
    assert re.fullmatch(r"its metadata has 4\d,\d{3} bytes, Pinecone holds 40,960", rejected.reason)


def test_many_numbers_count_as_they_are_sent(double: Double, connect: Connect) -> None:
    plant(double, [])
    metadata = {f"{n:04}": 1 for n in range(40_950 // len('"0000":1,'))}
    for transport in TRANSPORTS:
        assert not connect("docs", transport=transport).upsert("docs", batch([{"metadata": metadata}]))


@pytest.mark.parametrize(
    "text", ["[1]", '"a"', '{"a": NaN}', "", "{", '{"a": "\\ud800"}', '{"a":' * 201 + "1" + "}" * 201]
)
def test_what_is_no_metadata_is_named(double: Double, connect: Connect, text: str) -> None:
    plant(double, [])
    (rejected,) = connect("docs").upsert("docs", batch([{}, {"metadata": text}]))
    assert rejected.key.id == "r1"
    assert len(double.store.find("docs").records()) == 1
