import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

from tests.comparison.sides import COLLECTION, database, records, sides, twice
from vecmig.comparison.reading import Side, stored
from vecmig.comparison.terms import Terms
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.errors import CollectionNotFound, Stopped, UnsupportedError
from vecmig.migration import Endpoint, Migration
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.filter import parse
from vecmig.model.plan import Conversion, FieldRule, Partition
from vecmig.model.record import Key
from vecmig.model.report import Report
from vecmig.model.settings import Queries, Sample, Search, Thresholds, Verification
from vecmig.protocols import Capabilities, Hits, Source
from vecmig.protocols import Search as Query
from vecmig.verification.asked import Searching
from vecmig.verification.verify import verify


@dataclass(frozen=True, slots=True)
class Store:
    """A memory connector whose search is not what it ought to be."""

    inner: MemoryConnector
    answer: Callable[[MemoryConnector, Query], list[Hits]] = lambda inner, search: inner.search(COLLECTION.name, search)
    searchable: bool = True

    @property
    def capabilities(self) -> Capabilities:
        return replace_searchable(self.inner.capabilities, self.searchable)

    def search(self, collection: str, search: Query) -> list[Hits]:
        return self.answer(self.inner, search)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def replace_searchable(capabilities: Capabilities, searchable: bool) -> Capabilities:
    return Capabilities(capabilities.max_batch_bytes, searchable)


def cut(hits: Hits, keep: Callable[[int], bool]) -> Hits:
    rows = [n for n in range(len(hits.keys)) if keep(n)]
    return Hits([hits.keys[n] for n in rows], hits.distances[rows])


def half_blind(inner: MemoryConnector, search: Query) -> list[Hits]:
    """An index that misses every other record, where the search is not exact."""
    hits = inner.search(COLLECTION.name, search)
    return hits if search.exact else [cut(each, lambda n: n % 2 == 0) for each in hits]


def nothing(inner: MemoryConnector, search: Query) -> list[Hits]:
    return [Hits([], np.empty(0, np.float32)) for _ in search.queries]


def no_filters(inner: MemoryConnector, search: Query) -> list[Hits]:
    if search.filter is not None:
        raise UnsupportedError("no filters here")
    return inner.search(COLLECTION.name, search)


def proven(
    source: MemoryOptions,
    target: MemoryOptions,
    verification: Verification | None = None,
    filters: Sequence[object] = (),
    of_source: Callable[[MemoryConnector, Query], list[Hits]] | None = None,
    of_target: Callable[[MemoryConnector, Query], list[Hits]] | None = None,
    conversion: Conversion | None = None,
    excluded: Sequence[Key] = (),
    written: Sequence[str] = (),
    stop: Event | None = None,
) -> Report:
    migration = Migration(
        "m",
        Endpoint("a", "memory", source),
        Endpoint("b", "memory", target),
        verification=verification or Verification(),
        filters=tuple(map(parse, filters)),
    )
    first, second = sides(source, target)
    if of_source is not None:
        first = opening(first, lambda: Store(source.open(), of_source))
    if of_target is not None:
        second = opening(second, lambda: Store(target.open(), of_target))
    return verify(
        migration,
        first,
        second,
        Terms(written, excluded, stop=stop),
        Searching(conversion or Conversion()),
        project="p",
        environment="e",
    )


def opening(side: Side, open: Callable[[], object]) -> Side:
    return Side(side.name, side.collection, open, side.partitions, side.pages, side.fetch, side.workers)  # type: ignore[arg-type]


def measures(report: Report) -> list[str]:
    return [breach.measure for breach in report.breaches]


def test_equal_sides_pass_with_perfect_search() -> None:
    report = proven(database(records(60)), database(records(60)))
    assert (report.verdict, report.breaches) == ("passed", ())
    assert report.records
    assert report.records.matching == 60
    assert report.records.digests
    assert len(set(report.records.digests)) == 1
    (check,) = report.search
    assert (check.queries, check.perfect, check.recall) == (60, 60, None)
    assert check.overlap
    assert check.overlap.mean == check.overlap.low == check.overlap.high == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_records_are_enough(count: int) -> None:
    report = proven(database(records(count)), database(records(count)))
    assert report.verdict == "passed"
    assert len(report.search) == (1 if count else 0)


def test_a_lost_a_differing_and_an_extra_record_fail_each_with_its_way_out() -> None:
    source, target = database(records(50)), database(records(49), records(1, start=500))
    changed = records(50).slice(7, 1)
    target.open().upsert(COLLECTION.name, changed.replace("metadata", pa.array(['{"n": 8}'])))
    report = proven(source, target)
    assert report.verdict == "failed"
    assert measures(report) == ["missing", "mismatched", "extra"]
    assert "prune: true" in report.breaches[2].hint


