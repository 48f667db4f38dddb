"""The SDK's errors as vecmig's: what happened, where, what next. Never a key, never a text."""

import re
from collections.abc import Mapping, Sequence

import openai

from vecmig.embedders.openai.headers import retry_after_s
from vecmig.errors import ConnectorError, LostAnswer, RefusedText, TransientError
from vecmig.model.secret import redact

SHOWN = 300  # characters of what the server says
REPEATED = 16  # characters in a row that also stand in a text: they are of it
SHORTEST = 4  # a text: what is shorter stands in any message
_QUOTED = re.compile(
    r"(?<!\w)(?:'.*'|\".*\"|`.*`)(?!\w)", re.DOTALL
)  # to the last: it may be a text, with quotes in it
_UNSENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "UnsupportedProtocol",
}  # of the SDK's client, by any name of it
_TEXT_PARAMETERS = re.compile(r"\W*input\b")  # of a 400; any other parameter is not the text's fault


def translated(error: openai.APIError, where: str, model: str, key: str, texts: Sequence[str]) -> ConnectorError:
    """Return the error of a request with these texts. `key`: which API key it was, for people."""
    said = message(error, texts)
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
        case 429 if asks_for_smaller(error):
            return RefusedText(f"{where}: one request with it is more than {key} may send in a minute: {said}")
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
    kind = TransientError if type(error.__cause__).__name__ in _UNSENT else LostAnswer
    if isinstance(error, openai.APITimeoutError):
        return kind(f"{where}: no answer in time; `timeout_s` sets how long it is waited for")
    if isinstance(error, openai.APIConnectionError):
        cause = f" ({redact(str(error.__cause__))[:SHOWN]})" if error.__cause__ and str(error.__cause__) else ""
        return kind(f"{where}: the connection failed{cause}; look at the network, and at `base_url`")
    return kind(f"{where}: the answer cannot be read: {said}")


def asks_for_less(error: openai.APIError) -> bool:
    return isinstance(error, openai.RateLimitError) and not asks_for_smaller(error)


def asks_for_smaller(error: openai.APIError) -> bool:
    """Return whether this one request is over a minute's limit: no waiting helps."""
    body = error.body
    return (
        isinstance(error, openai.RateLimitError)
        and isinstance(body, Mapping)
        and str(body.get("message")).startswith("Request too large")
    )


def pause_s(error: openai.APIError) -> float | None:
    """Return for how many seconds the server asks to be left alone, if it does."""
    return retry_after_s(error.response.headers) if isinstance(error, openai.APIStatusError) else None


def message(error: openai.APIError, texts: Sequence[str]) -> str:
    """Return what the server said, on one line, without what it quotes or repeats of the texts."""
    body = error.body
    found = body.get("message") if isinstance(body, Mapping) else None
    if not isinstance(found, str) or not found.strip():  # any other body may hold the request
        return error.code or type(error).__name__
    text = " ".join(_QUOTED.sub("…", redact(found)).split())
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return shown if isinstance(error, openai.RateLimitError) else _without(shown, texts)  # that one reads no text


def _without(said: str, texts: Sequence[str]) -> str:
    known = [" ".join(text.split()) for text in texts]
    for text in known:
        if SHORTEST <= len(text) <= len(said):
            said = said.replace(text, "…")
    whole = "\0".join(known)
    shown, at = [], 0
    while at < len(said):
        end = at + REPEATED
        if end <= len(said) and said[at:end] in whole:
            while end < len(said) and said[at : end + 1] in whole:
                end += 1
            shown.append("…")
            at = end
        else:
            shown.append(said[at])
            at += 1
    return "".join(shown)


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
