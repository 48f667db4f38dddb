import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecmig.model.metadata import MAX_DEPTH, canonical, dumps, loads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)


def of(number: str) -> bytes:
    return canonical(f'{{"a": {number}}}')


@pytest.mark.parametrize(
    ("left", "right"),
    [("1", "1.0"), ("0", "-0.0"), ("1.5", "1.50"), ("1e23", "1" + "0" * 23), ("1e-7", "0.0000001"), ("5e-324", "0." + "0" * 323 + "5"),
     ("100000", "1e5"), ("9007199254740993", "9007199254740993.0"), ("1e400", "1" + "0" * 400), ("12e1", "120")],
)  # fmt: skip
def test_numbers_are_equal_by_value(left: str, right: str) -> None:
    assert of(left) == of(right)


def test_nothing_else_is() -> None:
    different = ["1", "true", '"1"', "[1]", "null", "9007199254740993", "9007199254740992.0", "1e400", "1e401",
                 "0.1", "0.1000000000000000055511151231257827", '"1.0"', '"1"']  # fmt: skip
    assert len({of(each) for each in different}) == len(different) - 1  # "1" stands twice


def test_keys_are_sorted_by_code_point_at_every_depth() -> None:
    assert canonical('{"b": {"é": 1, "z": 2}, "a": 0, "𐀀": 1, "\uffff": 2}') == (
        '{"a":0,"b":{"z":2,"é":1},"\uffff":2,"𐀀":1}'.encode()
    )


@given(OBJECTS)
def test_the_canonical_form_does_not_depend_on_who_wrote_the_text(value: dict[str, Any]) -> None:
    # surrogates that stand alone are no JSON text
    text = json.dumps(value, ensure_ascii=True)
    try:
        text.encode().decode("unicode_escape").encode()
    except UnicodeError:
        return
    turned = json.dumps(dict(reversed(value.items())), ensure_ascii=False, indent=1)
    assert canonical(text) == canonical(turned) == canonical(canonical(text)) == canonical(dumps(loads(text)))


@given(OBJECTS)
def test_what_is_read_and_written_again_keeps_its_value(value: dict[str, Any]) -> None:
    assert loads(dumps(loads(json.dumps(value)))) == value


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775809", "1e400", "0.12345678901234567890123"]
)
def test_a_number_that_no_int64_or_double_holds_is_kept_exactly(number: str) -> None:
    value = loads(f'{{"a": {number}}}')["a"]
    assert value == Decimal(number)
    assert loads(dumps({"a": value}))["a"] == value


REFUSED = ["[]", "1", "null", "{", "NaN", '"x"', "", '{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', r'{"a": "\ud800"}',
           r'{"a": "\udc00\ud800"}', r'{"\ud800": 1}', '{"a": "\ud800"}', '{"a": 1e99999999999999999999}', "\ufeff{}",
           '{"a": -1e-99999999999999999999}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16")]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("beside", ["", '"n": 1e5, ', '"n": 1.0, '], ids=["plain", "exponent", "point"])
def test_what_is_no_json_object_is_refused_whatever_stands_beside_it(text: str | bytes, beside: str) -> None:
    opening = b"{" if isinstance(text, bytes) else "{"
    whole = text.replace(opening, opening + (beside.encode() if isinstance(text, bytes) else beside), 1)  # type: ignore[arg-type, operator]
    for read in (loads, canonical):
        with pytest.raises(ValueError):
            read(whole)


@pytest.mark.parametrize(
    "text", [r'{"a": "\ud83d\ude00", "n": 1e5}', r'{"a": "\\ud800", "n": 1e5}', '{"a": 1e999999999999999999}']
)
def test_what_only_looks_wrong_is_kept(text: str) -> None:
    assert loads(dumps(loads(text))) == loads(text)
    assert canonical(dumps(loads(text))) == canonical(text)


# what takes the parsers apart: constants that are no JSON, surrogates, exponents, marks, control characters
SHARDS = st.sampled_from(
    ['"', "\\", "\\u", "d800", "dc00", r'"\ud800"', r'"\ud83d\ude00"', r'"\\ud800"', "NaN", "Infinity", "-", "0", "1", "1.5",
     "-0", "e5", "1e400", "1e99999999999999999999", "-1e-99999999999999999999", "0e99999999999999999999", "12345678901234567890",
     "{", "}", "[", "]", ",", ":", '{"a":', '"a"', "null", "true", " ", "\ufeff", "\u00a0", "\x01", "\x7f", "é", "２", "\ud800"]
)  # fmt: skip
TEXTS = (
    st.text()
    | st.lists(SHARDS, max_size=8).map("".join)
    | st.lists(SHARDS, max_size=5).map(lambda each: f"[{','.join(each)}]")
    | st.text(st.characters()).map(json.dumps)
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    | JSON.map(json.dumps)
)


def outcome(read: Callable[[str | bytes], object], text: str | bytes) -> object:
    try:
        return read(text)
    except ValueError:
        return ValueError


@settings(max_examples=500)
@given(TEXTS)
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    for whole in (
        text,
        text.encode("utf-8", "surrogateescape" if "\udc80" <= max(text, default="") <= "\udcff" else "ignore"),
    ):
        value, form = outcome(loads, whole), outcome(canonical, whole)
        assert (value is ValueError) == (form is ValueError)
        if isinstance(value, dict):
            assert loads(dumps(value)) == value
            assert canonical(dumps(value)) == form


@settings(max_examples=500)
@given(TEXTS)
def test_the_fast_and_the_slow_way_agree_on_what_is_valid_and_what_it_means(text: str) -> None:
    ways = [outcome(loads, f'{{"n": {number}, "v": {text}}}') for number in ("1", "1e0", "1.0", "1.000000000000000")]
    assert ways == [ways[0]] * 4
    forms = [outcome(canonical, f'{{"n": {number}, "v": {text}}}') for number in ("1", "1e0", "1.0")]
    assert forms == [forms[0]] * 3
    assert (ways[0] is ValueError) == (forms[0] is ValueError)


def test_nesting_has_a_limit_and_below_it_is_kept() -> None:
    def nested(depth: int) -> str:
        return '{"a":' * depth + "1" + "}" * depth

    assert canonical(nested(MAX_DEPTH)) == nested(MAX_DEPTH).encode()
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ValueError):
            loads(nested(depth))


def test_digits_that_a_double_loses_behind_the_point_are_kept() -> None:
    exact, rounded = b'{"a":20461.813177033089}', b'{"a":20461.81317703309}'
    assert dumps(loads(exact)) == exact
    assert canonical(exact) != canonical(rounded)
