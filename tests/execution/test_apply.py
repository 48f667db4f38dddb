"""The apply loop over the memory connector: crashes, resumes, errors, limits."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace as with_changes
from threading import Event
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from tests.execution.world import Killed, MemoryStore, World
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.errors import BadRecordError, ConnectorError, GuardError, Stopped, TransientError
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.collection import Collection
from vecmig.model.digest import digest_of
from vecmig.model.filter import parse
from vecmig.model.plan import BuildIndex, Fingerprint, LoadRecords
from vecmig.model.record import Digest
from vecmig.model.settings import Limits
from vecmig.protocols import IndexProgress
from vecmig.testing.contract import COLLECTION, COUNTS, KEYS, records


def test_every_record_arrives_and_the_checkpoints_add_up_to_the_source(world: World) -> None:
    store = MemoryStore()
    world.apply(world.plan(), store)
    assert store.state
    assert world.target.count("kb") == COUNTS
    assert digest_of(world.target.fetch("kb", KEYS)) == digest_of(records(KEYS))
    assert sum((each.digest for each in store.state.checkpoints), Digest()) == digest_of(records(KEYS))
    assert sum(each.rows for each in store.state.checkpoints) == len(KEYS)
    assert store.state.applied["m"].source_fingerprint == world.source.fingerprint("docs")


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4, 5])
def test_a_crash_around_a_checkpoint_loses_and_doubles_no_record(world: World, dies_at: int, keeps: bool) -> None:
    plan, store = world.plan(), MemoryStore(dies_at=dies_at, keeps=keeps)
    with pytest.raises(Killed):
        world.apply(plan, store)
    world.apply(plan, store)
    assert store.state
    assert digest_of(world.target.fetch("kb", KEYS)) == digest_of(records(KEYS))
    assert sum((each.digest for each in store.state.checkpoints), Digest()) == digest_of(records(KEYS))
    assert sum(each.rows for each in store.state.checkpoints) == len(KEYS)


def test_a_resume_reads_only_what_is_not_acknowledged(world: World) -> None:
    plan, store = world.plan(), MemoryStore(dies_at=4, keeps=True)
    with pytest.raises(Killed):
        world.apply(plan, store)
    again = world.apply(plan, store)
    assert 0 < sum(progress.read for progress in again) < len(KEYS)


def test_another_plan_does_not_take_what_this_one_did_for_done(world: World) -> None:
    plan, store = world.plan(), MemoryStore()
    world.apply(plan, store)
    world.target.drop("kb")
    world.apply(replace(plan, created_at="later"), store)
    assert world.target.count("kb") == COUNTS


def test_stop_ends_after_the_batch_at_hand_and_a_second_run_goes_on(world: World) -> None:
    for n in range(200):
        world.source.upsert("docs", records([Key("one", f"more{n}")]))
    plan, stop = world.plan(), Event()
    store = MemoryStore(seen=lambda state: stop.set())
    with pytest.raises(Stopped, match="again"):
        world.apply(plan, store, stop)
    assert store.state
    acknowledged = sum(each.rows for each in store.state.checkpoints)
    assert 0 < acknowledged == sum(world.target.count("kb").values()) < len(KEYS) + 200
    store.seen = lambda state: None
    world.apply(plan, store)
    assert world.target.count("kb") == world.source.count("docs")


def bad_vectors() -> RecordBatch:
    vectors = np.ones((10, 4))
    vectors[3, 1] = np.nan
    return records(KEYS, vectors=vectors.tolist())


class Leaky(MemoryOptions, frozen=True):
    """A source that holds what a store should not: memory refuses NaN, foreign files do not."""

    def open(self) -> "MemoryConnector":
        return LeakyConnector(self, super().open().database)


class LeakyConnector(MemoryConnector):
    def _batch(self, collection: str, keys: Sequence[Any], vectors: Sequence[str] | None) -> RecordBatch:
        batch, bad = super()._batch(collection, keys, vectors), bad_vectors()
        rows = [KEYS.index(key) for key in batch.keys]
        return batch.replace("vector:", bad.take(rows).table.column("vector:"))


def leak(world: World) -> None:
    options = world.migration.source.options
    assert isinstance(options, MemoryOptions)
    leaky = Leaky(options.collection, options.database, options.page_rows)
    world.change(source=with_changes(world.migration.source, options=leaky))


def test_a_bad_record_ends_the_run_by_default_and_is_named(world: World) -> None:
    leak(world)
    with pytest.raises(BadRecordError, match=r"record 'd' in namespace 'one'.*NaN.*on_bad_record"):
        world.apply(world.plan(), MemoryStore())


def test_a_bad_record_can_be_put_aside_whole_with_its_reason(world: World) -> None:
    leak(world)
    world.change(on_bad_record="quarantine")
    store = MemoryStore()
    world.apply(world.plan(), store)
    assert store.state
    assert world.target.count("kb") == {"one": 4, "two": 5}
    (rejected,) = store.state.applied["m"].rejected
    assert rejected.key == KEYS[3]
    (file,) = (world.directory / "bad").glob("*.parquet")
    (row,) = pq.read_table(file).to_pylist()
    assert (row["id"], row["reason"]) == ("d", "the vector holds NaN or infinity")


def test_a_crash_does_not_count_a_bad_record_twice(world: World) -> None:
    leak(world)
    world.change(on_bad_record="quarantine")
    for dies_at in range(1, 6):
        world.target.drop("kb")
        plan, store = world.plan(), MemoryStore(dies_at=dies_at, keeps=False)
        with pytest.raises(Killed):
            world.apply(plan, store)
        world.apply(plan, store)
        assert store.state
        assert len(store.state.applied["m"].rejected) == 1
        assert len(list((world.directory / "bad").glob("*.parquet"))) == 1


def test_too_many_bad_records_stop_the_run(world: World) -> None:
    leak(world)
    world.change(on_bad_record="quarantine")
    world.limits = Limits(max_quarantined=0)
    with pytest.raises(GuardError, match="max_quarantined"):
        world.apply(world.plan(), MemoryStore())


class Shaky(MemoryOptions, frozen=True):
    """A store that fails once for each batch, after it stored it."""

    passing: bool = True

    def open(self) -> "MemoryConnector":
        return ShakyConnector(self, super().open().database)


class ShakyConnector(MemoryConnector):
    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        assert isinstance(self.options, Shaky)
        result = super().upsert(collection, batch)
        failed = _failed.setdefault(self.options.database, set())
        if batch.keys[0] not in failed:
            failed.add(batch.keys[0])
            error = TransientError if self.options.passing else ConnectorError
            raise error("the connection was lost after the write")
        return result


_failed: dict[str, set[Key]] = {}  # by database: the batches, by their first key, that have failed once


def shake(world: World, passing: bool) -> None:
    options = world.migration.target.options
    assert isinstance(options, MemoryOptions)
    shaky = Shaky(options.collection, options.database, options.page_rows, passing)
    world.change(target=with_changes(world.migration.target, options=shaky))


def test_a_transient_error_is_tried_again_and_nothing_is_doubled(world: World) -> None:
    shake(world, passing=True)
    store = MemoryStore()
    world.apply(world.plan(), store)
    assert store.state
    assert world.target.count("kb") == COUNTS
    assert sum(each.rows for each in store.state.checkpoints) == len(KEYS)


def test_an_unknown_error_is_final_and_what_was_acknowledged_is_kept(world: World) -> None:
    shake(world, passing=False)
    store = MemoryStore()
    with pytest.raises(ConnectorError, match="lost after the write"):
        world.apply(world.plan(), store)
    assert store.state
    assert store.state.done == 1, "the collection was created, the load is not done"


def test_a_limit_takes_the_first_records_that_pass_also_after_a_crash(world: World) -> None:
    world.change(where=parse({"lang": "en"}), limit=3)
    plan, store = world.plan(), MemoryStore(dies_at=2, keeps=True)
    with pytest.raises(Killed):
        world.apply(plan, store)
    world.apply(plan, store)
    assert [str(key) for key in world.target.fetch("kb", KEYS).keys] == [str(KEYS[n]) for n in (0, 1, 5)]


def test_a_source_may_be_empty(world: World) -> None:
    world.source.delete("docs", KEYS)
    store = MemoryStore()
    world.apply(world.plan(), store)
    assert world.target.count("kb") == {}


def test_partitions_are_those_of_the_plan_also_for_a_resume(world: World) -> None:
    plan, five = world.plan(), tuple(world.source.partitions("docs", 5))  # the planner takes two, as workers there are
    (planned,) = plan.migrations
    actions = tuple(
        replace(each, partitions=five) if isinstance(each, LoadRecords) else each for each in planned.actions
    )
    plan, store = replace(plan, migrations=(replace(planned, actions=actions),)), MemoryStore(dies_at=3)
    with pytest.raises(Killed):
        world.apply(plan, store)
    world.apply(plan, store)
    assert store.state
    assert {each.partition for each in store.state.checkpoints} == set(five)
    assert world.target.count("kb") == COUNTS


@pytest.mark.parametrize("dies_at", [0, 1])
def test_a_target_is_mended_where_another_run_died_and_nowhere_else(
    world: World, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    mended: list[str] = []

    def mend(connector: MemoryConnector, collection: str) -> Iterator[IndexProgress]:
        mended.append(collection)
        yield IndexProgress("", "mending", 1.0)

    monkeypatch.setattr(MemoryConnector, "mend", mend)
    plan, store = world.plan(), MemoryStore(dies_at=dies_at)
    if dies_at:
        with pytest.raises(Killed):
            world.apply(plan, store)
    world.apply(plan, store)
    assert mended == ["kb"] * dies_at


class Weak(MemoryOptions, frozen=True):
    """A target whose every call fails the first time."""

    def open(self) -> "MemoryConnector":
        return WeakConnector(self, super().open().database)


class WeakConnector(MemoryConnector):
    failed: ClassVar[set[str]] = set()

    def _once(self, call: str) -> None:
        if call not in self.failed:
            self.failed.add(call)
            raise TransientError(f"{call}: the connection was lost")

    def create(self, collection: Collection) -> None:
        self._once("create")
        super().create(collection)

    def describe(self, collection: str) -> Collection | None:
        self._once("describe")
        return super().describe(collection)

    def fingerprint(self, collection: str) -> Fingerprint:
        self._once("fingerprint")
        return super().fingerprint(collection)

    def build_index(self, collection: Collection) -> Iterator[IndexProgress]:
        yield IndexProgress("i", "starting", None)
        self._once("build_index")
        yield IndexProgress("i", "done", 1.0)


def test_making_indexing_and_looking_are_tried_again_too(world: World) -> None:
    options = world.migration.target.options
    assert isinstance(options, MemoryOptions)
    plan, store = world.plan(), MemoryStore()
    indexed = BuildIndex("m", plan.migrations[0].actions[0].collection)  # type: ignore[union-attr]
    planned = replace(plan.migrations[0], actions=(*plan.migrations[0].actions, indexed))
    weak = Weak(options.collection, options.database, options.page_rows)
    world.change(target=with_changes(world.migration.target, options=weak))
    WeakConnector.failed.clear()
    world.apply(replace(plan, migrations=(planned,)), store)
    assert WeakConnector.failed == {"create", "describe", "fingerprint", "build_index"}
    assert world.target.count("kb") == COUNTS
    assert store.state
    assert "m" in store.state.applied


class Late(MemoryOptions, frozen=True):
    """A store that is not reached at some of the times that it is opened, counted from 1."""

    not_at: tuple[int, ...] = ()
    opened: ClassVar[Counter[str]] = Counter()

    def open(self) -> "MemoryConnector":
        self.opened[self.database] += 1
        if self.opened[self.database] in self.not_at:
            raise TransientError("no connection")
        return super().open()


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_connection_that_is_not_had_at_once_is_asked_for_again(world: World, side: str, filled: bool) -> None:
    if filled:  # so that it is reconciled
        world.target.create(replace(COLLECTION, name="kb", mark="vecmig:n/e:l"))
        world.target.upsert("kb", records(KEYS[:4], version=1))
    plan, endpoint, there = world.plan(), getattr(world.migration, side), world.target
    options = endpoint.options
    late = Late(options.collection, options.database, options.page_rows, not_at=(2, 5))
    world.change(**{side: with_changes(endpoint, options=late)})
    world.apply(plan, MemoryStore())
    assert Late.opened[options.database] >= 3
    assert there.count("kb") == COUNTS
    assert digest_of(there.fetch("kb", KEYS)) == digest_of(records(KEYS))


def test_a_store_that_is_away_is_not_waited_for_once_the_user_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Event()

    def create(self: MemoryConnector, collection: Collection) -> None:
        stop.set()
        raise TransientError("the connection was lost")

    monkeypatch.setattr(MemoryConnector, "create", create)
    started = time.monotonic()
    with pytest.raises(TransientError):
        world.apply(world.plan(), MemoryStore(), stop)
    assert time.monotonic() - started < 5
