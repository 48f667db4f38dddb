"""The provider's limits: kept where they are known, learnt where they are not.

On a busy machine requests may leave late, and so in a bunch: a few refusals are no fault. That no time is lost is shown
on a clock that no machine disturbs, in test_lanes.py.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.doubles.openai import Double, Fault
from tests.embedders.openai.providers import opened
from vecmig.errors import TransientError
from vecmig.protocols import Embedder


def many(embedder: Embedder, count: int, threads: int = 8) -> float:
    """Embed so many texts, a request each; return the seconds it took. A refused request is sent again."""

    def one(n: int) -> None:
        while True:
            try:
                embedder.embed([f"text {n}"], "passage")
                return
            except TransientError:
                continue

    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(count)))
    return time.monotonic() - began


def statuses(double: Double) -> Counter[int]:
    return Counter(each.status for each in double.requests)


def test_a_limit_that_the_spec_says_is_kept(openai_double: Double) -> None:
    with opened(openai_double, requests_per_minute=1200) as embedder:
        embedder.embed(["a"], "passage")  # a connection, and the modules that the first request imports
        openai_double.limits.requests_per_minute = 1200
        openai_double.limits.burst_s = 0.5  # ten at a time: a burst would be refused
        took = many(embedder, 61)
    assert statuses(openai_double)[200] == 62
    assert statuses(openai_double)[429] <= 5
    assert took >= 2.5


def test_a_limit_that_nobody_said_is_learnt_from_the_answers(openai_double: Double) -> None:
    openai_double.limits.requests_per_minute = 600
    with opened(openai_double) as embedder:
        assert embedder.limits.requests_per_minute is None
        embedder.embed(["a"], "passage")
        assert embedder.limits.requests_per_minute == 600
        openai_double.limits.burst_s = 0.3
        took = many(embedder, 21)
    assert statuses(openai_double)[200] == 22
    assert statuses(openai_double)[429] <= 10, "those under way when the bucket shrank"
    assert took >= 1.9


def test_tokens_a_minute_are_kept_too(openai_double: Double) -> None:
    openai_double.limits.tokens_per_minute = 6000
    openai_double.limits.burst_s = 0.5  # 50 tokens
    with opened(openai_double, tokens_per_minute=6000) as embedder:
        began = time.monotonic()
        for _ in range(11):
            embedder.embed(["word" + " word" * 19], "passage")
        assert time.monotonic() - began >= 1.7
    assert {(each.status, each.tokens) for each in openai_double.requests} == {(200, 20)}


def test_two_keys_share_the_work_each_within_its_own_limit(openai_double: Double) -> None:
    openai_double.limits.requests_per_minute = 600
    openai_double.limits.burst_s = 0.5
    with opened(openai_double, "sk-one", "sk-two", requests_per_minute=600) as embedder:
        took = many(embedder, 42)
    assert statuses(openai_double)[429] <= 5
    assert openai_double.ledger.by_key == pytest.approx({"sk-one": 21, "sk-two": 21}, abs=5)
    assert took >= 1.5


def test_the_other_key_does_the_work_while_one_is_asked_to_wait(openai_double: Double) -> None:
    openai_double.faults.add(Fault.status(429, retry_after_s=80), key="sk-one")
    with opened(openai_double, "sk-one", "sk-two") as embedder:
        assert many(embedder, 50) < 70
    assert openai_double.ledger.by_key == {"sk-two": 50}
    assert statuses(openai_double)[429] <= 8, "those that were under way together"


def test_nothing_is_sent_while_the_provider_asks_to_be_left_alone(openai_double: Double) -> None:
    openai_double.faults.add(Fault.status(429, retry_after_s=1), skip=3, times=1)
    with opened(openai_double) as embedder:
        many(embedder, 10, threads=1)
    times = [each.at for each in openai_double.requests]
    refused = next(n for n, each in enumerate(openai_double.requests) if each.status == 429)
    assert times[refused + 1] - times[refused] >= 0.98
    assert statuses(openai_double) == {200: 10, 429: 1}


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_that_says_when_to_come_back_is_heard(openai_double: Double, status: int) -> None:
    openai_double.faults.add(Fault.status(status, retry_after_s=0.7), times=1)
    with opened(openai_double) as embedder:
        assert many(embedder, 1) >= 0.68


def test_no_more_requests_are_under_way_than_is_promised(openai_double: Double) -> None:
    openai_double.faults.add(Fault.slow(0.05))
    with opened(openai_double, "sk-one", "sk-two") as embedder:
        assert embedder.limits.at_once == 8
        many(embedder, 40, threads=embedder.limits.at_once)
    assert 1 < openai_double.most_at_once <= 8
    assert openai_double.ledger.by_key == pytest.approx({"sk-one": 20, "sk-two": 20}, abs=8)


def test_a_request_holds_a_part_of_a_minutes_tokens_at_most(openai_double: Double) -> None:
    for per_minute, most in ((None, 300_000), (60_000, 10_000), (10_000_000, 300_000), (3, 1)):
        with opened(openai_double, tokens_per_minute=per_minute) as embedder:
            assert embedder.limits.max_request_tokens == most