def test_what_the_thresholds_allow_passes() -> None:
    limits = Thresholds(missing=1, extra=2, mismatched=1, overlap=0, recall=0)
    source, target = database(records(50)), database(records(49), records(2, start=500))
    assert proven(source, target, Verification(thresholds=limits)).verdict == "passed"


def test_records_in_a_namespace_of_others_are_not_counted() -> None:
    report = proven(database(records(20, "a")), database(records(20, "a"), records(9, "others")))
    assert report.verdict == "passed"
    assert report.count
    assert report.count.actual == {"a": 20}
    assert [check.namespace for check in report.search] == ["a"]


def test_vectors_swapped_between_ids_fail() -> None:
    batch = records(50)
    vectors = batch.vectors("").copy()
    vectors[[3, 30]] = vectors[[30, 3]]
    report = proven(database(batch), database(batch.replace("vector:", vector_column(vectors))))
    assert (report.verdict, report.breaches[0].actual) == ("failed", 2)


def test_an_integer_rounded_to_a_double_fails() -> None:
    exact, rounded = (
        records(1, metadata=json.dumps({"n": number}).replace("{", "{{").replace("}", "}}"))
        for number in (2**53 + 1, 2**53)
    )
    assert measures(proven(database(exact), database(rounded))) == ["mismatched"]


def test_two_records_under_one_key_fail_as_one_is_lost() -> None:
    both = database(records(30))
    migration = Migration("m", Endpoint("a", "memory", both), Endpoint("b", "memory", both))
    report = verify(migration, *sides(both, both, source_pages=twice), project="p", environment="e")
    assert measures(report) == ["duplicates"]


def test_a_filter_that_the_index_gives_too_little_for_has_a_way_out_of_its_own() -> None:
    def half_blind_with_filters(inner: MemoryConnector, search: Query) -> list[Hits]:
        return inner.search(COLLECTION.name, search) if search.filter is None else half_blind(inner, search)

    both = database(records(200))
    report = proven(both, both, filters=[{"n": {"gte": 0}}], of_target=half_blind_with_filters)
    assert measures(report) == ["overlap", "recall"]
    assert all("iterative_scan" in breach.hint for breach in report.breaches)


def test_a_target_whose_search_returns_nothing_fails() -> None:
    report = proven(database(records(60)), database(records(60)), of_target=nothing)
    assert report.verdict == "failed"
    assert measures(report)[0] == "overlap"
    assert report.search[0].perfect == 0


def test_an_index_that_misses_half_fails_by_its_recall_and_its_overlap() -> None:
    report = proven(database(records(200)), database(records(200)), of_target=half_blind)
    assert measures(report) == ["overlap", "recall"]
    (check,) = report.search
    assert check.recall
    assert check.recall.low <= check.recall.mean <= check.recall.high < 0.7
    assert "ef_search" in report.breaches[1].hint
    assert "iterative_scan" not in report.breaches[1].hint, "no filter, no use"
    assert len(check.recalls) == len(check.overlaps) == check.queries == 200


def test_another_record_at_the_same_distance_is_no_loss_of_recall() -> None:
    same = records(40).replace("vector:", vector_column(np.ones((40, 4), np.float32)))

    def others(inner: MemoryConnector, search: Query) -> list[Hits]:
        every = Query(search.queries, 40, namespace=search.namespace)
        hits = inner.search(COLLECTION.name, every)
        if search.exact:
            return [cut(each, lambda n: n < search.k) for each in hits]
        return [cut(each, lambda n: n >= 40 - search.k) for each in hits]

    report = proven(database(same), database(same), of_target=others)
    (check,) = report.search
    assert check.recall
    assert check.recall.mean == 1
    assert measures(report) == ["overlap"]


def test_a_filter_that_only_the_target_can_run_gives_recall_alone() -> None:
    def well(inner: MemoryConnector, search: Query) -> list[Hits]:
        return inner.search(COLLECTION.name, search)

    both = database(records(50))
    report = proven(both, both, filters=[{"n": {"lt": 25}}], of_source=no_filters, of_target=well)
    assert report.verdict == "passed"
    plain, filtered = report.search
    assert plain.overlap
    assert filtered.overlap is None
    assert filtered.recall
    assert filtered.recall.mean == 1
    assert "no filters here" in filtered.note


