"""A target that holds records is made equal to its source, and nothing else is touched."""

import time
from collections.abc import Sequence
from dataclasses import replace as with_changes

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from tests.execution.world import Killed, MemoryStore, World
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.errors import BadRecordError, GuardError
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.digest import digest_of
from vecmig.model.plan import FieldRule, ReconcileRecords
from vecmig.model.settings import Limits
from vecmig.testing.contract import COUNTS, KEYS, records

NEW = [Key("one", "f"), Key("two", "g")]


@pytest.fixture
def applied(world: World) -> World:
    world.apply(world.plan(), MemoryStore())
    return world


def change(world: World) -> None:
    """Add two records to the source, alter three, remove one."""
    world.source.upsert("docs", records(NEW))
    world.source.upsert("docs", records(KEYS[2:5], version=1))
    world.source.delete("docs", [KEYS[0]])


def test_only_what_is_missing_or_differs_is_written(applied: World) -> None:
    change(applied)
    (action,) = applied.plan().actions
    assert isinstance(action, ReconcileRecords)
    progress = applied.apply(applied.plan(), MemoryStore())
    assert sum(each.rows for each in progress) == 5
    assert sum(each.deleted for each in progress) == 0
    assert applied.target.fetch("kb", [KEYS[0]]).keys == [KEYS[0]], "what only the target has stays"
    wanted = applied.source.fetch("docs", KEYS + NEW)
    assert digest_of(applied.target.fetch("kb", wanted.keys)) == digest_of(wanted)


def test_prune_deletes_what_only_the_target_has_in_the_namespaces_of_the_source(applied: World) -> None:
    change(applied)
    applied.target.upsert("kb", records([Key("other", "x")]))
    applied.change(prune=True)
    progress = applied.apply(applied.plan(), MemoryStore())
    assert sum(each.deleted for each in progress) == 1
    assert applied.target.count("kb") == {"one": 5, "two": 6, "other": 1}


def test_prune_deletes_nothing_where_the_source_is_empty(applied: World) -> None:
    applied.source.delete("docs", KEYS)
    applied.change(prune=True)
    assert not any(each.deleted for each in applied.apply(applied.plan(), MemoryStore()))
    assert applied.target.count("kb") == COUNTS


def test_an_equal_target_is_not_written(applied: World) -> None:
    assert not any(each.rows for each in applied.apply(applied.plan(), MemoryStore()))


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_crash_in_a_reconciliation_is_mended_by_the_next_run(applied: World, dies_at: int) -> None:
    change(applied)
    applied.change(prune=True)
    plan, store = applied.plan(), MemoryStore(dies_at=dies_at, keeps=False)
    with pytest.raises(Killed):
        applied.apply(plan, store)
    applied.apply(plan, store)
    wanted = applied.source.fetch("docs", KEYS + NEW)
    assert applied.target.count("kb") == applied.source.count("docs")
    assert digest_of(applied.target.fetch("kb", KEYS + NEW)) == digest_of(wanted)


def test_a_lost_a_flipped_and_a_foreign_record_are_repaired(applied: World) -> None:
    applied.target.delete("kb", [KEYS[1]])
    vectors = records(KEYS[5:6]).vectors("").copy()
    vectors[0, 3] = np.nextafter(vectors[0, 3], np.float32(9))
    applied.target.upsert("kb", records(KEYS[5:6], vectors=vectors.tolist()))
    progress = applied.apply(applied.plan(), MemoryStore())
    assert sum(each.rows for each in progress) == 2
    assert digest_of(applied.target.fetch("kb", KEYS)) == digest_of(records(KEYS))


def test_a_bad_record_ends_a_reconciliation_as_it_ends_a_load(applied: World) -> None:
    applied.change(namespace_from="missing")
    with pytest.raises(BadRecordError, match="the namespace, is missing"):
        applied.apply(applied.plan(), MemoryStore())


def test_bad_records_of_a_reconciliation_are_put_aside_and_counted_once(applied: World) -> None:
    applied.change(rules=(FieldRule("of", "of", "int"),), on_bad_record="quarantine")
    store = MemoryStore()
    progress = applied.apply(applied.plan(), store)
    assert store.state
    assert sorted(each.key for each in store.state.applied["m"].rejected) == KEYS
    assert sum(each.rows for each in progress) == 0
    assert list((applied.directory / "bad").glob("*.parquet"))


def unmovable(world: World, *keys: Key) -> None:
    """Let these records of the source hold a vector that no store takes."""
    stored = world.source.database["docs"]  # type: ignore[attr-defined]  # of the memory connector
    for key in keys:
        stored.records[key] = records([key], vectors=[[float("nan")] * 4]).table


def test_a_part_of_the_source_that_the_plan_does_not_know_is_neither_overlooked_nor_pruned(applied: World) -> None:
    applied.change(prune=True)
    plan = applied.plan()
    applied.source.upsert("docs", records(NEW))
    applied.apply(plan, MemoryStore())
    assert applied.target.count("kb") == applied.source.count("docs")


