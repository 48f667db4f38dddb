"""Reading goes through the lists of ids, and leaves no gap that it does not name."""

import json
import threading
import time
from typing import Any

import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import TRANSPORTS, asked, ids, keys, pages, plant, problems
from tests.doubles.pinecone import Double, Fault
from tests.doubles.pinecone import vectors as service
from vecmig.connectors.pinecone.client.calls import AT_ONCE
from vecmig.connectors.pinecone.records import read as read_module
from vecmig.connectors.pinecone.records.read import NOT_GIVEN
from vecmig.errors import ConnectorError
from vecmig.model.record import Key

MANY = [f"{n:04}" for n in range(1_050)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_record_is_read_once_in_the_order_of_namespaces_and_ids(
    double: Double, connect: Connect, transport: str
) -> None:
    plant(double, MANY)
    plant(double, ["b", "B", "a", "#1", "~", "a b/c?d=e&f%20"], "other")
    read = keys(pages(connect("docs", transport=transport, page_rows=130)))
    assert read == [Key("", id) for id in MANY] + [
        Key("other", id) for id in ("#1", "B", "a", "a b/c?d=e&f%20", "b", "~")
    ]


def test_a_cursor_of_any_page_resumes_behind_it(double: Double, connect: Connect) -> None:
    plant(double, MANY[:450])
    plant(double, ["x", "y"], "other")
    connector = connect("docs", page_rows=70)
    read = pages(connector)
    whole = ids(read)
    done = 0
    for page, cursor in read:
        done += len(page)
        assert ids(pages(connector, after=cursor)) == whole[done:]


def test_a_token_that_expired_since_is_replaced_by_listing_again(double: Double, connect: Connect) -> None:
    plant(double, MANY)
    connector = connect("docs", page_rows=100)
    read = pages(connector)
    double.faults.add(Fault.expired_token(), on="list", times=1)
    assert ids(pages(connector, after=read[6][1])) == MANY[700:]


def test_tokens_that_expire_while_reading_cost_requests_and_no_record(double: Double, connect: Connect) -> None:
    plant(double, MANY)
    for skip in (1, 4, 5):
        double.faults.add(Fault.expired_token(), on="list", times=1, skip=skip)
    assert ids(pages(connect("docs"))) == MANY
    assert asked(double, "list") < 40


def test_a_service_that_takes_no_token_at_all_ends_in_an_error(double: Double, connect: Connect) -> None:
    plant(double, MANY)
    double.faults.add(Fault.expired_token(), on="list")
    with pytest.raises(ConnectorError, match="Invalid pagination token"):
        pages(connect("docs"))
    assert asked(double, "list") < 30


def test_short_and_empty_pages_are_no_end(double: Double, connect: Connect) -> None:
    plant(double, MANY)
    for rows, skip in ((7, 0), (0, 2), (0, 3), (1, 5)):
        double.faults.add(Fault.short_page(rows), on="list", times=1, skip=skip)
    assert ids(pages(connect("docs"))) == MANY


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_longest_ids_of_characters_that_triple_in_an_address_are_fetched(
    double: Double, connect: Connect, transport: str
) -> None:
    long = [f"{n:04}" + "/" * 508 for n in range(300)]
    plant(double, long, "n" * 512)
    connector = connect("docs", transport=transport)
    assert ids(pages(connector)) == long
    assert connector.fetch("docs", [Key("n" * 512, id) for id in long]).strings("id") == long


def test_a_fetch_that_is_too_large_is_halved(double: Double, connect: Connect) -> None:
    plant(double, MANY[:200])
    double.limits.query_string_bytes = 500
    assert ids(pages(connect("docs", transport="rest"))) == MANY[:200]


def test_fetch_keeps_the_order_asked_and_leaves_out_what_is_missing(double: Double, connect: Connect) -> None:
    plant(double, MANY[:600])
    plant(double, ["0001"], "other")
    wanted = [Key("", "0599"), Key("other", "0001"), Key("", "nope"), Key("gone", "0001"), Key("", "0000")]
    assert connect("docs").fetch("docs", wanted).keys == [wanted[0], wanted[1], wanted[4]]


def test_a_record_that_is_listed_and_cannot_be_fetched_is_named(double: Double, connect: Connect) -> None:
    plant(double, MANY[:300])
    double.faults.add(Fault.lost_ids({"0007", "0299"}), on="fetch")
    read = pages(connect("docs"))
    assert ids(read) == MANY[:300]
    assert problems(read) == {"0007": NOT_GIVEN, "0299": NOT_GIVEN}


def test_a_record_that_is_fetched_only_after_a_while_is_whole(double: Double, connect: Connect) -> None:
    plant(double, MANY[:50])  # one fetch: each of the three meets it
    double.faults.add(Fault.lost_ids({"0007"}), on="fetch", times=3)
    read = pages(connect("docs"))
    assert ids(read) == MANY[:50]
    assert not problems(read)


def test_a_record_whose_list_is_an_empty_page_at_first_is_not_taken_for_deleted(
    double: Double, connect: Connect
) -> None:
    plant(double, MANY[:3])
    double.faults.add(Fault.lost_ids({"0001"}), on="fetch", times=1)
    double.faults.add(Fault.short_page(0), on="list", times=1, skip=1)
    assert ids(pages(connect("docs"))) == MANY[:3]


def test_a_record_whose_list_never_comes_to_an_end_is_not_taken_for_deleted(
    double: Double, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_module, "MOST_EMPTY", 5)
    plant(double, MANY[:3])
    double.faults.add(Fault.lost_ids({"0001"}), on="fetch")
    double.faults.add(Fault.short_page(0), on="list", skip=1)
    assert problems(pages(connect("docs"))) == {"0001": NOT_GIVEN}


def test_empty_pages_without_end_are_an_error_and_no_loop(double: Double, connect: Connect) -> None:
    plant(double, MANY)
    double.faults.add(Fault.short_page(0), on="list")
    with pytest.raises(ConnectorError, match="in empty pages without end"):
        pages(connect("docs"))
    assert asked(double, "list") < 400


def test_a_list_that_expires_again_and_again_ends_in_an_error_that_names_the_way_out(
    double: Double, connect: Connect
) -> None:
    plant(double, [f"{n:05}" for n in range(4_000)])
    for skip in range(1, 60, 3):  # it always comes a little further
        double.faults.add(Fault.expired_token(), on="list", times=1, skip=skip)
    with pytest.raises(ConnectorError, match="name `id_prefixes`"):
        pages(connect("docs"))
    assert asked(double, "list") < 100


def test_what_is_deleted_between_list_and_fetch_is_left_out_without_a_wait(double: Double, connect: Connect) -> None:
    plant(double, MANY[:50])  # one fetch: of several at once, another could be served before the one that deletes
    double.faults.add(Fault.records_deleted(["0003", "0004"]), on="fetch", times=1)
    read = pages(connect("docs"))
    assert ids(read) == [id for id in MANY[:50] if id not in ("0003", "0004")]
    assert not problems(read)


def test_ids_out_of_order_are_an_error_and_no_gap(double: Double, connect: Connect) -> None:
    index = plant(double, ["a", "b", "d"])
    index.namespaces["__default__"]._order = ["a", "d", "b"]
    with pytest.raises(ConnectorError, match="out of order"):
        pages(connect("docs"))


def test_a_page_that_goes_back_to_an_id_not_given_before_is_an_error(
    double: Double, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = plant(double, MANY[:200])
    given = iter([(MANY[:20] + MANY[21:100], True), (MANY[20:21] + MANY[100:], False)])
    monkeypatch.setattr(index.namespaces["__default__"].__class__, "page", lambda *_: next(given))
    with pytest.raises(ConnectorError, match="out of order"):
        pages(connect("docs"))


def test_a_page_that_comes_twice_is_read_once(
    double: Double, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = plant(double, MANY[:200])
    given = iter([(MANY[:100], True), (MANY[:100], True), (MANY[100:200], False)])
    monkeypatch.setattr(index.namespaces["__default__"].__class__, "page", lambda *_: next(given))
    assert ids(pages(connect("docs"))) == MANY[:200]


def test_a_service_that_gives_one_page_for_ever_is_an_error_and_no_loop(
    double: Double, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = plant(double, MANY[:200])
    monkeypatch.setattr(index.namespaces["__default__"].__class__, "page", lambda *_: (MANY[:100], True))
    with pytest.raises(ConnectorError, match="again and again"):
        pages(connect("docs"))


def test_ids_that_a_page_repeats_are_read_once(double: Double, connect: Connect) -> None:
    index = plant(double, ["a", "b", "c"])
    index.namespaces["__default__"]._order = ["a", "b", "b", "c"]
    assert ids(pages(connect("docs"))) == ["a", "b", "c"]


def test_the_default_namespace_is_one_under_both_of_its_names(double: Double, connect: Connect) -> None:
    plant(double, ["a"])
    plant(double, ["b"], "other")
    for name in ("", "__default__"):
        connector = connect("docs", namespaces=(name,))
        assert connector.count("docs") == {"": 1}
        assert keys(pages(connector)) == [Key("", "a")]


def test_many_namespaces_are_grouped_into_few_partitions_of_about_one_size(double: Double, connect: Connect) -> None:
    for n in range(300):
        plant(double, MANY[: n % 7 + 1], f"tenant-{n:03}")
    connector = connect("docs")
    parts = connector.partitions("docs", 4)
    sizes = [sum(len(page) for page, _ in connector.read(part, None)) for part in parts]
    assert len(sizes) == 4
    assert sum(sizes) == sum(n % 7 + 1 for n in range(300))
    assert max(sizes) < 1.2 * min(sizes)


def test_a_namespace_is_split_by_prefixes(double: Double, connect: Connect) -> None:
    plant(double, [f"{kind}#{n}" for kind in "ab" for n in range(150)])
    plant(double, ["a#x", "b#x"], "other")
    connector = connect("docs", id_prefixes=("b#", "a#"))
    parts = connector.partitions("docs", 4)
    assert len(parts) == 4
    assert len(set(keys(pages(connector, at_most=4)))) == 302
    assert keys(pages(connector, at_most=4)) == keys(pages(connector))


def test_ids_that_no_prefix_covers_are_told_before_anything_is_read(double: Double, connect: Connect) -> None:
    plant(double, ["a#1", "b#1", "c#1"])
    with pytest.raises(ConnectorError, match="begins with none of `id_prefixes`"):
        connect("docs", id_prefixes=("a#", "b#")).partitions("docs", 4)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_one_list_feeds_fetches_of_which_several_are_under_way(
    double: Double, connect: Connect, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(double, MANY)
    at_once = {"fetch": [0, 0], "list_ids": [0, 0]}  # now, and at most
    lock = threading.Lock()

    def counted(name: str) -> None:
        served = getattr(service, name)

        def serve(*arguments: Any) -> Any:
            with lock:
                at_once[name] = [at_once[name][0] + 1, max(at_once[name][1], at_once[name][0] + 1)]
            time.sleep(0.1 if name == "fetch" else 0.0)
            with lock:
                at_once[name][0] -= 1
            return served(*arguments)

        monkeypatch.setattr(service, name, serve)

    for name in at_once:
        counted(name)
    assert ids(pages(connect("docs", transport=transport, page_rows=50))) == MANY
    assert (at_once["fetch"][1], at_once["list_ids"][1]) == (AT_ONCE, 1)


def test_an_integer_is_one_again(double: Double, connect: Connect) -> None:
    numbers = {"a": 1.0, "b": -3.0, "c": 0.5, "d": 1e300, "e": 2.0**53 - 1, "f": 2.0**53, "g": True}
    plant(double, ["r"], metadata=numbers)
    for transport in TRANSPORTS:
        ((page, _),) = pages(connect("docs", transport=transport))
        found = json.loads(page.strings("metadata")[0])
        assert found == numbers
        assert {name: type(value) for name, value in found.items()} == {
            "a": int,
            "b": int,
            "c": float,
            "d": float,
            "e": int,
            "f": float,  # or 2**53 + 1, when it was written
            "g": bool,
        }


def test_reading_may_be_left_early(double: Double, connect: Connect) -> None:
    plant(double, MANY)
    connector = connect("docs", page_rows=100)
    (part,) = connector.partitions("docs", 1)
    reading = connector.read(part, None)
    next(reading)
    reading.close()
    assert ids(pages(connector)) == MANY
