"""A lane for each key: even spacing, limits as told, pauses as asked; on a clock of its own."""

import itertools
from dataclasses import dataclass, field

import pytest

from vecmig.embedders.openai.headers import limits, retry_after_s
from vecmig.embedders.openai.lanes import Lane, Lanes, lanes
from vecmig.errors import TransientError

UNKNOWN = (None, None)
EARLY_S = 0.25  # a request may make up for so much that was lost before


@dataclass
class Time:
    """A clock that moves only while somebody waits."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def made(
    time: Time,
    number: int = 1,
    requests: tuple[float | None, float | None] = UNKNOWN,
    tokens: tuple[float | None, float | None] = UNKNOWN,
) -> Lanes:
    found = lanes(number, requests, tokens)
    found.clock, found.wait = lambda: time.now, time.wait
    return found


def sent(
    lanes: Lanes, time: Time, count: int, tokens: float = 1, told: tuple[float | None, float | None] = UNKNOWN
) -> list[tuple[int, float]]:
    """Send requests that are answered at once; return the lane and the time of each, since the first."""
    found: list[tuple[int, float]] = []
    began = time.now
    for _ in range(count):
        lane = lanes.take(tokens)
        found.append((lane.number, time.now - began))
        lanes.done(lane, 0, told)
    return found


def steady(found: list[tuple[int, float]]) -> list[float]:
    """Return the seconds between requests, from the second on."""
    times = [at for _, at in found[1:]]
    return [b - a for a, b in itertools.pairwise(times)]


def test_requests_are_spaced_evenly(time: Time) -> None:
    assert steady(sent(made(time, requests=(120, None)), time, 6)) == pytest.approx([0.5] * 4)


def test_tokens_are_spaced_evenly_too_and_the_tighter_limit_holds(time: Time) -> None:
    one = made(time, requests=(6000, None), tokens=(None, 60_000))
    assert steady(sent(one, time, 5, tokens=2_000)) == pytest.approx([2] * 3)


def test_each_key_has_limits_of_its_own(time: Time) -> None:
    found = sent(made(time, 3, requests=(60, None)), time, 9)
    assert [at for _, at in found] == pytest.approx([0, 0, 0, 1, 1, 1, 2, 2, 2], abs=EARLY_S)
    assert sorted(number for number, _ in found) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    both = made(time, 2, requests=(60, None), tokens=(None, 1000))
    assert (both.requests_per_minute, both.tokens_per_minute) == (120, 2000)


def test_without_a_known_limit_nobody_waits(time: Time) -> None:
    assert sent(made(time), time, 100)[-1] == (1, 0)


def test_what_answers_tell_replaces_what_was_known_but_never_raises_what_the_spec_says(time: Time) -> None:
    known, given = made(time, requests=(None, 60)), made(time, requests=(60, None))
    for each in (known, given):
        sent(each, time, 1, told=(600, 1_000_000))
    assert (known.requests_per_minute, given.requests_per_minute) == (600, 60)
    assert known.tokens_per_minute == 1_000_000
    sent(given, time, 1, told=(30, None))
    assert given.requests_per_minute == 30
    time.now += 60
    began = time.now
    assert [at for _, at in sent(given, time, 2)] == pytest.approx([0, 2], abs=EARLY_S)
    assert time.now == pytest.approx(began + 2, abs=EARLY_S)


def test_tokens_that_were_charged_beyond_what_was_counted_are_made_up_for(time: Time) -> None:
    one = made(time, tokens=(600, None))
    lane = one.take(10)
    one.done(lane, 20, UNKNOWN)
    assert one.take(1) is lane
    assert time.waits == pytest.approx([3.0], abs=EARLY_S)


def test_a_pause_that_is_asked_for_is_kept_to_the_second(time: Time) -> None:
    one = made(time)
    one.failed(one.take(1), pause_s=7)
    one.take(1)
    assert time.waits == pytest.approx([7.0])


def test_the_other_keys_go_on_while_one_pauses(time: Time) -> None:
    two = made(time, 2)
    first = two.take(1)
    two.failed(first, pause_s=60)
    assert {number for number, _ in sent(two, time, 10)} == {3 - first.number}
    assert not time.waits


def test_pauses_double_while_refusals_go_on_without_a_word_and_begin_anew_after_an_answer(time: Time) -> None:
    one = made(time)
    for _ in range(8):
        one.failed(one.take(1), slow_down=True)
    assert time.waits == pytest.approx([1, 2, 4, 8, 16, 30, 30])
    one.done(one.take(1), 0, UNKNOWN)
    one.failed(one.take(1), slow_down=True)
    one.take(1)
    assert time.waits[-1] == pytest.approx(1)


def test_refusals_of_what_was_under_way_together_count_once(time: Time) -> None:
    one = made(time)
    taken = [one.take(1) for _ in range(4)]
    for lane in taken:
        one.failed(lane, slow_down=True)
    one.take(1)
    assert time.waits == pytest.approx([1])


def test_a_refusal_tells_the_limits(time: Time) -> None:
    one = made(time, requests=(None, 6000))
    one.failed(one.take(1), (30, 500), slow_down=True)
    assert (one.requests_per_minute, one.tokens_per_minute) == (30, 500)


def test_an_error_that_asks_for_nothing_pauses_nothing(time: Time) -> None:
    one = made(time)
    one.failed(one.take(1))
    one.take(1)
    assert not time.waits


def test_a_pause_beyond_all_patience_is_told_instead(time: Time) -> None:
    one = made(time)
    one.failed(one.take(1), pause_s=3600)
    with pytest.raises(TransientError, match="asks to wait for 60 minutes"):
        one.take(1)
    assert not time.waits


def test_whoever_waits_is_let_go_when_it_is_closed() -> None:
    one = lanes(1, (0.01, None), UNKNOWN)
    one.take(1)
    one.close()
    with pytest.raises(TransientError, match="closed"):
        one.take(1)


def test_the_lane_with_fewer_requests_under_way_is_taken(time: Time) -> None:
    two = made(time, 2)
    first: Lane = two.take(1)
    second = two.take(1)
    assert {first.number, second.number} == {1, 2}
    two.done(first, 0, UNKNOWN)
    assert two.take(1) is first


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_what_a_provider_asks_for_is_read_in_any_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_a_date_to_come_is_so_many_seconds_away() -> None:
    import email.utils
    import time

    found = retry_after_s({"retry-after": email.utils.formatdate(time.time() + 100, usegmt=True)})
    assert found is not None
    assert 98 < found <= 100


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-ratelimit-limit-requests": "3000", "x-ratelimit-limit-tokens": "1000000"}, (3000, 1_000_000)),
        ({"x-ratelimit-limit-requests": "many"}, (None, None)),
        ({"x-ratelimit-limit-tokens": "-1"}, (None, None)),
    ],
)
def test_limits_are_read_where_they_are_numbers(
    headers: dict[str, str], found: tuple[float | None, float | None]
) -> None:
    assert limits(headers) == found
