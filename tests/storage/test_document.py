import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.storage.examples import EXACT, STATE, states
from vecmig.errors import StateError
from vecmig.model.state import Applied, State
from vecmig.storage.document import decode, encode, newer_writer

DATA = encode(STATE)


@given(states)
def test_any_state_comes_back_as_it_was(state: State) -> None:
    assert decode(encode(state)) == state


def test_equal_states_have_equal_bytes_that_a_person_can_read() -> None:
    assert encode(replace(STATE)) == DATA
    assert DATA.startswith(b'{\n "format": "vecmig-state",\n "format_version": 1,\n "sha256": "')
    assert max(map(len, DATA.splitlines())) < 120


def test_a_cut_at_any_byte_is_noticed() -> None:
    for length in range(len(DATA) - 1):  # the last byte is the end of the line: without it nothing is missing
        with pytest.raises(StateError):
            decode(DATA[:length])


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed_or_changes_nothing(at: int, flip: int) -> None:
    changed = bytearray(DATA)
    changed[at] ^= flip
    try:
        state = decode(bytes(changed))
    except StateError:
        return
    assert state == STATE
    assert DATA[at : at + 1].isspace()


@given(st.binary(max_size=200))
def test_no_bytes_at_all_are_read_as_a_state_by_chance(data: bytes) -> None:
    with pytest.raises(StateError):
        decode(data)


def test_a_number_edited_by_hand_is_noticed() -> None:
    assert b'"serial": 0,' in DATA
    with pytest.raises(StateError, match="does not match its checksum"):
        decode(DATA.replace(b'"serial": 0,', b'"serial": 7,', 1))


def test_a_key_added_by_hand_is_noticed_even_if_no_version_knows_it() -> None:
    document = json.loads(DATA)
    document["state"]["colour"] = "blue"
    with pytest.raises(StateError, match="checksum"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{}", "not a state"),
        (b"[]", "not a state"),
        (b'{"version": 4, "serial": 3}', "not a state"),
        (b'{"format": "vecmig-state", "format_version": 0}', "does not know format 0"),
        (b'{"format": "vecmig-state", "format_version": 1}', "missing required field"),
        (b"\xff\xfe{}", "cut off or was edited"),
        (b"[" * 100_000, "cut off or was edited"),
    ],
)
def test_what_is_no_state_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(StateError, match=reason):
        decode(data)


def test_a_newer_format_is_recognised_with_the_version_that_wrote_it() -> None:
    document = json.loads(DATA)
    newer = document | {"format_version": 9, "state": {"vecmig_version": "4.2.0", "shape": "unheard of"}}
    assert newer_writer(json.dumps(newer).encode()) == "a newer vecmig (4.2.0, format 9; this one knows 1)"
    assert newer_writer(json.dumps(newer | {"state": []}).encode()) == (
        "a newer vecmig (version unknown, format 9; this one knows 1)"
    )
    assert newer_writer(DATA) is None


def test_a_state_that_json_cannot_hold_is_refused_before_it_is_written() -> None:
    nan = Applied("p", "t", EXACT, EXACT, "c", rows=float("nan"))  # type: ignore[arg-type]  # a mistake of a caller
    with pytest.raises(StateError, match="Expected `int`, got `null`"):
        encode(STATE.with_applied("m", nan))
