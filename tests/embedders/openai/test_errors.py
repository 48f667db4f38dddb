"""What goes wrong: what it is, where, what next; final or not; and never a key or a text."""

import logging
import socket
import time
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.doubles.openai import Double, Fault
from tests.embedders.openai.providers import ADA, SMALL, opened, options
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.errors import ConnectorError, LostAnswer, RefusedText, SpecError, TransientError, VecmigError

KEY = "sk-live-0123456789"
TEXT = 'The patient\'s name is Ada Lovelace, born 1815, and "she" paid with 4111 1111 1111 1111.'


def failure(double: Double, *keys: str, texts: tuple[str, ...] = (TEXT,), **more: object) -> VecmigError:
    """Return the error of one request; check what holds for each."""
    with opened(double, *(keys or (KEY,)), **more) as embedder, pytest.raises(VecmigError) as raised:  # type: ignore[arg-type]
        embedder.embed(texts, "passage")
    said = str(raised.value).replace(urlsplit(double.url).netloc, "")  # a port can hold any of the digits below
    assert KEY not in said
    assert not any(part in said for part in ("Lovelace", "1815", "4111")), said
    return raised.value


def is_final(error: VecmigError) -> bool:
    return isinstance(error, ConnectorError) and not isinstance(error, TransientError | RefusedText)