def test_a_source_that_cannot_search_leaves_the_overlap_undecided() -> None:
    def never(inner: MemoryConnector, search: Query) -> list[Hits]:
        raise UnsupportedError("it holds no index")

    both = database(records(50))
    report = proven(both, both, of_source=never)
    assert report.verdict == "unknown"
    assert [(each.measure, each.actual) for each in report.breaches] == [("overlap", None)]
    left_out = Verification(thresholds=Thresholds(overlap=0))
    assert proven(both, both, left_out, of_source=never).verdict == "passed"


def test_a_field_that_the_migration_renames_is_no_filter_for_the_source() -> None:
    rules = (FieldRule("number", "n"),)
    target = database(records(20, metadata='{{"number": {n}}}'))
    report = proven(target, target, filters=[{"number": 3}], conversion=Conversion(fields=rules))
    assert report.search[1].overlap is None
    assert "number" in report.search[1].note


def test_a_field_that_is_typed_but_keeps_its_values_filters_both_sides() -> None:
    rules = (FieldRule("n", "n", "int"),)
    both = database(records(20))
    report = proven(both, both, filters=[{"n": {"gte": 3}}], conversion=Conversion(fields=rules))
    assert report.search[1].overlap
    typed = database(records(20, metadata='{{"n": "{n}"}}'))
    migration = Migration(
        "m", Endpoint("a", "memory", typed), Endpoint("b", "memory", both), filters=(parse({"n": {"gte": 3}}),)
    )
    source, target = sides(typed, both, source_pages=as_numbers)
    report = verify(migration, source, target, searching=Searching(Conversion(rules)), project="p", environment="e")
    assert report.verdict == "passed"
    assert report.search[1].overlap is None


