"""Queries of the user's own: what both sides find near them, and how much of it is relevant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from tests.verification.golden import REEMBEDDED, circle, documents, embedder, golden, proven, stored, text, vector
from vecmig.connectors.memory import MemoryConnector
from vecmig.errors import ConnectorError, UnsupportedError
from vecmig.model.filter import parse
from vecmig.model.plan import Conversion, FieldRule, VectorRule
from vecmig.model.report import LabelledCheck, Report
from vecmig.model.settings import Thresholds
from vecmig.protocols import Capabilities, Hits, Search
from vecmig.verification.asked import Embeds

IDS = [f"d{n}" for n in range(10)]
DOCS = documents(IDS, {"": circle(10)})
AT_D2 = circle(10)[2].tolist()
AT_D5 = circle(10)[5].tolist()
TABLE = {"two": AT_D2, "five": AT_D5}
SOUND: Embeds = {("source", ""): embedder(TABLE), ("target", ""): embedder(TABLE)}


@dataclass(frozen=True, slots=True)
class Indexed:
    """A memory connector with an index, which misses the nearest record."""

    inner: MemoryConnector
    misses: int = 1

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.inner.capabilities.max_batch_bytes)

    def search(self, collection: str, search: Search) -> list[Hits]:
        hits = self.inner.search(collection, search)
        return (
            hits if search.exact else [Hits(each.keys[self.misses :], each.distances[self.misses :]) for each in hits]
        )

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@dataclass(frozen=True, slots=True)
class Unfiltered:
    """A memory connector that runs no filters."""

    inner: MemoryConnector

    def search(self, collection: str, search: Search) -> list[Hits]:
        if search.filter is not None:
            raise UnsupportedError("no filters here")
        return self.inner.search(collection, search)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def only(report: Report) -> LabelledCheck:
    (check,) = report.labelled
    return check


def measures(report: Report) -> list[tuple[str, bool]]:
    """Return the breaches, and whether each could be measured."""
    return [(each.measure, each.actual is not None) for each in report.breaches]


def test_vectors_of_ones_own_are_asked_on_both_sides() -> None:
    report = proven(stored(DOCS), stored(DOCS), golden(vector(AT_D2, "d2"), vector(AT_D5)))
    assert report.verdict == "passed"
    (check,) = report.search
    assert (check.queries, check.perfect, check.top_k) == (2, 2, 3)
    assert only(report).queries == 1, "the other says nothing of what is relevant"


def test_both_sides_are_measured_by_what_is_relevant() -> None:
    # as circle, d2 is nearest to its own vector, d1 and d3 come next; the target holds d2 elsewhere
    moved = circle(10)
    moved[[2, 8]] = moved[[8, 2]]
    report = proven(stored(DOCS), stored(documents(IDS, {"": moved})), golden(vector(AT_D2, "d2", "d1")))
    check = only(report)
    assert check.source
    assert check.target
    assert check.source.mrr.mean == 1
    assert check.source.recall.mean == 1
    assert check.target.recall.mean == 0.5, "of d2 and d1 the target finds d1 alone"
    assert check.target.mrr.mean == 0.5
    assert check.source.ndcg.mean > check.target.ndcg.mean > 0


def test_grades_count() -> None:
    graded = golden(vector(AT_D2, name=None))
    first = graded.queries[0]
    best, worst = (
        golden(replace(first, relevant=relevant)) for relevant in ({"d2": 3, "d1": 1}, {"d2": 1, "d1": 1, "d9": 3})
    )
    of = [only(proven(stored(DOCS), stored(DOCS), each)).target for each in (best, worst)]
    assert of[0]
    assert of[1]
    assert of[0].ndcg.mean > 0.9 > of[1].ndcg.mean


def test_a_threshold_that_the_target_does_not_reach_fails_and_says_what_the_source_has() -> None:
    limits = Thresholds(overlap=0, ndcg=0.99, mrr=0.99, labelled_recall=0.5)
    moved = circle(10)
    moved[[2, 8]] = moved[[8, 2]]
    report = proven(
        stored(DOCS), stored(documents(IDS, {"": moved})), golden(vector(AT_D2, "d2", "d1")), thresholds=limits
    )
    assert report.verdict == "failed"
    assert [each.measure for each in report.breaches] == ["ndcg", "mrr"]
    assert "the source has 1.000" in report.breaches[0].hint


def test_an_index_that_misses_what_is_relevant_shows_in_its_recall_and_in_the_measures() -> None:
    limits = Thresholds(overlap=0, mrr=0.9)
    report = proven(stored(DOCS), stored(DOCS), golden(vector(AT_D2, "d2")), thresholds=limits, opened=Indexed)
    assert measures(report) == [("recall", True), ("mrr", True)]
    check = only(report)
    assert check.target
    assert check.target.mrr.mean == 0


class TestTexts:
    def test_are_embedded_with_each_sides_own_model(self) -> None:
        mirrored = circle(10)[:, ::-1].copy()
        embeds: Embeds = {
            ("source", ""): embedder(TABLE),
            ("target", ""): embedder({name: [*reversed(each)] for name, each in TABLE.items()}),
        }
        queries = golden(text("two", "d2"), text("five", "d5"))
        report = proven(stored(DOCS), stored(documents(IDS, {"": mirrored})), queries, embeds, conversion=REEMBEDDED)
        check = only(report)
        assert check.source
        assert check.target
        assert check.source.mrr.mean == check.target.mrr.mean == 1

    @pytest.mark.parametrize("missing", ["source", "target"])
    def test_without_the_model_of_a_side_nothing_is_known_of_that_side(self, missing: str) -> None:
        embeds: Embeds = {key: each for key, each in SOUND.items() if key[0] != missing}
        limits = Thresholds(ndcg=0.5)
        report = proven(
            stored(DOCS), stored(DOCS), golden(text("two", "d2")), embeds, conversion=REEMBEDDED, thresholds=limits
        )
        check = only(report)
        known = check.target if missing == "source" else check.source
        unknown = check.source if missing == "source" else check.target
        assert known
        assert unknown is None
        assert f"the {missing} is not measured: queries are texts" in check.note
        # of the source alone nothing is asked, for the overlap gates nothing here
        assert report.verdict == ("passed" if missing == "source" else "unknown")
        if missing == "target":
            assert measures(report) == [("recall", False), ("ndcg", False)]

    def test_without_any_model_nothing_passes(self) -> None:
        limits = Thresholds(ndcg=0.1, mrr=0.1, labelled_recall=0.1)
        report = proven(stored(DOCS), stored(DOCS), golden(text("two", "d2")), thresholds=limits)
        assert report.verdict == "unknown"
        assert measures(report) == [(each, False) for each in ("overlap", "recall", "ndcg", "mrr", "labelled_recall")]
        assert only(report).target is only(report).source is None

    def test_where_vectors_are_copied_either_sides_model_will_do(self) -> None:
        for side in ("source", "target"):
            report = proven(stored(DOCS), stored(DOCS), golden(text("two", "d2")), {(side, ""): SOUND[side, ""]})
            assert report.verdict == "passed"
            assert only(report).source == only(report).target

    def test_a_model_that_fails_or_makes_other_dimensions_leaves_its_side_unknown(self) -> None:
        def gone(texts: Sequence[str]) -> NDArray[np.float32]:
            raise ConnectorError("the model is retired")

        queries, limits = golden(text("two", "d2")), Thresholds(mrr=0.5)
        for broken, said in ((gone, "the model is retired"), (embedder({"two": [1, 2, 3]}), "makes 3 dimensions")):
            embeds: Embeds = {**SOUND, ("target", ""): broken}
            report = proven(stored(DOCS), stored(DOCS), queries, embeds, conversion=REEMBEDDED, thresholds=limits)
            assert report.verdict == "unknown"
            assert said in report.breaches[-1].hint

    def test_one_query_that_cannot_be_asked_leaves_the_measures_of_its_side_unknown(self) -> None:
        queries = golden(vector(AT_D5, "d5"), text("two", "d2"))
        report = proven(stored(DOCS), stored(DOCS), queries, thresholds=Thresholds(ndcg=0.5))
        assert report.verdict == "unknown"
        assert ("ndcg", False) in measures(report)
        assert report.search[0].queries == 1, "the other was asked"


class TestFilters:
    QUERIES = golden(vector(AT_D2, "d9", filter=parse({"n": {"gte": 8}})), vector(AT_D5, "d5"))

    def test_of_a_query_hold_on_both_sides(self) -> None:
        report = proven(stored(DOCS), stored(DOCS), self.QUERIES)
        assert report.verdict == "passed"
        assert only(report).source == only(report).target
        assert only(report).target
        assert only(report).target.recall.mean == 1  # type: ignore[union-attr]  # d9 is not near, but one of two that pass

    def test_of_the_spec_hold_besides_and_say_nothing_of_what_is_relevant(self) -> None:
        report = proven(stored(DOCS), stored(DOCS), self.QUERIES, filters=[{"n": {"lt": 9}}])
        assert [check.filter for check in report.search] == ["", "n < 9"]
        assert only(report).target
        assert only(report).target.recall.mean == 1  # type: ignore[union-attr]

    def test_that_the_target_cannot_run_leave_all_undecided(self) -> None:
        limits = Thresholds(ndcg=0.1)
        report = proven(stored(DOCS), stored(DOCS), self.QUERIES, opened=Unfiltered, thresholds=limits)
        assert report.verdict == "unknown"
        assert measures(report) == [("overlap", False), ("recall", False), ("ndcg", False)]
        assert "no filters here" in only(report).note

    def test_by_a_field_that_is_renamed_are_for_the_target_alone(self) -> None:
        conversion = Conversion(fields=(FieldRule("n", "number"),))
        report = proven(stored(DOCS), stored(DOCS), self.QUERIES, conversion=conversion)
        assert report.verdict == "passed"
        check = only(report)
        assert check.source is None
        assert check.target
        assert "the migration changes n" in check.note
        assert len(report.search[0].overlaps) == 1, "the query without a filter is compared"


class TestNamespaces:
    BOTH = (documents(IDS[:5], {"": circle(5)}, "en"), documents(IDS[5:], {"": circle(5)}, "de"))

    def test_are_searched_each_and_labelled_queries_make_one_measure(self) -> None:
        queries = golden(
            vector(circle(5)[0].tolist(), "d0", namespace="en"), vector(circle(5)[0].tolist(), "d5", namespace="de")
        )
        report = proven(stored(*self.BOTH), stored(*self.BOTH), queries)
        assert report.verdict == "passed"
        assert [(check.namespace, check.queries) for check in report.search] == [("de", 1), ("en", 1)]
        assert only(report).queries == 2
        assert only(report).target
        assert only(report).target.mrr.mean == 1  # type: ignore[union-attr]

    def test_an_only_namespace_need_not_be_named(self) -> None:
        report = proven(stored(self.BOTH[0]), stored(self.BOTH[0]), golden(vector([1, 0], "d0")))
        assert report.search[0].namespace == "en"
        assert report.verdict == "passed"

    def test_of_the_target_that_come_from_a_field_are_measured_in_the_target_alone(self) -> None:
        queries = golden(vector([1, 0], "d0", namespace="en"))
        plain = documents(IDS, {"": circle(10)})
        report = proven(
            stored(plain), stored(self.BOTH[0]), queries, conversion=Conversion(namespace_from="lang"),
            thresholds=Thresholds(overlap=0, mrr=0.9),
        )  # fmt: skip
        assert only(report).source is None
        assert only(report).target
        assert not [each for each in report.breaches if each.measure == "mrr"]


class TestNamedVectors:
    TWO = documents(IDS, {"title": circle(10), "body": circle(10, 0.5)})

    def test_are_asked_with_the_vectors_that_name_them(self) -> None:
        queries = golden(vector(AT_D2, "d2", name="title"), vector(circle(10, 0.5)[5].tolist(), "d5", name="body"))
        report = proven(stored(self.TWO), stored(self.TWO), queries)
        assert report.verdict == "passed"
        assert [(check.vector, check.queries) for check in report.labelled] == [("title", 1), ("body", 1)]
        assert all(check.target and check.target.mrr.mean == 1 for check in report.labelled)

    def test_are_each_asked_with_texts_by_their_own_models(self) -> None:
        embeds = {
            (side, name): embedder({"two": circle(10, turn)[2].tolist()})
            for side in ("source", "target")
            for name, turn in (("title", 0.0), ("body", 0.5))
        }
        report = proven(stored(self.TWO), stored(self.TWO), golden(text("two", "d2")), embeds)  # type: ignore[arg-type]
        assert [check.vector for check in report.labelled] == ["title", "body"]
        assert all(check.target and check.target.mrr.mean == 1 for check in report.labelled)


def test_a_vector_that_does_not_fit_is_no_crash_and_leaves_all_unknown() -> None:
    report = proven(stored(DOCS), stored(DOCS), golden(vector([1, 2, 3], "d2")), thresholds=Thresholds(ndcg=0.1))
    assert report.verdict == "unknown"
    assert measures(report) == [("overlap", False), ("recall", False), ("ndcg", False)]
    assert "line 1 cannot be asked: a vector of 3 numbers" in report.breaches[0].hint


def test_a_vector_is_shortened_for_a_target_whose_vectors_are() -> None:
    wide = np.concatenate([circle(10), np.full((10, 2), 0.3, np.float32)], axis=1)
    cut = Conversion(vectors=(VectorRule("", "", dimensions=2),))
    report = proven(
        stored(documents(IDS, {"": wide})), stored(DOCS), golden(vector(wide[2].tolist(), "d2")), conversion=cut
    )
    assert report.verdict == "passed"
    assert only(report).source
    assert only(report).source.mrr.mean == only(report).target.mrr.mean == 1  # type: ignore[union-attr]


def test_another_metric_leaves_the_overlap_undecided_and_both_sides_measured() -> None:
    report = proven(stored(DOCS), stored(DOCS, metric="dot"), golden(vector(AT_D2, "d2")))
    assert measures(report) == [("overlap", False)]
    assert only(report).source
    assert only(report).target


def test_what_is_relevant_and_lost_is_noted() -> None:
    few = documents(IDS[:5], {"": circle(10)[:5]})
    report = proven(stored(DOCS), stored(few), golden(vector(AT_D5, "d5", "d1")))
    assert "1 of 2 relevant ids are not in the target" in only(report).note
