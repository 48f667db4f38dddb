"""A target that holds records is made equal to its source, and nothing else is touched."""

import numpy as np
import pytest

from tests.execution.world import Killed, MemoryStore, World
from vecmig.errors import BadRecordError
from vecmig.model.batch import Key
from vecmig.model.digest import digest_of
from vecmig.model.plan import FieldRule, ReconcileRecords
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
