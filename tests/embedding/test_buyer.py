"""Texts become full requests, each text once, within the budget; through the SDK, against the double and its faults."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.crash.scenario import wait_until
from tests.doubles.openai import Double, Fault
from tests.doubles.openai.model import embedded
from tests.embedders.openai.providers import SMALL, opened
from tests.embedding.test_pipeline import Lengths
from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import Cache, key_of
from vecmig.embedding.coming import Coming, vector_of
from vecmig.errors import ConnectorError, GuardError, LostAnswer, RefusedText, Stopped, TransientError

D = 8
PRICE = 1000.0  # USD for a million tokens: a text of one token costs USD 0.001


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with closing(Cache(tmp_path / "embeddings.sqlite")) as opened:
        yield opened


@contextmanager
def buying(
    double: Double, cache: Cache, *keys: str, max_usd: float | None = None, stop: Event | None = None, **more: Any
) -> Iterator[Buyer]:
    with (
        opened(double, *keys, dimensions=D, **more) as embedder,
        closing(Buyer(embedder, f"openai/{SMALL}", cache, Payer("run", PRICE, max_usd), stop or Event())) as buyer,
    ):
        yield buyer


def keys(texts: Sequence[str]) -> dict[bytes, str]:
    return {key_of("identity", "passage", text): text for text in texts}


def bought(buyer: Buyer, texts: Sequence[str]) -> list[NDArray[np.float32]]:
    asked = keys(texts)
    found = buyer.ask(asked)
    buyer.flush()
    return [vector_of(found[key]) for key in asked]


def failure(each: Coming) -> BaseException | None:
    try:
        each.result()
    except BaseException as error:
        return error
    return None


def right(texts: Sequence[str], vectors: Sequence[NDArray[np.float32]]) -> bool:
    return all(
        vector.tobytes() == embedded(SMALL, text, 1536, D).tobytes()
        for text, vector in zip(texts, vectors, strict=True)
    )


def numbered(count: int, start: int = 0) -> list[str]:
    return [f"text {n}" for n in range(start, start + count)]


def sizes(double: Double) -> list[int]:
    return sorted(each.texts for each in double.requests)


def test_a_request_is_sent_once_it_is_full_and_the_rest_when_it_is_asked_for(
    openai_double: Double, cache: Cache
) -> None:
    with buying(openai_double, cache, max_items=30) as buyer:
        found = [each for n in range(7) for each in buyer.ask(keys(numbered(10, 10 * n))).values()]
        for each in found[:60]:
            assert isinstance(each, Coming)
            each.result()
        assert sizes(openai_double) == [30, 30], "filled across what was asked for at once"
        assert not any(each.done() for each in found[60:] if isinstance(each, Coming))
        buyer.flush()
        assert right(numbered(70), [each.result() for each in found if isinstance(each, Coming)])
    assert sizes(openai_double) == [10, 30, 30]


def test_a_request_is_bounded_by_the_tokens_of_the_provider(openai_double: Double, cache: Cache) -> None:
    texts = [f"{n}" + " word" * 2000 for n in range(400)]
    with buying(openai_double, cache) as buyer:
        bought(buyer, texts)
    assert {each.status for each in openai_double.requests} == {200}, "none was refused"
    assert sizes(openai_double) == [102, 149, 149], "as full as 300,000 tokens allow"
    assert max(each.tokens for each in openai_double.requests) > 297_000


def test_no_request_has_more_than_a_part_of_a_minutes_tokens(openai_double: Double, cache: Cache) -> None:
    with buying(openai_double, cache, tokens_per_minute=600_000) as buyer:
        bought(buyer, [f"{n}" + " word" * 999 for n in range(150)])
    assert max(each.tokens for each in openai_double.requests) <= 100_000
    assert len(openai_double.requests) == 2


def test_each_text_is_paid_for_once_however_many_threads_ask(openai_double: Double, cache: Cache) -> None:
    openai_double.faults.add(Fault.slow(0.02))
    texts = numbered(300)
    with buying(openai_double, cache, max_items=16) as buyer, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: bought(buyer, texts[n * 20 : n * 20 + 100]), range(11)))
        assert right(texts[:100], answers[0])
    with buying(openai_double, cache) as buyer:  # another run
        assert right(texts, bought(buyer, texts))
    assert set(openai_double.ledger.charged.values()) == {1}
    assert len(openai_double.ledger.charged) == 300
    assert cache.spent("run").tokens == openai_double.ledger.tokens


@pytest.mark.parametrize("place", [0, 37, 99])
def test_a_refused_batch_is_halved_down_to_the_bad_text(openai_double: Double, cache: Cache, place: int) -> None:
    openai_double.poison.add("BAD")
    texts = numbered(100)
    texts[place] = "BAD text"
    with buying(openai_double, cache) as buyer:
        found = buyer.ask(keys(texts))
        buyer.flush()
        for text, each in zip(texts, found.values(), strict=True):
            assert isinstance(each, Coming)
            if text == "BAD text":
                with pytest.raises(RefusedText) as raised:
                    each.result()
                assert "BAD" not in str(raised.value)
            else:
                assert right([text], [each.result()])
    assert openai_double.ledger.charged.total() == 99, "each of the others once"
    assert len(openai_double.requests) <= 15, "one, and two for each halving"
    assert cache.spent("run").tokens == openai_double.ledger.tokens, "what is refused costs nothing"


def test_several_bad_texts_are_all_found(openai_double: Double, cache: Cache) -> None:
    openai_double.poison.add("BAD")
    texts = [f"{'BAD ' * (n % 7 == 0)}text {n}" for n in range(64)]
    with buying(openai_double, cache) as buyer:
        found = buyer.ask(keys(texts))
        buyer.flush()
        refused = [text for text, each in zip(texts, found.values(), strict=True) if failure(each)]  # type: ignore[arg-type]
    assert refused == texts[::7]
    assert openai_double.ledger.charged.total() == 54


def test_too_many_tokens_for_a_server_are_halved_until_it_takes_them(openai_double: Double, cache: Cache) -> None:
    openai_double.limits.max_request_tokens = 1000
    texts = [f"{n}" + " word" * 199 for n in range(32)]
    with buying(openai_double, cache) as buyer:
        assert right(texts, bought(buyer, texts))
    assert set(openai_double.ledger.charged.values()) == {1}
    openai_double.limits.max_items = 4
    with buying(openai_double, cache) as buyer:
        bought(buyer, numbered(32))
    assert set(openai_double.ledger.charged.values()) == {1}


def test_a_request_over_a_minutes_limit_that_nobody_knew_is_halved_at_once(openai_double: Double, cache: Cache) -> None:
    too_large = "Request too large for this model on tokens per min (TPM): Limit 6000, Requested 8000."
    openai_double.faults.add(Fault.status(429, message=too_large, type="tokens", code="rate_limit_exceeded"), times=1)
    with buying(openai_double, cache) as buyer:
        bought(buyer, numbered(80))
    assert [each.status for each in openai_double.requests] == [429, 200, 200]
    assert openai_double.ledger.charged.total() == 80


def test_a_storm_of_faults_ends_with_every_vector_right_and_each_text_charged_once(
    openai_double: Double, cache: Cache
) -> None:
    openai_double.faults.add(Fault.status(429, retry_after_s=0.05), probability=0.25)
    openai_double.faults.add(Fault.status(500), probability=0.2)
    openai_double.faults.add(Fault.status(503, retry_after_s=0.02), probability=0.1)
    openai_double.faults.add(Fault.reset(), probability=0.1)
    texts = numbered(400)
    with buying(openai_double, cache, "sk-one", "sk-two", max_items=16) as buyer:
        assert right(texts, bought(buyer, texts))
    failed = sum(each.status != 200 for each in openai_double.requests)
    assert failed >= 8
    assert set(openai_double.ledger.charged.values()) == {1}
    assert len(openai_double.ledger.charged) == 400


def test_short_answers_and_timeouts_are_asked_again_and_what_they_may_have_cost_is_counted(
    openai_double: Double, cache: Cache
) -> None:
    openai_double.faults.add(Fault.changed("short"), times=2)
    openai_double.faults.add(Fault.slow(0.8), skip=2, times=1)
    with buying(openai_double, cache, timeout_s=0.4) as buyer:
        assert right(["a"], bought(buyer, ["a"]))
    assert openai_double.ledger.charged["a"] == 4
    spent = cache.spent("run")
    assert (spent.requests, spent.tokens) == (4, 4)
    assert spent.usd == pytest.approx(0.004)


def test_the_budget_counts_what_lost_answers_may_have_cost(openai_double: Double, cache: Cache) -> None:
    openai_double.faults.add(Fault.changed("short"))  # always: it would be paid for again and again
    with buying(openai_double, cache, max_usd=0.0035) as buyer, pytest.raises(GuardError, match=r"USD 0\.00 of"):
        bought(buyer, ["a"])
    assert openai_double.ledger.tokens == 3


def test_a_vector_that_is_none_makes_its_text_refused_and_keeps_the_others(openai_double: Double, cache: Cache) -> None:
    openai_double.faults.add(Fault.changed("nan"), times=1)
    texts = numbered(10)
    with buying(openai_double, cache) as buyer:
        found = list(buyer.ask(keys(texts)).values())
        buyer.flush()
        assert right(texts[:9], [each.result() for each in found[:9] if isinstance(each, Coming)])
        assert isinstance(found[9], Coming)
        with pytest.raises(RefusedText, match="makes of it what is no number"):
            found[9].result()
    assert len(cache.find(list(keys(texts)))) == 9
    assert len(openai_double.requests) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault.quota(), "the quota of key 1"),
        (Fault.status(401, code="invalid_api_key"), "is not accepted"),
        (Fault.status(404, code="model_not_found"), "there is no model"),
    ],
)
def test_a_final_error_says_what_was_spent_so_far_and_is_not_tried_again(
    openai_double: Double, cache: Cache, fault: Fault, said: str
) -> None:
    openai_double.faults.add(fault, skip=1)
    with buying(openai_double, cache) as buyer:
        bought(buyer, numbered(100))
        with pytest.raises(ConnectorError, match=said) as raised:
            bought(buyer, numbered(100, 100))
    assert not isinstance(raised.value, TransientError)
    assert f"(spent so far: {openai_double.ledger.tokens} tokens, USD 0.30)" in str(raised.value)
    assert len(openai_double.requests) == 2
    assert cache.spent("run").tokens == openai_double.ledger.tokens == 300


def test_a_provider_that_stays_away_is_given_up_with_what_was_spent(
    openai_double: Double, cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vecmig.embedding.buyer.PATIENCE_S", 1.0)
    openai_double.faults.add(Fault.status(500))
    with (
        caplog.at_level(logging.WARNING),
        buying(openai_double, cache) as buyer,
        pytest.raises(TransientError, match=r"it failed: injected fault \(500\) \(spent so far: 0 tokens, USD 0.00\)"),
    ):
        bought(buyer, ["a secret text"])
    assert len(openai_double.requests) > 1
    assert "trying again in" in caplog.text
    assert "secret" not in caplog.text


def test_the_budget_holds_over_all_runs_and_before_each_request(openai_double: Double, cache: Cache) -> None:
    with buying(openai_double, cache, max_usd=0.305, max_items=10) as buyer:  # a text has three tokens
        bought(buyer, numbered(60))
        assert cache.spent("run").usd == pytest.approx(0.18)
    with buying(openai_double, cache, max_usd=0.305, max_items=10) as buyer:
        found = buyer.ask(keys(numbered(60, 60)))
        outcomes = [failure(each) for each in found.values() if isinstance(each, Coming)]
    stopped = [each for each in outcomes if each is not None]
    assert all(isinstance(each, GuardError) for each in stopped)
    assert len(stopped) == 20, "the four requests that still fit were sent, and no fifth"
    assert "USD 0.30 of limits.max_usd (0.30) are spent" in str(stopped[-1])
    assert openai_double.ledger.tokens == 300
    with buying(openai_double, cache, max_usd=0.31, max_items=10) as buyer:
        bought(buyer, numbered(100)), "what is in the cache is free"
    assert openai_double.ledger.tokens == 300


@pytest.mark.parametrize("buyers", [1, 2], ids=["of one model", "of two models or processes"])
def test_the_budget_counts_the_request_that_is_under_way(tmp_path: Path, buyers: int) -> None:
    embedder = Lengths(free=0)  # it answers once it is let go
    texts = ["x" * n for n in range(1, 21)]  # of a token each: two requests of USD 0.01
    with ExitStack() as stack:
        caches = [stack.enter_context(closing(Cache(tmp_path / "c.sqlite"))) for _ in range(buyers)]
        payer = Payer("run", PRICE, 0.015)
        some = [stack.enter_context(closing(Buyer(embedder, "mine/length", cache, payer, Event()))) for cache in caches]
        stack.callback(embedder.let_go.set)  # also where this fails: closing waits for answers
        found = [*some[0].ask(keys(texts[:10])).values(), *some[-1].ask(keys(texts[10:])).values()]
        coming = [each for each in found if isinstance(each, Coming)]
        wait_until(lambda: sum(each.done() for each in coming) == 10)
        assert embedder.sizes == [10], "one was sent, and its answer is still to come"
        embedder.let_go.set()
        stopped = [error for each in coming if (error := failure(each))]
        assert [type(error) for error in stopped] == [GuardError] * 10
    assert embedder.sizes == [10]


def test_a_model_without_a_known_price_is_not_stopped_and_its_tokens_are_counted(
    openai_double: Double, cache: Cache
) -> None:
    with opened(openai_double, dimensions=D) as embedder:
        payer = Payer("run", None, 0.0)
        with closing(Buyer(embedder, f"openai/{SMALL}", cache, payer, Event())) as buyer:
            bought(buyer, numbered(10))
            openai_double.faults.add(Fault.quota())
            with pytest.raises(ConnectorError, match=r"\(spent so far: 30 tokens\)"):
                bought(buyer, ["a"])


def test_after_a_stop_nothing_more_is_sent(openai_double: Double, cache: Cache) -> None:
    stop = Event()
    with buying(openai_double, cache, stop=stop) as buyer:
        bought(buyer, ["a"])
        stop.set()
        with pytest.raises(Stopped):
            bought(buyer, ["b"])
    assert list(openai_double.ledger.charged) == ["a"]


def test_closing_ends_the_halving_of_what_is_refused(openai_double: Double, cache: Cache) -> None:
    openai_double.poison.add("text")
    openai_double.faults.add(Fault.slow(0.05))
    with buying(openai_double, cache) as buyer:
        found = buyer.ask(keys(numbered(256)))
        buyer.flush()
    assert len(openai_double.requests) < 10
    assert all(each.done() for each in found.values() if isinstance(each, Coming)), "nobody waits for ever"


def test_a_lost_answer_is_transient() -> None:
    assert issubclass(LostAnswer, TransientError)


WORKER = """
import sys
from contextlib import closing
from pathlib import Path
from threading import Event
from tests.embedding.test_buyer import bought, numbered
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import Cache
from vecmig.model.secret import Secret