def as_numbers(store: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
    for page in stored(store, part, vectors):
        texts = [json.dumps({"n": int(json.loads(text)["n"])}) for text in page.strings("metadata")]
        yield page.replace("metadata", pa.array(texts, pa.string()))


def test_a_rejected_record_is_left_out_of_the_sources_neighbours() -> None:
    report = proven(database(records(60)), database(records(59)), excluded=[Key("", "d59")])
    assert report.verdict == "passed"
    assert report.quarantined == 1
    assert report.search[0].perfect == 59


def test_a_selection_of_the_source_is_searched_as_such() -> None:
    where = parse({"n": {"lt": 30}})

    def selected(store: Source, part: Partition, vectors: Sequence[str] | None) -> Iterator[RecordBatch]:
        for page in stored(store, part, vectors):
            yield page.take([row for row, text in enumerate(page.strings("metadata")) if json.loads(text)["n"] < 30])

    source, target = database(records(60)), database(records(30))
    migration = Migration("m", Endpoint("a", "memory", source), Endpoint("b", "memory", target), where=where)
    both = sides(source, target, source_pages=selected)
    report = verify(migration, *both, searching=Searching(Conversion(where=where)), project="p", environment="e")
    assert report.verdict == "passed"
    assert report.search[0].perfect == 30


def test_only_the_largest_namespaces_are_searched_and_the_report_says_so() -> None:
    batches = [records(10 + n, f"n{n}") for n in range(7)]
    report = proven(database(*batches), database(*batches))
    assert [check.namespace for check in report.search] == ["n2", "n3", "n4", "n5", "n6"]
    assert any("5 largest of 7" in note for note in report.notes)


class TestLess:
    def test_a_sample_passes_where_it_holds_and_says_what_was_not_compared(self) -> None:
        report = proven(database(records(100)), database(records(100)), Verification(records=Sample(10)))
        assert report.verdict == "passed"
        assert report.records
        assert (report.records.compared, report.records.unknown) == (10, 90)
        assert report.search[0].queries == 100
        assert any("90 records were not compared" in note for note in report.notes)

    def test_a_sample_that_missed_a_lost_record_still_sees_the_count(self) -> None:
        report = proven(database(records(1000)), database(records(999)), Verification(records=Sample(1)))
        assert measures(report) == ["missing"]

    def test_counts_alone_show_what_is_lost(self) -> None:
        report = proven(database(records(20)), database(records(19)), Verification(records="none", search=None))
        assert (report.verdict, report.records, report.search) == ("failed", None, ())
        assert measures(report) == ["missing"]

    def test_counts_alone_pass_where_they_agree_and_queries_are_still_run(self) -> None:
        limit = Search(Queries(5))
        report = proven(database(records(20)), database(records(20)), Verification(records="none", search=limit))
        assert report.verdict == "passed"
        assert report.search[0].queries == 5


def test_records_without_vectors_leave_the_search_undecided() -> None:
    bare = records(5).replace("vector:", pa.array([None] * 5, pa.list_(pa.float32(), 4)))
    report = proven(database(bare), database(bare))
    assert (report.verdict, measures(report)) == ("unknown", ["overlap"])


def test_a_target_that_is_not_there_is_told() -> None:
    target = database(records(5))
    source = database(records(5))
    both = sides(source, target)
    target.open().drop(COLLECTION.name)
    migration = Migration("m", Endpoint("a", "memory", source), Endpoint("b", "memory", target))
    with pytest.raises(CollectionNotFound, match="is not there"):
        verify(migration, *both, project="p", environment="e")


def test_a_snapshot_that_was_never_finished_is_settled_and_proven(tmp_path: Path) -> None:
    path = str(tmp_path / "kb")
    options = SnapshotOptions(path)
    snapshot = options.open()
    snapshot.create(replace(COLLECTION, name=path))
    for batch in (records(60, metadata='{{"old": {n}}}'), records(40), records(30, start=20), records(5, start=90)):
        snapshot.upsert(path, batch)
    snapshot.delete(path, [Key("", f"d{n}") for n in [*range(50, 60), *range(90, 95)]])
    source = database(records(50))
    first, _ = sides(source, source)
    target = Side("target", path, options.open, tuple(snapshot.partitions(path, 3)), workers=2)
    migration = Migration("m", Endpoint("a", "memory", source), Endpoint("b", "snapshot", options))
    report = verify(migration, first, target, project="p", environment="e")
    assert report.verdict == "passed"
    assert report.search[0].perfect == 50


def other_metric() -> tuple[MemoryOptions, MemoryOptions]:
    source, target = database(records(20)), database()
    options = target.open()
    options.drop(COLLECTION.name)
    options.create(replace(COLLECTION, vectors=(replace(COLLECTION.vectors[0], metric="dot"),)))
    options.upsert(COLLECTION.name, records(20))
    return source, target


def test_another_metric_of_the_target_leaves_the_overlap_undecided() -> None:
    report = proven(*other_metric())
    assert report.verdict == "unknown"
    (breach,) = report.breaches
    assert (breach.measure, breach.actual) == ("overlap", None)
    assert "metric" in breach.hint
    assert "{overlap: 0}" in breach.hint
    not_asked = Verification(thresholds=Thresholds(overlap=0))
    assert proven(*other_metric(), not_asked).verdict == "passed"


@pytest.mark.parametrize("conversion", [Conversion(limit=9), Conversion(namespace_from="n")])
def test_an_overlap_that_cannot_be_compared_is_undecided(conversion: Conversion) -> None:
    both = database(records(20))
    report = proven(both, both, conversion=conversion)
    assert [(each.measure, each.actual) for each in report.breaches] == [("overlap", None)]
    assert report.verdict == "unknown"


def test_a_target_without_an_index_has_a_recall_of_one_by_definition_and_says_so() -> None:
    both = database(records(20))
    report = proven(both, both)
    assert report.verdict == "passed"
    assert "by definition" in report.search[0].note


def test_an_exact_search_that_finds_nothing_leaves_the_recall_undecided() -> None:
    def never_exactly(inner: MemoryConnector, search: Query) -> list[Hits]:
        return nothing(inner, search) if search.exact else inner.search(COLLECTION.name, search)

    both = database(records(20))
    report = proven(both, both, of_target=never_exactly)
    assert [(each.measure, each.actual) for each in report.breaches] == [("recall", None)]
    assert report.verdict == "unknown"


def test_two_sides_that_both_find_nothing_have_no_overlap() -> None:
    both = database(records(20))
    report = proven(both, both, of_source=nothing, of_target=nothing)
    assert [(each.measure, each.actual) for each in report.breaches] == [("overlap", None), ("recall", None)]
    assert report.verdict == "unknown"


def test_a_filter_that_no_record_passes_decides_nothing_and_fails_nothing() -> None:
    both = database(records(20))

    def well(inner: MemoryConnector, search: Query) -> list[Hits]:
        return inner.search(COLLECTION.name, search)

    assert proven(both, both, filters=[{"n": -1}], of_target=well).verdict == "passed"


def test_a_wish_to_stop_is_heard_between_searches() -> None:
    stop = Event()
    asked: list[Query] = []

    def stopping(inner: MemoryConnector, search: Query) -> list[Hits]:
        stop.set()
        asked.append(search)
        return inner.search(COLLECTION.name, search)

    filters = [{"lang": "de"}, {"lang": "en"}, {"lang": "fr"}]
    with pytest.raises(Stopped, match="Run the same command again"):
        proven(database(records(60)), database(records(60)), filters=filters, of_target=stopping, stop=stop)
    assert len(asked) <= 2, "those of one run: as the index finds, and exactly"
