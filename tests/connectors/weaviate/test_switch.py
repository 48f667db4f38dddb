"""An alias goes over to another collection, while others search by it."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.connectors.weaviate.conftest import Connect
from tests.doubles.weaviate import Double, Fault
from tests.doubles.weaviate.errors import Code
from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.schema import aliases
from vecmig.connectors.weaviate.schema.names import CLASS, beside, class_name, derived
from vecmig.errors import CollectionConflict, ConnectorError, UnsupportedError
from vecmig.model.batch import Key
from vecmig.testing.contract import COLLECTION, KEYS, held, records

log = logging.getLogger(__name__)
SERVING, BUILD, KEPT = "Kb", "Kb__v2", "Kb__v1"
STEPS = ["create_alias", "update_alias", "delete_alias"]


def fill(target: WeaviateConnector, name: str, version: int) -> None:
    target.create(replace(target.options.complete(COLLECTION), name=name))
    assert not target.upsert(name, records(KEYS, version))


@pytest.fixture
def kb(connect: Connect) -> WeaviateConnector:
    """What serves holds version 0, the build version 1."""
    target = connect(SERVING)
    fill(target, SERVING, 0)
    fill(target, BUILD, 1)
    return target


@pytest.mark.parametrize("name", ["Kb", "kb", "K" * 246, "K" * 240])
def test_the_name_beside_is_one_that_weaviate_takes_and_so_is_the_one_behind_it(name: str) -> None:
    found = beside(name, 12)
    assert CLASS.fullmatch(class_name(found))
    assert CLASS.fullmatch(derived(found, COLLECTION.mark))
    assert found.endswith("__v12")
    assert found != beside(name[:-1] + "x", 12), "names that begin alike stay apart"


def test_no_search_by_the_alias_fails_while_it_is_switched_there_and_back(weaviate_server: WeaviateServer) -> None:
    name = f"Switch_{uuid4().hex[:8]}"
    build, kept = beside(name, 2), beside(name, 1)
    stop, failed, pauses, seen = threading.Event(), list[Exception](), list[float](), set[int]()

    def search() -> None:
        with connected(weaviate_server) as client:
            by_alias = client.collections.use(name).with_tenant("one")
            while not stop.is_set() and not failed:
                started = time.monotonic()
                try:
                    found = by_alias.query.near_vector([1.0, 0.0, 0.0, 0.0], limit=3).objects
                    versions = {json.loads(str(each.properties["vecmig_json"]))["n"] for each in found}
                    assert len(found) == 3
                    assert len(versions) == 1, "an answer is of one collection"
                    seen.update(versions)
                except Exception as error:  # whatever it is, a reader must not see it
                    failed.append(error)
                pauses.append(time.monotonic() - started)

    with switchable(weaviate_server, name) as target:
        fill(target, name, 0)
        fill(target, build, 1)
        target.settle(build, {"one": 5, "two": 5}, timeout_s=60)
        readers = [threading.Thread(target=search) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            for _ in range(10):
                for new, old in ((build, kept), (kept, build)):
                    target.switch(name, new, old)
                    assert held(target, name)[1] == {1 if new == build else 0}
        finally:
            stop.set()
            for reader in readers:
                reader.join()
    assert not failed
    assert seen == {0, 1}
    log.info("%s searches during 20 switches, the longest took %.0f ms", f"{len(pauses):,}", max(pauses) * 1000)


@contextmanager
def switchable(server: WeaviateServer, name: str) -> Iterator[WeaviateConnector]:
    """A connector, whose collections are gone afterwards."""
    options = WeaviateOptions(name, url=server.url, grpc_url=f"grpc://{server.grpc_host}:{server.grpc_port}")
    with closing(options.open()) as target:
        try:
            yield target
        finally:
            for each in (name, beside(name, 1), beside(name, 2)):
                target.drop(each)


def test_an_alias_made_twice_is_one_and_that_of_another_collection_stays(weaviate_server: WeaviateServer) -> None:
    name = f"Switch_{uuid4().hex[:8]}"
    with switchable(weaviate_server, name) as target:
        fill(target, name, 0)
        fill(target, beside(name, 2), 1)
        calls = Calls(target.session, name)
        stored = aliases.target(calls, name)
        assert stored
        aliases.make(calls, name, stored)
        assert aliases.of(calls, stored) == [name]
        with pytest.raises(CollectionConflict, match="is an alias already"):
            aliases.make(calls, beside(name, 2), stored)
        assert aliases.of(calls, stored) == [name]


def test_an_alias_whose_collection_was_deleted_by_hand_goes_to_the_next_one_or_is_dropped(
    weaviate_server: WeaviateServer,
) -> None:
    name = f"Switch_{uuid4().hex[:8]}"
    build, kept = beside(name, 2), beside(name, 1)
    with switchable(weaviate_server, name) as target, connected(weaviate_server) as client:
        calls = Calls(target.session, name)

        def delete_by_hand() -> None:
            client.collections.delete(str(aliases.target(calls, name)))

        fill(target, name, 0)
        delete_by_hand()
        fill(target, name, 1)
        assert held(target, name) == (KEYS, {1})
        fill(target, build, 0)
        delete_by_hand()
        target.switch(name, build, kept)
        assert held(target, name) == (KEYS, {0})
        delete_by_hand()
        target.drop(name)
        assert aliases.target(calls, name) is None


def test_a_drop_that_was_killed_between_collection_and_alias_is_gone_on_with(
    weaviate_double: Double, kb: WeaviateConnector, connect: Connect
) -> None:
    for step in ("delete_collection", "delete_alias"):
        weaviate_double.faults.add(Fault.status(Code.UNKNOWN, http=500), on=step, times=1)
        with pytest.raises(ConnectorError):
            kb.drop(BUILD)
    connect(SERVING).drop(BUILD)
    assert [*weaviate_double.store.aliases] == [SERVING]
    assert len(weaviate_double.store.collections) == 1


def test_what_serves_changes_by_one_request_after_what_served_has_its_other_name(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    weaviate_double.requests.clear()
    kb.switch(SERVING, BUILD, KEPT)
    assert [each.operation for each in weaviate_double.requests if "alias" in each.operation] == STEPS


def test_what_is_written_after_a_switch_goes_to_what_serves_now(kb: WeaviateConnector) -> None:
    kb.switch(SERVING, BUILD, KEPT)
    assert not kb.upsert(SERVING, records([Key("one", "new")], 2))
    assert kb.count(SERVING) == {"one": 6, "two": 5}
    assert kb.count(KEPT) == {"one": 5, "two": 5}


@pytest.mark.parametrize("is_applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_switch_that_was_killed_at_any_step_is_gone_on_with(
    weaviate_double: Double, kb: WeaviateConnector, connect: Connect, step: str, is_applied: bool
) -> None:
    weaviate_double.faults.add(Fault.status(Code.UNKNOWN, http=500, applied=is_applied), on=step, times=1)
    weaviate_double.faults.add(Fault.status(Code.UNKNOWN, http=500), on="get_alias", times=1)  # nor can it look
    with pytest.raises(ConnectorError):
        kb.switch(SERVING, BUILD, KEPT)
    weaviate_double.faults.clear()
    another = connect(SERVING)
    assert held(another, SERVING)[1] in ({0}, {1}), "it serves all the while"
    another.switch(SERVING, BUILD, KEPT)
    assert held(another, SERVING) == (KEYS, {1})
    assert held(another, KEPT) == (KEYS, {0})
    assert another.describe(BUILD) is None


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_was_lost_is_no_failure(weaviate_double: Double, kb: WeaviateConnector, step: str) -> None:
    weaviate_double.faults.add(Fault.reset(applied=True), on=step, times=1)
    kb.switch(SERVING, BUILD, KEPT)
    assert (held(kb, SERVING), held(kb, KEPT)) == ((KEYS, {1}), (KEYS, {0}))


def broken_off(double: Double, target: WeaviateConnector) -> None:
    """Leave both names, of what serves and of the build, to the build."""
    double.faults.add(Fault.status(Code.UNKNOWN, http=500), on="delete_alias", times=1)
    with pytest.raises(ConnectorError):
        target.switch(SERVING, BUILD, KEPT)


def test_a_switch_that_was_broken_off_can_be_taken_back(weaviate_double: Double, kb: WeaviateConnector) -> None:
    broken_off(weaviate_double, kb)
    kb.switch(SERVING, KEPT, BUILD)
    assert (held(kb, SERVING), held(kb, BUILD)) == ((KEYS, {0}), (KEYS, {1}))
    assert kb.describe(KEPT) is None


def test_what_serves_is_not_dropped_by_the_name_that_a_broken_off_switch_left_it(
    weaviate_double: Double, kb: WeaviateConnector
) -> None:
    broken_off(weaviate_double, kb)
    with pytest.raises(CollectionConflict, match="'Kb'"):
        kb.drop(BUILD)
    assert held(kb, SERVING) == (KEYS, {1})


def test_a_collection_that_has_another_name_by_now_is_not_taken_for_a_new_one(kb: WeaviateConnector) -> None:
    kb.switch(SERVING, BUILD, KEPT)
    kb.drop(SERVING)
    with pytest.raises(CollectionConflict, match=f"'{KEPT}'"):
        kb.create(replace(kb.options.complete(COLLECTION), name=SERVING))
    assert held(kb, KEPT) == (KEYS, {0})


def test_a_collection_of_an_older_server_is_no_alias_and_stays_where_it_is(
    weaviate_double: Double, connect: Connect
) -> None:
    weaviate_double.store.version = "1.31.0"
    old = connect(SERVING)
    assert not old.capabilities.switches
    fill(old, SERVING, 0)
    fill(old, BUILD, 1)
    with pytest.raises(UnsupportedError, match="let the application read 'Kb__v2'"):
        old.switch(SERVING, BUILD, KEPT)
    old.drop(BUILD)
    weaviate_double.store.version = "1.38.11"
    target = connect(SERVING)
    assert target.capabilities.switches
    fill(target, BUILD, 1)
    with pytest.raises(UnsupportedError, match="let the application read 'Kb__v2' instead of 'Kb'"):
        target.switch(SERVING, BUILD, KEPT)
    assert (held(target, SERVING), held(target, BUILD)) == ((KEYS, {0}), (KEYS, {1}))
