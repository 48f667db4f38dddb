"""What an answer's headers say of limits."""

import email.utils
import time
from collections.abc import Mapping

LIMITS = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")


def limits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Return (requests, tokens) a minute."""
    requests, tokens = (_number(headers.get(name)) for name in LIMITS)
    return requests, tokens


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds the provider asks to be left alone, if it does."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    given = headers.get("retry-after")
    if given is None or (seconds := _number(given)) is not None:
        return seconds if given is not None else None
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
