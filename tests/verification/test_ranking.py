"""Against values worked out by hand, and those that scikit-learn's documentation shows."""

import math

import pytest

from vecmig.verification.ranking import labelled_recall, ndcg, quality, reciprocal_rank

LOG3 = math.log2(3)


def test_ndcg_is_one_in_the_best_order_and_less_where_a_relevant_id_comes_later() -> None:
    assert ndcg(["a", "b", "x"], {"a": 1, "b": 1}, 3) == 1
    # DCG = 1/log2(2) + 1/log2(4) = 1.5, ideal = 1/log2(2) + 1/log2(3)
    assert ndcg(["a", "x", "b"], {"a": 1, "b": 1}, 3) == pytest.approx(1.5 / (1 + 1 / LOG3))
    assert ndcg(["x", "a"], {"a": 1}, 2) == pytest.approx(1 / LOG3)
    assert ndcg(["x", "y"], {"a": 1}, 2) == 0
    assert ndcg([], {"a": 1}, 2) == 0


def test_ndcg_of_grades_is_what_scikit_learn_shows() -> None:
    # its documentation: y_true = [10, 0, 0, 1, 5]; scores [.1, .2, .3, 4, 70] give 0.69..., [.05, 1.1, 1., .5, .0] 0.49...
    grades = {"a": 10, "b": 0, "c": 0, "d": 1, "e": 5}
    ideal = 10 + 5 / LOG3 + 1 / 2
    first, second = ["e", "d", "c", "b", "a"], ["b", "c", "d", "a", "e"]
    assert ndcg(first, grades, 5) == pytest.approx((5 + 1 / LOG3 + 10 / math.log2(6)) / ideal)
    assert ndcg(second, grades, 5) == pytest.approx((1 / 2 + 10 / math.log2(5) + 5 / math.log2(6)) / ideal)
    shown = [math.floor(100 * each) for each in (ndcg(first, grades, 5), ndcg(second, grades, 5))]
    assert shown == [69, 49]
    assert math.floor(100 * ndcg(second, grades, 4)) == 35, "and with k=4, 0.35..."


def test_ndcg_at_k_counts_no_more_than_k_on_both_sides_of_the_fraction() -> None:
    three = {"a": 1, "b": 1, "c": 1}
    assert ndcg(["a", "b"], three, 2) == 1
    assert ndcg(["x", "y", "a"], three, 2) == 0


def test_the_reciprocal_rank_is_that_of_the_first_relevant_id_within_k() -> None:
    assert reciprocal_rank(["x", "a", "b"], {"a": 1, "b": 3}, 3) == 0.5
    assert reciprocal_rank(["x", "a"], {"a": 1}, 1) == 0
    assert reciprocal_rank(["x", "a"], {"x": 0, "a": 1}, 2) == 0.5, "a grade of 0 is not relevant"


def test_labelled_recall_is_the_share_of_all_relevant_ids() -> None:
    assert labelled_recall(["a", "x", "b"], {"a": 1, "b": 2, "c": 1, "x": 0}, 3) == pytest.approx(2 / 3)
    assert labelled_recall(["x", "a"], {"a": 1}, 1) == 0


def test_quality_gives_means_over_queries_with_their_intervals() -> None:
    found = quality([["a"], ["x", "b"], ["x"]], [{"a": 1}, {"b": 1}, {"c": 1}], 2)
    assert found
    assert found.mrr.mean == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.ndcg.mean == pytest.approx((1 + 1 / LOG3 + 0) / 3)
    assert found.recall.mean == pytest.approx(2 / 3)
    assert found.mrr.low < found.mrr.mean < found.mrr.high
    assert found.reciprocal_ranks == (1, 0.5, 0)
    assert quality([], [], 2) is None
