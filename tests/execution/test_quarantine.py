"""Records put aside: each of them once, whole, with its reason, whoever rejected it and whatever happens meanwhile."""

import os
from collections.abc import Sequence
from dataclasses import replace as with_changes
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.execution.test_apply import leak
from tests.execution.world import Killed, MemoryStore, World
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.errors import StateError
from vecmig.execution.quarantine import Quarantine
from vecmig.model.batch import Key, RecordBatch, Rejected
from vecmig.model.plan import Partition
from vecmig.testing.contract import KEYS, records

CONVERSION_REJECTS, TARGET_REJECTS = KEYS[3], KEYS[1]  # of one batch


class Choosy(MemoryOptions, frozen=True):
    """A target that cannot hold one of the records."""

    def open(self) -> "MemoryConnector":
        return ChoosyConnector(self, super().open().database)


class ChoosyConnector(MemoryConnector):
    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        refused = [Rejected(key, "too choosy") for key in batch.keys if key == TARGET_REJECTS]
        kept = [row for row, key in enumerate(batch.keys) if key != TARGET_REJECTS]
        return [*refused, *super().upsert(collection, batch.take(kept))]


@pytest.fixture
def twofold(world: World) -> World:
    """Two records of one batch are bad: one in conversion, one for the target."""
    leak(world)
    options = world.migration.target.options
    assert isinstance(options, MemoryOptions)
    choosy = Choosy(options.collection, options.database, options.page_rows)
    world.change(target=with_changes(world.migration.target, options=choosy), on_bad_record="quarantine")
    return world


def put_aside(directory: Path) -> list[tuple[Key, str]]:
    rows = [row for file in directory.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    return sorted((Key(row["namespace"], row["id"]), row["reason"]) for row in rows)


BOTH = [(TARGET_REJECTS, "too choosy"), (CONVERSION_REJECTS, "the vector holds NaN or infinity")]


def test_what_conversion_and_what_the_target_rejects_of_one_batch_are_both_put_aside(twofold: World) -> None:
    store = MemoryStore()
    twofold.apply(twofold.plan(), store)
    assert put_aside(twofold.directory / "bad") == BOTH
    assert store.state
    assert sorted((each.key, each.by_target) for each in store.state.applied["m"].rejected) == [
        (TARGET_REJECTS, True),
        (CONVERSION_REJECTS, False),
    ]
    assert sum(twofold.target.count("kb").values()) == len(KEYS) - 2


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4, 5])
def test_a_crash_puts_no_bad_record_aside_twice_and_loses_none(twofold: World, dies_at: int, keeps: bool) -> None:
    plan, store = twofold.plan(), MemoryStore(dies_at=dies_at, keeps=keeps)
    with pytest.raises(Killed):
        twofold.apply(plan, store)
    twofold.apply(plan, store)
    assert put_aside(twofold.directory / "bad") == BOTH
    assert store.state
    assert sorted(each.key for each in store.state.applied["m"].rejected) == [key for key, _ in BOTH]


def test_what_was_mended_while_a_run_was_stopped_is_not_put_aside_any_more(world: World) -> None:
    world.apply(world.plan(), MemoryStore())
    sound = world.migration.source
    leak(world)
    world.change(on_bad_record="quarantine")
    plan, store = world.plan(), MemoryStore(dies_at=1, keeps=False)
    with pytest.raises(Killed):
        world.apply(plan, store)
    other = world.directory / "bad" / "m-other-0123456789abcdef.parquet"
    other.touch()
    assert len(list((world.directory / "bad").glob("m-*.parquet"))) == 2
    world.change(source=sound)
    world.apply(plan, store)
    assert list((world.directory / "bad").glob("*.parquet")) == [other], "that of another migration"
    assert store.state
    assert store.state.applied["m"].rejected == ()


def test_another_batch_of_a_repeated_reconciliation_overwrites_nothing(tmp_path: Path) -> None:
    bad, part = records(KEYS[:2]), Partition("docs", "")
    for row in (0, 1, 1):
        reasons = [Rejected(KEYS[row], "bad")]
        Quarantine(tmp_path).put("m", part, "1", bad.take([row]), reasons)
    assert put_aside(tmp_path) == [(KEYS[0], "bad"), (KEYS[1], "bad")]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).suffix or 'directory'}")
        fsync(descriptor)

    def replaced(old: Path, new: Path) -> None:
        steps.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    Quarantine(tmp_path / "bad").put("m", Partition("docs", ""), "1", records(KEYS[:1]), [Rejected(KEYS[0], "bad")])
    assert steps == ["sync directory", "sync .tmp", "rename", "sync directory"]


def test_a_place_that_takes_no_file_is_a_clear_error_and_no_defect(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"")
    aside = Quarantine(tmp_path / "full" / "p")
    bad = records(KEYS[:1])
    with pytest.raises(StateError, match=r"cannot put aside 1 bad records in .*make room"):
        aside.put("m", Partition("docs", "0"), "c", bad.take([0]), [Rejected(bad.keys[0], "too choosy")])
