import numpy as np
import pytest

from vecmig.model.record import Key
from vecmig.protocols import Hits
from vecmig.verification.measure import interval, overlap, recall, without


def hits(*pairs: tuple[str, float]) -> list[tuple[Key, float]]:
    return [(Key("", id), distance) for id, distance in pairs]


def test_overlap_is_the_share_of_common_keys_whatever_their_order() -> None:
    assert overlap(hits(("a", 1), ("b", 2)), hits(("b", 1), ("a", 2))) == 1
    assert overlap(hits(("a", 1), ("b", 2)), hits(("b", 1), ("c", 2))) == 0.5
    assert overlap(hits(("a", 1), ("b", 2)), hits(("a", 1))) == 0.5, "a result that is too short is a loss"
    assert overlap([], []) == 1
    assert overlap(hits(("a", 1)), []) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_recall_counts_by_distance_also_where_distances_are_negative(sign: int) -> None:
    exact = hits(*sorted((("a", sign * 3.0), ("b", sign * 2.0)), key=lambda pair: pair[1]))
    bound = exact[-1][1]
    assert recall(hits(("x", bound), ("y", bound + abs(bound) * 1e-7)), exact) == 1
    assert recall(hits(("x", bound), ("y", bound + 0.01)), exact) == 0.5
    assert recall([], exact) == 0


def test_a_key_that_a_store_returns_twice_counts_once() -> None:
    found = Hits([Key("", "a"), Key("", "a"), Key("", "b")], np.array([1, 1, 2], np.float32))
    assert [key.id for key, _ in without(found, [], 10)] == ["a", "b"]


def test_the_query_itself_is_left_out_before_the_k_nearest_are_cut() -> None:
    found = Hits([Key("", "q"), Key("", "a"), Key("", "b")], np.array([0, 1, 2], np.float32))
    assert [key.id for key, _ in without(found, [Key("", "q")], 1)] == ["a"]


def test_an_interval_is_narrow_where_values_agree_and_the_same_each_time() -> None:
    assert interval([]) is None
    same = interval([0.5] * 10)
    assert same
    assert same.low == same.mean == same.high == 0.5
    mixed = [0.0, 1.0] * 50
    assert interval(mixed) == interval(mixed)
    wide = interval(mixed)
    assert wide
    assert 0.35 < wide.low < 0.45 < wide.mean < 0.55 < wide.high < 0.65
