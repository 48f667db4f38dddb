"""A migration is proven against its source as it is now."""

import time
from collections.abc import Sequence
from dataclasses import replace as with_changes
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest

from tests.execution.world import MemoryStore, World
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.errors import TransientError
from vecmig.migration import Endpoint
from vecmig.model.batch import Key
from vecmig.model.collection import Collection
from vecmig.model.digest import digest_of
from vecmig.model.plan import Partition
from vecmig.model.report import Report
from vecmig.model.settings import Sample, Thresholds, Verification
from vecmig.protocols import Counts
from vecmig.testing.contract import KEYS, records
from vecmig.verification.migration import Proof, prove

ALL = Verification(search=None)
SAMPLE = Verification(records=Sample(100), search=None)
NONE = Verification(records="none", search=None)


@pytest.fixture
def applied(tmp_path: Path) -> World:
    world = World(tmp_path.name, tmp_path)
    world.change(verification=ALL)
    world.apply(world.plan(), MemoryStore())
    return world


def proven(world: World, excluded: list[Key] | None = None, **more: Any) -> Report:
    more = {
        name: dict.fromkeys(value) if name == "refused" and isinstance(value, list) else value
        for name, value in more.items()
    }
    proof = Proof("p", "e", frozenset(excluded or []), workers=2, **more)
    steps = prove(world.migration, proof, Event())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: Report = end.value
            return report


def unmovable(world: World, *keys: Key) -> None:
    stored = world.source.database["docs"]  # type: ignore[attr-defined]  # of the memory connector
    for key in keys:
        stored.records[key] = records([key], vectors=[[float("nan")] * 4]).table


@pytest.mark.parametrize("how", [ALL, SAMPLE, NONE], ids=["all", "sample", "none"])
def test_a_record_that_was_put_aside_and_mended_since_is_missing(applied: World, how: Verification) -> None:
    applied.change(verification=how)
    applied.target.delete("kb", KEYS[:2])
    unmovable(applied, KEYS[1])
    report = proven(applied, KEYS[:2], refused=KEYS[:1])
    assert (report.verdict, report.quarantined) == ("passed", 2), "the target refused one, and one is still bad"
    applied.source.upsert("docs", records([KEYS[1]]))
    report = proven(applied, KEYS[:2], refused=KEYS[:1])
    assert (report.verdict, [each.measure for each in report.breaches]) == ("failed", ["missing"])
    assert report.quarantined == 1


@pytest.mark.parametrize("how", [ALL, SAMPLE, NONE], ids=["all", "sample", "none"])
def test_a_record_that_the_target_refused_is_missing_once_the_source_has_another(
    applied: World, how: Verification
) -> None:
    applied.change(verification=how)
    applied.target.delete("kb", KEYS[:1])
    refused = {KEYS[0]: digest_of(records(KEYS[:1]))}
    report = proven(applied, KEYS[:1], refused=refused)
    assert (report.verdict, report.quarantined) == ("passed", 1)
    applied.source.upsert("docs", records(KEYS[:1], version=1))
    report = proven(applied, KEYS[:1], refused=refused)
    assert (report.verdict, [each.measure for each in report.breaches]) == ("failed", ["missing"])
    assert report.quarantined == 0
    applied.target.upsert("kb", records(KEYS[:1], version=1))
    assert proven(applied, KEYS[:1], refused=refused).verdict == "passed"
    applied.source.delete("docs", KEYS[:1])
    applied.target.delete("kb", KEYS[:1])
    assert proven(applied, KEYS[:1], refused=refused).verdict == "passed"


def test_a_sampled_record_that_cannot_be_moved_fails_unless_it_was_put_aside(applied: World) -> None:
    applied.change(verification=SAMPLE)
    unmovable(applied, KEYS[3])
    report = proven(applied)
    assert report.verdict == "failed"
    assert "cannot be moved" in report.breaches[-1].hint
    applied.target.delete("kb", [KEYS[3]])
    assert proven(applied, [KEYS[3]], refused=[]).verdict == "passed"


def test_records_that_cannot_be_moved_pass_within_the_threshold_of_missing_ones(applied: World) -> None:
    unmovable(applied, KEYS[3])
    applied.target.delete("kb", KEYS[3:5])
    for allowed, verdict in ((1, "failed"), (2, "passed")):
        applied.change(verification=with_(ALL, Thresholds(missing=allowed)))
        assert proven(applied).verdict == verdict


def with_(verification: Verification, thresholds: Thresholds) -> Verification:
    return Verification(verification.records, verification.search, thresholds)


@pytest.mark.parametrize("how", [ALL, SAMPLE, NONE], ids=["all", "sample", "none"])
def test_what_is_left_in_a_namespace_that_vanished_from_the_source_fails(applied: World, how: Verification) -> None:
    applied.change(verification=how)
    applied.source.delete("docs", [key for key in KEYS if key.namespace == "two"])
    report = proven(applied, written=["one", "two"])
    assert [each.measure for each in report.breaches] == ["extra"]
    assert report.count
    assert set(report.count.actual) == {"one", "two"}


def test_a_source_that_was_emptied_fails_and_is_told_that_prune_deletes_nothing(applied: World) -> None:
    applied.source.delete("docs", KEYS)
    applied.change(prune=True)
    store = MemoryStore()
    assert not any(each.deleted for each in applied.apply(applied.plan(), store))
    (breach,) = proven(applied, written=["one", "two"]).breaches
    assert breach.measure == "extra"
    assert "the source is empty" in breach.hint
    assert "prune" in breach.hint


class WeakConnector(MemoryConnector):
    """A store whose every look fails the first time."""

    failed: ClassVar[set[str]] = set()

    def _once(self, look: str) -> None:
        if (here := f"{self.options.collection} {look}") not in self.failed:
            self.failed.add(here)
            raise TransientError(f"{look}: the connection was lost")

    def describe(self, collection: str) -> Collection | None:
        self._once("describe")
        return super().describe(collection)

    def count(self, collection: str) -> Counts:
        self._once("count")
        return super().count(collection)

    def partitions(self, collection: str, at_most: int) -> Sequence[Partition]:
        self._once("partitions")
        return super().partitions(collection, at_most)


class Weak(MemoryOptions, frozen=True):
    def open(self) -> MemoryConnector:
        return WeakConnector(self, super().open().database)


def test_a_store_that_is_away_for_a_moment_is_waited_for(applied: World) -> None:
    def weak(endpoint: Endpoint) -> Endpoint:
        options = endpoint.options
        assert isinstance(options, MemoryOptions)
        return with_changes(endpoint, options=Weak(options.collection, options.database, options.page_rows))

    WeakConnector.failed.clear()
    applied.change(source=weak(applied.migration.source), target=weak(applied.migration.target))
    assert proven(applied).verdict == "passed"
    assert WeakConnector.failed == {
        f"{s} {look}" for s in ("docs", "kb") for look in ("describe", "count", "partitions")
    }


def test_what_is_kept_of_a_record_that_turned_bad_is_no_extra_but_noted(applied: World) -> None:
    unmovable(applied, KEYS[3])
    report = proven(applied, [KEYS[3]], refused=[])
    assert (report.verdict, report.quarantined) == ("passed", 1)
    assert any("put aside are in the target all the same" in note for note in report.notes)


def test_reading_the_source_is_throttled(applied: World) -> None:
    began = time.monotonic()
    assert proven(applied, read_records_per_s=20).verdict == "passed"
    assert time.monotonic() - began > 0.8 * len(KEYS) / 20