def test_prune_leaves_the_target_its_copy_of_a_record_that_turned_bad(applied: World) -> None:
    applied.change(on_bad_record="quarantine", prune=True)
    unmovable(applied, KEYS[2], KEYS[7])
    progress = applied.apply(applied.plan(), MemoryStore())
    assert sorted(each.key for step in progress for each in step.rejected) == [KEYS[2], KEYS[7]]
    assert applied.target.count("kb") == COUNTS


def test_prune_leaves_it_also_where_the_namespace_of_the_bad_record_cannot_be_told(world: World) -> None:
    keys = [Key("", name) for name in "abc"]
    of_x = records(keys).replace("metadata", pa.array(['{"of": "x"}'] * 3, pa.string()))
    world.source.delete("docs", KEYS)
    world.source.upsert("docs", of_x)
    world.change(on_bad_record="quarantine", prune=True, namespace_from="of")
    world.apply(world.plan(), MemoryStore())
    world.source.upsert("docs", of_x.slice(1, 1).replace("metadata", pa.array(["{}"], pa.string())))
    world.source.delete("docs", keys[2:])
    world.apply(world.plan(), MemoryStore())
    assert world.target.fetch("kb", [Key("x", name) for name in "abc"]).keys == [Key("x", "a"), Key("x", "b")]


def test_prune_empties_a_namespace_that_vanished_from_the_source(applied: World) -> None:
    store = MemoryStore()
    applied.change(prune=True)
    applied.apply(applied.plan(), store)
    assert store.state
    known = replace(store.state.applied["m"], namespaces=tuple(COUNTS))
    store.state = store.state.with_applied("m", known).finished("t")
    applied.target.upsert("kb", records([Key("other", "x")]))
    applied.source.delete("docs", [key for key in KEYS if key.namespace == "two"])
    applied.apply(applied.plan(), store)
    assert applied.target.count("kb") == {"one": COUNTS["one"], "other": 1}


@pytest.mark.parametrize("keeps", [False, True])
def test_a_reconciliation_that_crashed_counts_its_bad_records_once(applied: World, keeps: bool) -> None:
    applied.change(on_bad_record="quarantine")
    applied.limits = Limits(max_quarantined=3)
    unmovable(applied, *KEYS[:3])
    applied.source.upsert("docs", records(NEW))
    for dies_at in (1, 2):
        applied.target.delete("kb", NEW)
        plan, store = replace(applied.plan(), created_at=str(dies_at)), MemoryStore(dies_at=dies_at, keeps=keeps)
        with pytest.raises(Killed):
            applied.apply(plan, store)
        applied.apply(plan, store)
        assert store.state
        assert sorted(each.key for each in store.state.applied["m"].rejected) == KEYS[:3]
        assert sum(each.read for each in store.state.checkpoints) == len(KEYS) + len(NEW) - 3


def test_too_many_bad_records_stop_a_reconciliation_while_it_reads(applied: World) -> None:
    applied.source.upsert("docs", records([Key("one", f"bad{n:03}") for n in range(200)]))
    unmovable(applied, *(Key("one", f"bad{n:03}") for n in range(200)))
    applied.change(on_bad_record="quarantine")
    applied.limits = Limits(max_quarantined=2)
    with pytest.raises(GuardError, match="max_quarantined"):
        applied.apply(applied.plan(), MemoryStore())
    aside = sum(pq.read_metadata(file).num_rows for file in (applied.directory / "bad").glob("*.parquet"))
    assert 2 < aside < 20, "two workers, two records a page"


def test_reading_the_source_is_throttled_in_a_reconciliation(applied: World) -> None:
    applied.limits = Limits(read_records_per_s=20)
    began = time.monotonic()
    applied.apply(applied.plan(), MemoryStore())
    assert time.monotonic() - began > 0.8 * len(KEYS) / 20


class Picky(MemoryOptions, frozen=True):
    """A store that refuses one record."""

    def open(self) -> MemoryConnector:
        return PickyConnector(self, super().open().database)


class PickyConnector(MemoryConnector):
    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        good = [row for row, key in enumerate(batch.keys) if key != KEYS[1]]
        super().upsert(collection, batch.take(good))
        return [Rejected(key, "too odd for this store") for key in batch.keys if key == KEYS[1]]


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_what_conversion_and_target_reject_of_one_batch_is_put_aside_and_told_apart(
    applied: World, dies_at: int, keeps: bool
) -> None:
    options = applied.migration.target.options
    assert isinstance(options, MemoryOptions)
    picky = Picky(options.collection, options.database, 100)
    applied.change(target=with_changes(applied.migration.target, options=picky), on_bad_record="quarantine", limit=100)
    unmovable(applied, KEYS[0])
    applied.source.upsert("docs", records(KEYS[1:4], version=1))
    plan, store = applied.plan(), MemoryStore(dies_at=dies_at, keeps=keeps)
    try:
        applied.apply(plan, store)
    except Killed:
        applied.apply(plan, store)
    assert store.state
    rejected = store.state.applied["m"].rejected
    assert sorted((each.key, each.by_target) for each in rejected) == [(KEYS[0], False), (KEYS[1], True)]
    files = [pq.read_table(file) for file in (applied.directory / "bad").glob("*.parquet")]
    assert {name for file in files for name in file["id"].to_pylist()} == {KEYS[0].id, KEYS[1].id}
    assert sum(file.num_rows for file in files) == 2
