"""What a plan asks of both stores, against what copy, comparison and proof read and write."""

from collections.abc import Sequence
from dataclasses import replace as with_changes
from typing import Any

import pyarrow as pa
import pytest

from vecmig.connectors.memory import MemoryOptions
from vecmig.migration import Endpoint, Migration
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.effort import ROUND_ROWS
from vecmig.model.filter import parse
from vecmig.model.observed import Observed
from vecmig.model.plan import Bounds, Conversion, Cost, Fingerprint, LoadRecords, Partition, ReconcileRecords, exactly
from vecmig.model.settings import Queries, Sample, Search, Verification
from vecmig.planning.costs import Planned, record_bytes, work
from vecmig.planning.plan import plan_migration
from vecmig.protocols import Work
from vecmig.testing.contract import KEYS, records

SHAPE = Collection("docs", (VectorField("", 4, "cosine"),))
COUNTS = {"big": 1_000, "small": 10}
ALONE = Verification(search=None)  # every record, and no search
MIGRATION = Migration(
    "m",
    Endpoint("s", "memory", MemoryOptions("docs")),
    Endpoint("t", "memory", MemoryOptions("kb")),
    verification=ALONE,
)
LOAD = LoadRecords("m", "docs", "kb", (Partition("docs", "0"), Partition("docs", "1")), Conversion())
COMPARE = ReconcileRecords("m", "docs", "kb", Conversion(), prune=False)


def planned(move: LoadRecords | ReconcileRecords | None = LOAD, **changes: Any) -> Planned:
    there = changes.pop("there", {})
    mends, written = changes.pop("mends", False), changes.pop("written", frozenset())
    given = changes.pop("given", COUNTS)
    source = Observed(SHAPE, given, partitions=LOAD.partitions)
    target = Observed(SHAPE if there else None, there)
    migration = with_changes(MIGRATION, **changes)
    return Planned(migration, SHAPE, source, target, move, proves=True, mends=mends, written=written)


def read(asked: Sequence[Work], step: str) -> dict[str | None, Bounds]:
    """Return how many records a step goes through in each namespace."""
    found: dict[str | None, Bounds] = {}
    for each in asked:
        if each.step == step and each.passes.high:
            found[each.namespace] = found.get(each.namespace, exactly(0)) + each.records * each.passes
    return found


def written(asked: Sequence[Work]) -> dict[str | None, Bounds]:
    return {each.namespace: each.written for each in asked if each.written.high}


def test_a_load_reads_the_source_once_and_its_proof_reads_both_sides_once() -> None:
    source, target = work(planned())
    whole = {"big": exactly(1_000), "small": exactly(10)}
    assert read(source, "copy") == read(source, "proof") == read(target, "proof") == whole
    assert written(target) == whole
    assert {each.parts for each in target if each.written.high} == {2}


def test_a_proof_by_sample_reads_the_source_and_fetches_the_sample_on_both_sides() -> None:
    source, target = work(planned(verification=Verification(Sample(100), None)))
    assert read(source, "proof") == {"big": exactly(1_000), "small": exactly(10)}
    assert read(target, "proof") == {}
    for side in (source, target):
        assert [(each.namespace, each.fetched) for each in side if each.fetched.high] == [(None, exactly(100))]


def test_a_proof_of_counts_alone_reads_nothing_of_the_target() -> None:
    source, target = work(planned(verification=Verification("none", None)))
    assert read(source, "proof") == {"big": exactly(1_000), "small": exactly(10)}
    assert [each for each in target if each.step == "proof"] == []


def test_a_filter_leaves_open_what_is_written_but_the_source_is_read_whole() -> None:
    source, target = work(planned(where=parse({"lang": "en"})))
    assert read(source, "copy") == {"big": exactly(1_000), "small": exactly(10)}
    assert written(target) == {"big": Bounds(0, 1_000), "small": Bounds(0, 10)}


def test_a_limit_ends_the_reading_in_a_namespace_that_is_not_known_before() -> None:
    source, target = work(planned(limit=20))
    assert read(source, "copy") == {None: exactly(20)}
    assert written(target) == {None: exactly(20)}
    only, _ = work(planned(limit=20, given={"big": 1_000}))
    assert read(only, "copy") == {"big": exactly(20)}
    filtered, _ = work(planned(limit=20, where=parse({"lang": "en"})))
    assert read(filtered, "copy") == {None: Bounds(20, 1_010)}


def test_namespaces_from_a_field_are_not_known_before() -> None:
    _, target = work(planned(namespace_from="tenant"))
    assert written(target) == {None: exactly(1_010)}


@pytest.mark.parametrize(("rows", "rounds"), [(ROUND_ROWS - 1, 1), (ROUND_ROWS, 2), (3 * ROUND_ROWS, 4)])
def test_a_comparison_goes_through_both_sides_once_and_again_for_each_round_that_differs(
    rows: int, rounds: int
) -> None:
    move = ReconcileRecords("m", "docs", "kb", Conversion(), prune=True)
    source, target = work(planned(move, given={"a": 5}, there={"a": rows}))
    assert [each.passes for each in source if each.step == "comparison"] == [Bounds(1, 1 + rounds)]
    # the target's keys once more, to name those that only it has
    assert [each.passes for each in target if each.step == "comparison"] == [Bounds(1, 1 + 2 * rounds)]
    assert [each.passes for each in target if each.step == "proof"] == [exactly(1)]


def test_a_reconciliation_writes_from_nothing_to_everything_and_leaves_what_the_two_sides_hold_together() -> None:
    _, target = work(planned(COMPARE, given={"a": 10}, there={"a": 4, "b": 3}, written=frozenset("b")))
    assert written(target) == {"a": Bounds(0, 10)}
    held = {each.namespace: each.records for each in target if each.step == "proof"}
    assert held == {"a": Bounds(10, 14), "b": exactly(3)}


