"""The SDK's errors as vecmig's: what happened, where, what next. Never a key, never a text."""

import re
from collections.abc import Mapping

import openai

from vecmig.embedders.openai.headers import retry_after_s
from vecmig.errors import ConnectorError, RefusedText, TransientError
from vecmig.model.secret import redact

SHOWN = 300  # characters of what the server says
_QUOTED = re.compile(
    r"(?<!\w)(?:'.*'|\".*\"|`.*`)(?!\w)", re.DOTALL
)  # to the last: it may be a text, with quotes in it
_TEXT_PARAMETERS = re.compile(r"\W*input\b")  # of a 400; any other parameter is not the text's fault


def translated(error: openai.APIError, where: str, model: str, key: str) -> ConnectorError:
    """Return the error of a request. `key`: which API key it was, for people."""
    said = message(error)
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    match status:
        case 401 | 403:
            return ConnectorError(f"{where}: {key} is not accepted: {said} ({status}); {_way(key)}")
        case 404:
            return ConnectorError(
                f"{where}: there is no model {model!r} for {key}, or nothing at this address: {said}; look at the model's"
                " name, and at `base_url`"
            )
        case 429 if "insufficient_quota" in (error.code, error.type):
            return ConnectorError(f"{where}: the quota of {key} is spent: {said}; add credit, then run it again")
        case 429:
            return TransientError(f"{where}: fewer requests are asked for: {said}")
        case 400 | 413 | 422:
            return _refused(error, where, model, said)
        case 408 | 409:
            return TransientError(f"{where}: it failed: {said} ({status})")
        case int() if status >= 500 and status != 501:
            return TransientError(f"{where}: it failed: {said} ({status})")
        case int():
            return ConnectorError(f"{where}: it is refused: {said} ({status})")
    if isinstance(error, openai.APITimeoutError):
        return TransientError(f"{where}: no answer in time; `timeout_s` sets how long it is waited for")
    if isinstance(error, openai.APIConnectionError):
        cause = f" ({redact(str(error.__cause__))[:SHOWN]})" if error.__cause__ and str(error.__cause__) else ""
        return TransientError(f"{where}: the connection failed{cause}; look at the network, and at `base_url`")
    return TransientError(f"{where}: the answer cannot be read: {said}")


def asks_for_less(error: openai.APIError) -> bool:
    return isinstance(error, openai.RateLimitError)


def pause_s(error: openai.APIError) -> float | None:
    """Return for how many seconds the server asks to be left alone, if it does."""
    return retry_after_s(error.response.headers) if isinstance(error, openai.APIStatusError) else None


def message(error: openai.APIError) -> str:
    """Return what the server said, on one line, without what it quotes."""
    body = error.body
    found = body.get("message") if isinstance(body, Mapping) else None
    if not isinstance(found, str) or not found.strip():  # any other body may hold the request
        return error.code or type(error).__name__
    text = " ".join(_QUOTED.sub("…", redact(found)).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _refused(error: openai.APIError, where: str, model: str, said: str) -> ConnectorError:
    if error.param == "model" or error.code == "model_not_found":
        return ConnectorError(f"{where}: there is no model {model!r} here: {said}")
    if error.param == "dimensions" or (error.param is None and "dimensions" in said):
        return ConnectorError(
            f"{where}: this model's vectors cannot be shortened so: {said}; leave `dimensions` out, or choose others"
        )
    if error.param and not _TEXT_PARAMETERS.match(error.param):
        return ConnectorError(f"{where}: the server does not take the parameter `{error.param}`: {said}")
    return RefusedText(f"{where}: the text is refused: {said}")


def _way(key: str) -> str:
    return "give one with `api_keys`" if key == NO_KEY else "is it of this provider, and may it use this model?"


NO_KEY = "a request without a key"
