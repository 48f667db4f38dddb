import json
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event

import numpy as np
import pyarrow as pa
import pytest

from tests.comparison.sides import COLLECTION, database, records, sides, twice
from vecmig.comparison.compare import Comparison, compare
from vecmig.comparison.differences import Changed, Compared, Extra, differences
from vecmig.comparison.reading import Side, control, stored
from vecmig.comparison.rounds import named
from vecmig.comparison.sampled import compare_sample, count_only
from vecmig.comparison.sampler import Sampler
from vecmig.comparison.terms import Terms
from vecmig.connectors.memory import MemoryOptions
from vecmig.errors import ConnectorError, Stopped
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.digest import digest_of, key_hashes
from vecmig.model.keytable import key_table
from vecmig.model.plan import Partition
from vecmig.model.record import Key, Rejected
from vecmig.protocols import Source


def compared(source: MemoryOptions, target: MemoryOptions, round_rows: int = 1_000_000) -> Comparison:
    return compare(*sides(source, target), round_rows=round_rows)


def put(options: MemoryOptions, batch: RecordBatch) -> None:
    assert not options.open().upsert(COLLECTION.name, batch)


def remove(options: MemoryOptions, *ids: str) -> None:
    options.open().delete(COLLECTION.name, [Key("", id) for id in ids])


def test_equal_sides_are_equal_whatever_the_order_and_the_pages() -> None:
    source, target = database(records(100), page_rows=3), database(records(40, start=60), records(60), page_rows=50)
    found = compared(source, target)
    assert found.equal
    assert found.matching == found.compared == 100
    assert found.digests == (digest_of(records(100)),) * 2
    assert found.expected == found.actual == {"": 100}


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_one_record_can_be_compared(count: int) -> None:
    found = compared(database(records(count)), database(records(count)))
    assert found.equal
    assert found.compared == count


def test_one_flipped_bit_in_one_vector_is_found() -> None:
    source, target = database(records(100)), database(records(100))
    vectors = records(100).slice(42, 1).vectors("").copy()
    vectors.view(np.uint32)[0, 3] ^= 1
    put(target, records(100).slice(42, 1).replace("vector:", vector_column(vectors)))
    found = compared(source, target)
    assert (found.matching, found.mismatched, found.missing, found.extra) == (99, 1, 0, 0)
    assert found.mismatched_keys == (Key("", "d42"),)


def test_minus_zero_is_not_zero_in_a_vector() -> None:
    zero, minus = (
        records(1).replace("vector:", vector_column(np.full((1, 4), value, np.float32))) for value in (0.0, -0.0)
    )
    assert compared(database(zero), database(minus)).mismatched == 1


def test_a_lost_record_is_missing() -> None:
    source, target = database(records(100)), database(records(100))
    remove(target, "d17")
    found = compared(source, target)
    assert (found.matching, found.missing, found.missing_keys) == (99, 1, (Key("", "d17"),))


def test_vectors_swapped_between_two_ids_are_two_mismatches() -> None:
    batch = records(50)
    vectors = batch.vectors("").copy()
    vectors[[3, 30]] = vectors[[30, 3]]
    found = compared(database(batch), database(batch.replace("vector:", vector_column(vectors))))
    assert found.mismatched_keys == (Key("", "d3"), Key("", "d30"))
    assert found.mismatched == 2


def test_an_integer_that_lost_its_last_bit_is_a_mismatch() -> None:
    source = database(records(1, metadata=f'{{{{"n": {2**53 + 1}}}}}'))
    target = database(records(1, metadata=f'{{{{"n": {2**53}}}}}'))
    assert compared(source, target).mismatched == 1
    same = database(records(1, metadata=f'{{{{"n": {2**53 + 1}.0}}}}'))
    assert compared(source, same).equal


def test_an_extra_record_counts_in_a_namespace_that_the_migration_writes_and_nowhere_else() -> None:
    source = database(records(10, "a"))
    target = database(records(10, "a"), records(1, "a", start=77), records(5, "others"))
    found = compared(source, target)
    assert (found.extra, found.extra_keys) == (1, (Key("a", "d77"),))
    assert found.actual == {"a": 11}
    both = compare(*sides(source, target), Terms(written=["others"]))
    assert both.extra == 6
    assert found.digests != both.digests


def test_what_a_target_holds_is_extra_where_the_source_holds_nothing() -> None:
    assert compared(database(), database(records(3, "a"))).extra == 3


def test_a_target_that_holds_nothing_misses_everything() -> None:
    found = compared(database(records(100)), database())
    assert (found.matching, found.missing) == (0, 100)
    assert len(found.missing_keys) == 20


def test_a_record_that_the_source_gives_twice_is_a_duplicate_and_matches_once() -> None:
    both = database(records(30))
    found = compare(*sides(both, both, source_pages=twice))
    assert found.matching == 30
    assert found.duplicates == len(found.duplicate_keys) == 3, "one in each partition"
    assert not found.equal


def test_a_record_given_twice_that_the_target_lacks_is_missing_once() -> None:
    found = compare(*sides(database(records(30)), database(), source_pages=twice))
    assert (found.missing, found.duplicates, len(found.duplicate_keys)) == (30, 3, 3)


