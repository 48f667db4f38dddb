import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
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


@pytest.mark.parametrize("text", ["[]", "1", "null", "{", '{"a": NaN}', '{"a": Infinity}', '"x"', ""])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


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
