import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecmig.model.report import Interval
from vecmig.reporting.quantities import duration, interval, number, quantity, rate, share, size


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (None, "unknown"), (0, "0 bytes"), (1, "1 byte"), (812, "812 bytes"), (999, "999 bytes"), (1000, "1 kB"),
        (1234, "1.2 kB"), (9_960, "10 kB"), (999_600, "1 MB"), (18_000_000_000, "18 GB"), (9_800_000_000, "9.8 GB"),
        (1_500_000_000_000, "1.5 TB"), (2e18, "2,000 PB"),
    ],
)  # fmt: skip
def test_bytes_have_the_unit_that_keeps_them_short(n_bytes: float | None, text: str) -> None:
    assert size(n_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"), (0, "under 0.1 s"), (0.4, "0.4 s"), (9.97, "10 s"), (12, "12 s"), (59.6, "1 m"),
        (192, "3 m 12 s"), (3600, "1 h"), (23_400, "6 h 30 m"), (5_100, "1 h 25 m"), (187_200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_durations_have_their_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_are_separated_by_thousands_and_agree_with_their_noun() -> None:
    assert number(1_248_310) == "1,248,310"
    assert number(None) == "unknown"
    assert [quantity(n, "record") for n in (0, 1, 2)] == ["0 records", "1 record", "2 records"]
    assert quantity(2, "query", "queries") == "2 queries"
    assert [rate(r) for r in (None, 0.25, 12_345.6)] == ["unknown", "0.2/s", "12,346/s"]


def test_a_share_just_below_a_threshold_is_not_shown_as_having_reached_it() -> None:
    assert share(0.94999) == "0.949"
    assert share(0.99999) == "0.999"
    assert share(0.57) == "0.570"
    assert share(None) == "unknown"


def test_an_interval_is_rounded_outward_and_one_that_was_not_measured_says_so() -> None:
    assert interval(Interval(0.98312, 0.97199, 0.99101)) == "0.983 (0.971-0.992)"
    assert interval(None) == "not measured"


@given(st.floats(0, 1))
def test_no_share_is_shown_better_than_it_is(value: float) -> None:
    assert float(share(value)) <= value