def test_a_record_that_the_target_gives_twice_is_extra() -> None:
    both = database(records(30))
    found = compare(*sides(both, both, target_pages=twice))
    assert (found.matching, found.extra, len(found.extra_keys)) == (30, 3, 3)


@pytest.mark.parametrize("round_rows", [1, 10, 1000])
def test_rounds_of_any_size_find_the_same(round_rows: int) -> None:
    source, target = database(records(100)), database(records(90, start=10, metadata='{{"n": {n}, "v": 2}}'))
    put(target, records(30, start=10))
    put(target, records(5, start=500))
    found = compared(source, target, round_rows)
    assert (found.matching, found.mismatched, found.missing, found.extra) == (30, 60, 10, 5)


def test_a_rejected_record_is_not_expected() -> None:
    source, target = database(records(10)), database(records(9))
    found = compare(*sides(source, target), Terms(excluded=[Key("", "d9")]))
    assert found.equal
    assert found.expected == {"": 9}


def test_a_rejected_record_that_is_there_all_the_same_is_no_extra_but_told() -> None:
    excluded = [Key("", "d9")]
    for metadata in ('{{"n": {n}}}', '{{"old": {n}}}'):
        target = database(records(9), records(1, start=9, metadata=metadata))
        found = compare(*sides(database(records(10)), target), Terms(excluded=excluded))
        assert (found.extra, found.missing, found.mismatched, found.matching, found.aside) == (0, 0, 0, 9, 1)