def test_a_target_with_namespaces_of_others_is_read_once_more() -> None:
    _, mine = work(planned(COMPARE, given={"a": 10}, there={"a": 10}))
    _, shared = work(planned(COMPARE, given={"a": 10}, there={"a": 10, "b": 10}))
    least = [{each.passes.low for each in side if each.step == "comparison"} for side in (mine, shared)]
    assert least == [{1}, {2}]


def test_what_did_not_pass_may_be_compared_key_by_key_again() -> None:
    for mends, most in ((False, 1), (True, 3)):
        _, target = work(planned(None, given={"a": 10}, there={"a": 10}, mends=mends))
        assert [each.passes for each in target] == [Bounds(1, most)]


def test_a_search_asks_each_side_for_the_queries_of_its_largest_namespaces() -> None:
    counts = {name: 100 * n for n, name in enumerate("abcdefg", start=1)}
    asked = Verification(search=Search(Queries(200)))
    source, target = work(planned(given=counts, verification=asked, filters=(parse({"x": 1}), parse({"y": 1}))))
    for side in (source, target):
        queries = {each.namespace: each.queries for each in side if each.queries.high}
        # the filters, only if the store can run them
        assert queries == dict.fromkeys("gfedc", Bounds(40, 120))
    assert {each.exact for each in source} == {exactly(0)}
    assert {each.exact for each in target if each.queries.high} == {Bounds(1, 3)}


def test_a_small_namespace_has_no_more_queries_than_records() -> None:
    source, _ = work(planned(given={"a": 3}, verification=Verification(search=Search(Queries(200)))))
    assert [each.queries for each in source if each.queries.high] == [exactly(3)]


def test_a_search_that_cannot_be_compared_asks_the_source_nothing() -> None:
    asked = Verification(search=Search(Queries(200)))
    by_l2 = Collection("kb", (VectorField("", 4, "l2"),))
    for each in (
        planned(verification=asked, limit=10),
        planned(verification=asked, namespace_from="tenant"),
        with_changes(planned(verification=asked), declared=by_l2),
    ):
        source, target = work(each)
        assert not any(each.queries.high for each in source)
        assert any(each.queries.high for each in target)


def test_queries_of_a_proof_that_reads_no_vectors_are_fetched() -> None:
    wanted = Verification("none", Search(Queries(20)))
    source, _ = work(planned(verification=wanted))
    assert [(each.namespace, each.fetched) for each in source if each.fetched.high] == [
        ("big", exactly(10)),
        ("small", exactly(10)),
    ]
    source, _ = work(planned(verification=wanted, namespace_from="tenant"))
    assert read(source, "proof") == {"big": exactly(2_000), "small": exactly(20)}, "keys are not the source's"


def test_an_empty_source_asks_for_nothing() -> None:
    source, target = work(planned(given={}))
    assert not source
    assert not target


def test_a_record_is_as_large_as_its_id_its_vectors_and_its_metadata() -> None:
    fields = (VectorField("", 4, "cosine"), VectorField("s", 0, "dot", "sparse"))
    rows = [
        {"id": "ab", "namespace": "n", "metadata": "{}", "vector:": [1.0] * 4, "sparse:s": None},
        {
            "id": "cd",
            "namespace": "n",
            "metadata": '{"a":1}',
            "vector:": None,
            "sparse:s": {"indices": [1, 2, 3], "values": [1.0] * 3},
        },
    ]
    batch = RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(fields)))
    assert record_bytes(batch) == 27  # (2 + 2 + 16 + 2 + 7 + 24) / 2, rounded up
    assert record_bytes(None) == record_bytes(batch.slice(0, 0)) == 0


class Metered(MemoryOptions, frozen=True):
    """A store that charges a dollar for each record read and two for each written."""

    def costs(self, work: Sequence[Work], record_bytes: int) -> Sequence[Cost]:
        reads = sum((each.records * each.passes for each in work), Bounds())
        writes = sum((each.written for each in work), Bounds())
        found = (Cost("Toll", "reads", "R", reads, reads), Cost("Toll", "writes", "W", writes, writes * exactly(2)))
        return [cost for cost in found if cost.units.high]


def test_the_costs_of_a_plan_tell_side_and_store_and_what_they_rest_on() -> None:
    ends = {
        "source": Endpoint("s", "toll", Metered("docs")),
        "target": Endpoint("t", "toll", Metered("kb")),
    }
    source = Observed(SHAPE, {"one": 5, "two": 5}, Fingerprint("1", "exact"), records(KEYS), LOAD.partitions)
    plan = plan_migration(with_changes(MIGRATION, **ends), source, Observed(None, {}), None, "mark")  # type: ignore[arg-type]  # ends
    assert [(cost.side, cost.store, cost.what, cost.usd) for cost in plan.estimate.costs] == [
        ("source", "toll docs", "reads", exactly(20)),
        ("target", "toll kb", "reads", exactly(10)),
        ("target", "toll kb", "writes", exactly(20)),
    ]
    assert "the mean of 10 sampled; copy reads once, proof reads once" in plan.estimate.costs[0].basis
    filtered = with_changes(MIGRATION, **ends, where=parse({"lang": "en"}))  # type: ignore[arg-type]  # as above
    unknown = plan_migration(filtered, source, Observed(None, {}), None, "mark").estimate
    assert unknown.rows is None
    assert unknown.costs[0].usd == exactly(20)


def test_no_changes_cost_nothing() -> None:
    source, target = work(with_changes(planned(None, there=COUNTS), proves=False))
    assert not source
    assert not target
