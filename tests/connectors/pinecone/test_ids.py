"""Ids come back as they were, and no two become one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import TRANSPORTS, batch, ids, pages, plant
from tests.doubles.pinecone import Double
from vecmig.connectors.pinecone.records.ids import ESCAPED, original, stored
from vecmig.model.record import Key

IDS = st.one_of(
    st.text(min_size=1),
    st.text(alphabet="aé%3A:vecmig", min_size=1).map(lambda text: ESCAPED + text),
    st.text(min_size=1).map(stored),
    st.text(min_size=1).map(lambda text: stored(stored(text))),
)


@given(IDS)
@example("vecmig:%C3%A9")
@example("vecmig:%c3%a9")
@example("vecmig:a")
@example("vecmig:")
@example("vecmig:%FF")
@example("vecmig:vecmig%3A%25C3%25A9")
def test_an_id_comes_back_as_it_was(id: str) -> None:
    assert original(stored(id)) == id


@given(IDS)
def test_what_is_sent_is_ascii_without_a_nul(id: str) -> None:
    assert stored(id).isascii()
    assert "\0" not in stored(id)


@given(st.lists(IDS, unique=True))
def test_no_two_ids_become_one(some: list[str]) -> None:
    assert len({stored(id) for id in some}) == len(some)


@given(st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=32), min_size=1))
def test_what_others_wrote_is_found_under_the_id_that_reading_gives(id: str) -> None:
    assert stored(original(id)) == id


@given(st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=32), min_size=1))
def test_an_id_of_ascii_stays_as_it_is(id: str) -> None:
    assert stored(id) == id or id.startswith(ESCAPED)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ids_of_all_kinds_are_written_read_fetched_and_deleted(
    double: Double, connect: Connect, transport: str
) -> None:
    index = plant(double, [])
    some = [
        "a",
        "é",
        "日本",
        "a\0b",
        "vecmig:%C3%A9",
        "vecmig:a",
        " ",
        "#/?&=%+",
        "\t\n",
        "~" * 512,
        "ü" * 84,
        "é" * 84,
    ]
    connector = connect("docs", transport=transport)
    assert not connector.upsert("docs", batch([{"id": id} for id in some]))
    keys = [Key("", id) for id in some]
    assert sorted(ids(pages(connector))) == sorted(some)
    assert connector.fetch("docs", keys).keys == keys
    connector.delete("docs", keys)
    assert not index.records()


@pytest.mark.parametrize(
    ("id", "reason"),
    [
        ("", "its id is empty"),
        ("a" * 513, "its id has 513 characters, Pinecone takes 512"),
        ("é" * 85, "its id has 517 characters when it is written in ASCII, Pinecone takes 512"),
    ],
)
def test_an_id_that_pinecone_cannot_hold_is_named(double: Double, connect: Connect, id: str, reason: str) -> None:
    plant(double, [])
    (rejected,) = connect("docs").upsert("docs", batch([{}, {"id": id}]))
    assert (rejected.key, rejected.reason) == (Key("", id), reason)
    assert len(double.store.find("docs").records()) == 1