url, path, run = sys.argv[1:]
embedder = OpenAIOptions((Secret("sk"),), url, max_items=20).open("text-embedding-3-small", 8)
print("ready", flush=True)
sys.stdin.readline()
with closing(Cache(Path(path))) as cache, closing(Buyer(embedder, "m", cache, Payer(run, 1.0), Event())) as buyer:
    cache.begin(run)
    vectors = bought(buyer, numbered(400))
    print(len(vectors), cache.spent(run).tokens, flush=True)
"""


def _worker(double: Double, path: Path, run: str) -> "subprocess.Popen[str]":
    """Start a process that is ready, and waits for `_go`."""
    command = [sys.executable, "-c", WORKER, double.url, str(path), run]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_want_the_same_texts_at_once_pay_for_each_once(openai_double: Double, tmp_path: Path) -> None:
    openai_double.faults.add(Fault.slow(0.05))
    processes = [_worker(openai_double, tmp_path / "c.sqlite", f"run {n}") for n in range(3)]
    for process in processes:
        _go(process)
    tokens = 0
    for process in processes:
        vectors, paid = map(int, process.communicate(timeout=120)[0].split())
        assert vectors == 400
        tokens += paid
    assert len(openai_double.ledger.charged) == 400
    assert not openai_double.ledger.twice
    assert tokens == openai_double.ledger.tokens, "each pays for its own requests"
    assert not list(tmp_path.glob("*.lock")), "nothing is left of who ended"


def test_what_a_killed_process_was_buying_is_bought_by_the_others(openai_double: Double, tmp_path: Path) -> None:
    openai_double.faults.add(Fault.slow(1))
    first, second = (_worker(openai_double, tmp_path / "c.sqlite", f"run {n}") for n in range(2))
    _go(first)
    while openai_double.most_at_once < 4:
        time.sleep(0.01)
    _go(second)
    time.sleep(0.3)
    first.kill()
    first.communicate()
    out, _ = second.communicate(timeout=120)
    assert out.split()[0] == "400"
    assert len(openai_double.ledger.charged) == 400
    assert 0 < len(openai_double.ledger.twice) <= 4 * 20, "the batches in flight at the kill"
    assert set(openai_double.ledger.twice.values()) == {2}
    assert not list(tmp_path.glob("*.lock")), "nothing is left of who was killed"
    with closing(Cache(tmp_path / "c.sqlite")) as cache, opened(openai_double, dimensions=D) as embedder:
        cache.begin("run 0")  # again: what was in flight counts for its budget, though nothing came of it
        lost, sent = cache.spent("run 0"), len(openai_double.requests)
        assert lost.requests >= 4
        assert lost.tokens >= 4 * 20
        payer = Payer("run 0", 1.0, lost.usd + 2e-6)
        with closing(Buyer(embedder, "m", cache, payer, Event())) as buyer, pytest.raises(GuardError):
            bought(buyer, ["one of four tokens"])
        assert len(openai_double.requests) == sent