def test_a_wrong_key_is_named_by_its_place_and_its_variable(
    openai_double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai_double.keys = {"sk-right"}
    monkeypatch.setenv("MY_KEY", KEY)
    error = failure(openai_double, "{{ env.MY_KEY }}")
    assert is_final(error)
    assert "key 1 of `api_keys` (MY_KEY) is not accepted: Incorrect API key provided: sk-***89. (401)" in str(error)


def test_of_several_keys_the_wrong_one_is_named(openai_double: Double) -> None:
    openai_double.keys = {"sk-right"}
    with opened(openai_double, "sk-right", KEY, requests_per_minute=1) as embedder:
        embedder.embed(["a"], "passage")
        with pytest.raises(ConnectorError, match="key 2 of `api_keys` is not accepted") as raised:
            embedder.embed(["b"], "passage")
    assert KEY not in str(raised.value)


def test_a_server_that_repeats_the_key_is_not_quoted(openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    openai_double.faults.add(Fault.status(401, message=f"Bad header: Bearer {KEY} is unknown"))
    assert "Bad header: Bearer *** is unknown" in str(failure(openai_double, "{{ env.MY_KEY }}"))


def test_the_line_break_after_a_key_from_a_file_is_no_part_of_it(
    openai_double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    openai_double.keys = {KEY}
    with opened(openai_double, "{{ env.MY_KEY }}") as embedder:
        assert len(embedder.embed(["a"], "passage").vectors) == 1


@pytest.mark.parametrize("wrong", [f"{KEY}\nX", f"{KEY}\N{ZERO WIDTH SPACE}x", f"{KEY}é"])
def test_a_key_that_can_be_none_is_refused_before_it_is_sent(
    openai_double: Double, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("MY_KEY", wrong)
    error = failure(openai_double, "{{ env.MY_KEY }}")
    assert isinstance(error, SpecError)
    assert "key 1 of `api_keys` (MY_KEY) holds characters that no key has" in str(error)
    assert not openai_double.requests


def test_a_server_that_wants_a_key_where_none_is_given_says_so(openai_double: Double) -> None:
    openai_double.keys = {KEY}
    embedder = OpenAIOptions(base_url=openai_double.url).open(SMALL, None)
    with pytest.raises(ConnectorError, match=r"a request without a key is not accepted: .*give one with `api_keys`"):
        embedder.embed(["a"], "passage")
    embedder.close()


def test_an_unknown_model_is_final(openai_double: Double) -> None:
    error = failure(openai_double, model="text-embedding-4")
    assert is_final(error)
    assert "there is no model 'text-embedding-4' for key 1 of `api_keys`" in str(error)


def test_a_quota_that_is_spent_is_final_though_it_is_a_429(openai_double: Double) -> None:
    openai_double.faults.add(Fault.quota())
    error = failure(openai_double)
    assert is_final(error)
    assert "the quota of key 1 of `api_keys` is spent" in str(error)
    assert "add credit" in str(error)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_passes_is_transient(openai_double: Double, status: int) -> None:
    openai_double.faults.add(Fault.status(status, retry_after_s=0.01))
    error = failure(openai_double)
    assert isinstance(error, TransientError)
    assert not isinstance(error, LostAnswer), "nothing was charged"
    assert len(openai_double.requests) == 1, "the SDK itself tries nothing again"


@pytest.mark.parametrize("status", [402, 403, 405, 410, 418, 501])
def test_what_is_not_known_to_pass_is_final(openai_double: Double, status: int) -> None:
    openai_double.faults.add(Fault.status(status))
    assert is_final(failure(openai_double))


def test_an_answer_that_takes_too_long_is_given_up(openai_double: Double) -> None:
    openai_double.faults.add(Fault.slow(60))
    began = time.monotonic()
    error = failure(openai_double, timeout_s=0.2)
    assert isinstance(error, LostAnswer), "it may have been charged"
    assert "no answer in time; `timeout_s`" in str(error)
    assert time.monotonic() - began < 30


def test_a_reset_connection_may_have_been_charged(openai_double: Double) -> None:
    openai_double.faults.add(Fault.reset(charged=True))
    assert isinstance(failure(openai_double), LostAnswer)


def test_where_nobody_listens_nothing_was_charged(openai_double: Double) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = failure(openai_double, base_url=f"http://127.0.0.1:{port}/v1")
    assert isinstance(error, TransientError)
    assert not isinstance(error, LostAnswer)
    assert f"127.0.0.1:{port} {SMALL}: the connection failed" in str(error)
    assert "`base_url`" in str(error)


def test_a_refused_text_is_told_from_a_refused_request(openai_double: Double) -> None:
    openai_double.poison.add("Lovelace")
    assert isinstance(failure(openai_double, texts=("good", TEXT)), RefusedText)
    openai_double.faults.add(Fault.status(400, param="user", message="unknown parameter"))
    error = failure(openai_double)
    assert is_final(error)
    assert "does not take the parameter `user`" in str(error)


def test_too_many_tokens_of_one_text_and_of_one_request_are_refused_texts(openai_double: Double) -> None:
    assert isinstance(failure(openai_double, texts=("word " * 9000,)), RefusedText)
    openai_double.limits.max_request_tokens = 100
    assert isinstance(failure(openai_double, texts=("word " * 60, "word " * 60)), RefusedText)


def test_a_request_over_a_minutes_tokens_is_to_be_halved_not_repeated(openai_double: Double) -> None:
    openai_double.limits.tokens_per_minute = 100
    with opened(openai_double) as embedder:
        assert embedder.limits.tokens_per_minute is None
        with pytest.raises(RefusedText, match="more than key 1 of `api_keys` may send in a minute"):
            embedder.embed(["word " * 200], "passage")
        assert embedder.limits.tokens_per_minute == 100, "the refusal told the limit"
        began = time.monotonic()
        embedder.embed(["word"], "passage")
        assert embedder.limits.max_request_tokens == 100 // 6
        assert time.monotonic() - began < 20, "nothing to wait for"


def test_dimensions_that_a_server_refuses_are_final(openai_double: Double) -> None:
    openai_double.models["mine"] = openai_double.models[ADA]
    error = failure(openai_double, model="mine", dimensions=8)
    assert is_final(error)
    assert "leave `dimensions` out" in str(error)


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 503, 401, 501])
@pytest.mark.parametrize(
    "message",
    [
        "cannot embed '{}' at all",
        'cannot embed "{}"',
        "cannot embed {} at all",
        "{}",
        "the input [{}] is bad",
        "near: paid with 4111 1111 1111 1111.",
        "The patient's name is Ada Lovelace, born 18",
    ],
)
def test_what_a_server_repeats_of_the_text_is_left_out(openai_double: Double, status: int, message: str) -> None:
    openai_double.faults.add(Fault.status(status, message=message.format(TEXT)))
    failure(openai_double, texts=("another", TEXT))


def test_a_short_text_that_is_repeated_is_left_out(openai_double: Double) -> None:
    openai_double.faults.add(Fault.status(400, message="bad word Zyx9 here"))
    with opened(openai_double) as embedder, pytest.raises(RefusedText, match="bad word … here"):
        embedder.embed(["Zyx9"], "passage")


def test_what_a_server_says_that_is_of_no_text_is_shown(openai_double: Double) -> None:
    openai_double.faults.add(Fault.status(400, message="This model's maximum context length is 512 tokens"))
    assert "maximum context length is 512 tokens" in str(failure(openai_double))


def test_nothing_of_a_body_without_a_message_is_shown(openai_double: Double) -> None:
    openai_double.faults.add(Fault.status(422, message=None, detail=[{"input": TEXT}]))
    failure(openai_double)


def test_no_key_and_no_text_stands_in_the_log(openai_double: Double, caplog: pytest.LogCaptureFixture) -> None:
    openai_double.faults.add(Fault.status(429, retry_after_s=0.01, message=f"slow down {KEY}"), times=1)
    with caplog.at_level(logging.INFO, logger="vecmig"), opened(openai_double, KEY) as embedder:
        with pytest.raises(TransientError):
            embedder.embed([TEXT], "passage")
        embedder.embed([TEXT], "passage")
    assert "requests with key 1 pause" in caplog.text
    assert KEY not in caplog.text
    assert "Lovelace" not in caplog.text


def test_half_a_character_is_said_to_be_none(openai_double: Double) -> None:
    with opened(openai_double) as embedder, pytest.raises(RefusedText, match="half a character"):
        embedder.embed(["a", "\ud83d"], "passage")


def test_the_options_hold_no_value_of_a_key(openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    given = options(openai_double, "{{ env.MY_KEY }}")
    embedder = given.open(SMALL, None)
    embedder.embed(["a"], "passage")
    assert KEY not in repr(given) + repr(embedder.__dict__) + given.label + embedder.identity
    embedder.close()


def test_a_text_of_which_the_model_makes_no_vector_is_left_to_the_caller(openai_double: Double) -> None:
    openai_double.faults.add(Fault.changed("nan"))
    with opened(openai_double, dimensions=8) as embedder:
        made = embedder.embed(["a", "b"], "passage").vectors
    assert np.isfinite(made).all(axis=1).tolist() == [True, False]
