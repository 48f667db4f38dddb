"""Source and target hold different vectors for the same records: of other models, or shortened."""

import numpy as np
from msgspec.structs import replace

from tests.verification.golden import REEMBEDDED, circle, documents, proven, stored
from tests.verification.test_golden import Indexed
from vecmig.model.batch import vector_column
from vecmig.model.plan import Conversion, EmbedRule, VectorRule
from vecmig.model.settings import Thresholds

IDS = [f"d{n}" for n in range(20)]
OLD = documents(IDS, {"": circle(20)})
# of three dimensions, and a circle as well: the same neighbours by other vectors
NEW = documents(IDS, {"": np.concatenate([np.zeros((20, 1), np.float32), circle(20)], axis=1)})
ELSEWHERE = documents(IDS, {"": np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32)})


def test_each_side_is_asked_with_its_own_vectors_and_the_record_itself_is_no_hit() -> None:
    report = proven(stored(OLD), stored(NEW), conversion=REEMBEDDED)
    assert report.verdict == "passed"
    (check,) = report.search
    assert (check.queries, check.perfect) == (20, 20)
    assert check.reembedded
    assert len(check.overlaps) == 20


def test_neighbours_that_differ_are_shown_and_gate_nothing() -> None:
    report = proven(stored(OLD), stored(ELSEWHERE), conversion=REEMBEDDED, thresholds=Thresholds(overlap=1))
    assert report.verdict == "passed"
    assert report.search[0].overlap
    assert report.search[0].overlap.mean < 0.6


def test_the_recall_of_the_index_still_decides() -> None:
    report = proven(stored(OLD), stored(NEW), conversion=REEMBEDDED, opened=lambda inner: Indexed(inner, 2))
    assert [each.measure for each in report.breaches] == ["recall"]
    assert (
        proven(stored(OLD), stored(NEW), conversion=REEMBEDDED, opened=lambda inner: Indexed(inner, 0)).search[0].recall
    )


def test_a_record_without_a_vector_in_the_source_is_a_query_to_the_target_alone() -> None:
    bare = OLD.replace("vector:", vector_column(circle(20), np.arange(20) != 4))
    report = proven(stored(bare), stored(NEW), conversion=REEMBEDDED)
    assert report.verdict == "passed"
    assert report.search[0].queries == 20
    assert len(report.search[0].overlaps) == 19


def test_a_record_that_the_target_lost_is_no_query() -> None:
    target = stored(NEW)
    target.open().delete("docs", [OLD.keys[4]])
    report = proven(stored(OLD), target, conversion=REEMBEDDED, thresholds=Thresholds(missing=1))
    assert report.verdict == "passed"
    assert report.search[0].queries == 19


def test_a_vector_that_the_source_never_had_has_no_overlap_and_passes() -> None:
    new = Conversion(vectors=(VectorRule("", ""),), embed=(EmbedRule("extra", "provider/new", 3, "{{ n }}"),))
    both = documents(IDS, {"": circle(20), "extra": NEW.vectors("")})
    report = proven(stored(OLD), stored(both), conversion=new)
    assert report.verdict == "passed"
    plain, made = report.search
    assert plain.overlap
    assert made.overlap is None
    assert made.queries == 20


def test_one_vector_of_several_that_is_embedded_anew_leaves_the_others_gated() -> None:
    rules = Conversion(
        vectors=(VectorRule("body", "body"),), embed=(EmbedRule("title", "provider/new", 3, "{{ n }}", before="title"),)
    )
    source = documents(IDS, {"title": circle(20), "body": circle(20, 0.3)})
    wrong = np.random.default_rng(3).permutation(circle(20, 0.3))
    target = documents(IDS, {"title": ELSEWHERE.vectors(""), "body": wrong})
    report = proven(stored(source), stored(target), conversion=rules)
    (breach,) = report.breaches
    assert breach.measure == "overlap"
    assert "vector 'body'" in breach.hint


def test_a_shortened_vector_is_asked_whole_in_the_source_and_its_overlap_is_gated() -> None:
    wide = documents(IDS, {"": np.concatenate([circle(20), np.full((20, 2), 0.1, np.float32)], axis=1)})
    cut = Conversion(vectors=(VectorRule("", "", dimensions=2),))
    report = proven(stored(wide), stored(OLD), conversion=cut, top_k=2)
    assert report.verdict == "passed"
    assert report.search[0].perfect == 20
    assert not report.search[0].reembedded
    lost = documents(IDS, {"": np.random.default_rng(1).permutation(circle(20))})
    report = proven(stored(wide), stored(lost), conversion=cut)
    assert [each.measure for each in report.breaches] == ["overlap"]


def test_another_metric_of_another_model_is_no_reason_to_leave_the_overlap_out() -> None:
    report = proven(stored(OLD), stored(NEW, metric="dot"), conversion=REEMBEDDED)
    assert report.verdict == "passed"
    assert report.search[0].overlap


def test_no_query_at_all_leaves_the_recall_undecided_and_the_overlap_alone() -> None:
    bare = replace(REEMBEDDED.embed[0], before=None)
    empty = stored(NEW)
    empty.open().delete("docs", NEW.keys)
    report = proven(
        stored(OLD), empty, conversion=Conversion(embed=(bare,)), thresholds=Thresholds(missing=20),
        opened=lambda inner: Indexed(inner, 0),
    )  # fmt: skip
    assert [(each.measure, each.actual) for each in report.breaches] == [("recall", None)]