def without_d9(side: Side) -> Side:
    """A side that cannot move d9."""

    def pages(source: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
        for page in stored(source, part, vectors):
            side.refused.add([Rejected(key, "odd") for key in page.keys if key.id == "d9"])
            yield page.take([row for row, key in enumerate(page.keys) if key.id != "d9"])

    return replace(side, pages=pages)


def test_what_the_source_holds_but_cannot_give_is_not_extra() -> None:
    source, target = sides(database(records(10)), database(records(11)))
    found = compare(without_d9(source), target)
    assert (found.extra_keys, found.matching, found.aside) == ((Key("", "d10"),), 9, 1)
    only = [each for each in differences(without_d9(source), target) if isinstance(each, Extra)]
    assert only == [Extra((Key("", "d10"),))]


def test_what_is_left_in_a_namespace_that_vanished_from_the_source_is_extra() -> None:
    source, target = sides(database(records(5, "a")), database(records(5, "a"), records(3, "b"), records(2, "c")))
    assert compare(source, target).extra == 0, "others may write there"
    found = compare(source, target, Terms(written=["b"]))
    assert (found.extra, found.actual) == (3, {"a": 5, "b": 3})
    only = [
        key
        for each in differences(source, target, Terms(written=["b"]))
        if isinstance(each, Extra)
        for key in each.keys
    ]
    assert {key.namespace for key in only} == {"b"}
    assert len(only) == 3
    assert compare_sample(source, target, 5, Terms(written=["b"])).extra == 3
    assert count_only(source, target, Terms(written=["b"])).extra == 3


def test_a_record_without_a_vector_differs_from_one_with_zeros() -> None:
    none = records(1).replace("vector:", pa.array([None], pa.list_(pa.float32(), 4)))
    zeros = records(1).replace("vector:", vector_column(np.zeros((1, 4), np.float32)))
    assert compared(database(none), database(zeros)).mismatched == 1
    assert compared(database(none), database(none)).equal


def test_an_error_of_one_side_ends_the_comparison_and_is_told() -> None:
    def broken(source: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
        yield from stored(source, part, vectors)
        raise ConnectorError("the table vanished")

    both = database(records(100))
    with pytest.raises(ConnectorError, match="vanished"):
        compare(*sides(both, both, target_pages=broken))
    with pytest.raises(ConnectorError, match="vanished"):
        list(differences(*sides(both, both, source_pages=broken)))


def test_a_stop_ends_the_comparison() -> None:
    stop = Event()
    both = database(records(100))
    with pytest.raises(Stopped, match="again") as stopped:
        compare(*sides(both, both), Terms(stop=stop, watch=lambda side, rows: stop.set()))
    assert "nothing was changed" not in str(stopped.value), "a reconciliation may have written by then"


def test_progress_tells_the_rows_of_each_side() -> None:
    seen: dict[str, int] = {"source": 0, "target": 0}

    def watch(side: str, rows: int) -> None:
        seen[side] += rows

    compare(*sides(database(records(50)), database(records(50)), workers=1), Terms(watch=watch))
    assert seen == {"source": 50, "target": 50}


class TestDifferences:
    def test_writing_and_deleting_them_makes_both_sides_equal(self) -> None:
        source = database(records(200), records(20, "b"))
        target = database(records(150, start=20, metadata='{{"old": {n}}}'), records(9, start=900), records(4, "c"))
        put(target, records(100, start=60))
        seen = {"missing": 0, "mismatched": 0, "extra": 0, "equal": 0}
        for each in differences(*sides(source, target), round_rows=40, extra_keys=2):
            match each:
                case Compared(equal, rows):
                    seen["equal"] = equal
                    assert rows == 220
                case Changed(batch, missing):
                    assert len(batch) == len(missing) > 0
                    seen["missing"] += int(missing.sum())
                    seen["mismatched"] += int((~missing).sum())
                    put(target, batch)
                case Extra(keys):
                    assert len(keys) <= 2
                    seen["extra"] += len(keys)
                    target.open().delete(COLLECTION.name, keys)
        assert seen["missing"] == 20 + 30 + 20
        assert seen["mismatched"] == 50
        assert seen["extra"] == 9
        assert 0 < seen["equal"] <= 100
        assert compared(source, target).equal
        assert target.open().count(COLLECTION.name)["c"] == 4, "a namespace that the source does not hold"

    def test_between_equal_sides_there_are_none(self) -> None:
        (only,) = differences(*sides(database(records(50)), database(records(50))))
        assert only.equal == 50  # type: ignore[union-attr]

    def test_an_empty_source_makes_nothing_extra(self) -> None:
        found = list(differences(*sides(database(), database(records(50))), Terms(written=[""])))
        assert not [each for each in found if isinstance(each, Extra)]

    def test_a_key_that_a_page_holds_twice_is_written_once(self) -> None:
        def doubled(source: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
            for page in stored(source, part, vectors):
                yield RecordBatch(pa.concat_batches([page.table, page.table]))

        for each in differences(*sides(database(records(20)), database(), source_pages=doubled)):
            if isinstance(each, Changed):
                assert len(set(each.batch.keys)) == len(each.batch)

    def test_leaving_early_ends_the_readers(self) -> None:
        found = differences(*sides(database(records(500), page_rows=1), database()))
        next(found)
        next(found)
        found.close()  # hangs if a worker waits for room


class TestSample:
    @pytest.mark.parametrize("fetch", [True, False])
    def test_an_equal_sample_leaves_the_rest_unknown(self, fetch: bool) -> None:
        found = compare_sample(*sides(database(records(100)), database(records(100)), fetch=fetch), 10)
        assert (found.matching, found.unknown, found.sample) == (10, 90, 10)
        assert found.digests is None

    def test_a_sample_sees_what_every_record_suffers(self) -> None:
        target = database(records(50, metadata='{{"n": {n}, "x": 1}}'))
        found = compare_sample(*sides(database(records(100)), target), 40)
        assert found.matching == 0
        assert found.missing > 0
        assert found.mismatched > 0
        assert found.missing + found.mismatched == 40

    def test_a_surplus_of_the_target_is_extra(self) -> None:
        target = database(records(103), records(8, "others"))
        assert compare_sample(*sides(database(records(100)), target), 10).extra == 3

    def test_a_sample_of_nothing_is_nothing(self) -> None:
        found = compare_sample(*sides(database(), database()), 10)
        assert (found.compared, found.unknown) == (0, 0)

    def test_it_is_the_same_in_whatever_order_records_come(self) -> None:
        once, again = Sampler(10), Sampler(10)
        whole = records(300)
        for start in range(0, 300, 7):
            page = whole.slice(start, 7)
            once.add(page, key_hashes(page))
        for start in range(299, -1, -1):
            page = whole.slice(start, 1)
            again.add(page, key_hashes(page))
        first, second = once.records(), again.records()
        assert first
        assert second
        assert len(first) == 10
        assert sorted(first.keys) == sorted(second.keys)

    def test_counts_alone_show_a_lost_and_a_surplus_record_in_different_namespaces(self) -> None:
        source = database(records(10, "a"), records(10, "b"))
        target = database(records(9, "a"), records(11, "b"))
        found = count_only(*sides(source, target))
        assert (found.missing, found.extra, found.unknown) == (1, 1, 20)


def test_metadata_is_compared_by_value_not_by_text() -> None:
    source = database(records(1, metadata=json.dumps({"a": 1, "b": 1.0}).replace("{", "{{").replace("}", "}}")))
    target = database(records(1, metadata='{{"b":1,"a":1.0}}'))
    assert compared(source, target).equal


def test_of_many_keys_that_only_the_target_has_no_more_are_held_than_are_shown() -> None:
    batch = records(4_000)
    both = database(batch, page_rows=100)
    side, _ = sides(both, both, workers=1)
    wanted = key_table(key_hashes(batch))[0]
    tracemalloc.start()
    try:
        found = named(side, wanted, control(), 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == sorted(batch.keys)[:20]
    assert peak < 400_000, "4,000 keys take 700,000 bytes"


def test_a_sampled_record_that_the_source_does_not_give_by_its_key_is_missing_unless_it_is_known_to_be_bad() -> None:
    both = database(records(10))

    def fetch(store: Source, keys: Sequence[Key]) -> RecordBatch:
        return store.fetch(COLLECTION.name, [key for key in keys if key.id not in ("d1", "d2")])

    source, target = sides(both, both)
    source = replace(source, fetch=fetch)
    source.refused.add([Rejected(Key("", "d1"), "odd")])
    found = compare_sample(source, target, 100)
    assert (found.matching, found.missing, found.missing_keys, found.unknown) == (8, 1, (Key("", "d2"),), 1)
