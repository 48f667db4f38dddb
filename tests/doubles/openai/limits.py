"""What one request may hold, and how many there may be in a minute."""

import math
import threading
import time
from dataclasses import dataclass, field

from tests.doubles.openai.errors import Refused


@dataclass(slots=True)
class Limits:
    """OpenAI's own; the rates are each key's, None: no limit, and no headers about it."""

    max_items: int = 2048
    max_text_tokens: int = 8191
    max_request_tokens: int = 300_000
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    burst_s: float = 60.0  # a bucket holds what is allowed in this time
    _buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)  # (level, at)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, counts: list[int]) -> None:
        """Raise Refused for what one request may not hold."""
        if len(counts) > self.max_items:
            raise Refused(
                f"Invalid 'input': array too long. Expected an array with maximum length {self.max_items}, but got an "
                f"array with length {len(counts)} instead.",
                param="input",
                code="array_above_max_length",
            )
        if any(count > self.max_text_tokens for count in counts):
            raise Refused(
                f"This model's maximum context length is {self.max_text_tokens} tokens, however you requested "
                f"{max(counts)} tokens. Please reduce your prompt.",
                code="context_length_exceeded",
            )
        if sum(counts) > self.max_request_tokens:
            raise Refused(
                f"Requested {sum(counts)} tokens, max {self.max_request_tokens} tokens per request",
                type="max_tokens_per_request",
                code="max_tokens_per_request",
            )

    def take(self, key: str, tokens: int) -> dict[str, str]:
        """Count a request; return the headers about rates. Raises Refused beyond one."""
        with self._lock:
            now = time.monotonic()
            headers: dict[str, str] = {}
            levels: dict[tuple[str, str], float] = {}
            for name, per_minute, amount in (
                ("requests", self.requests_per_minute, 1),
                ("tokens", self.tokens_per_minute, tokens),
            ):
                if per_minute is None:
                    continue
                capacity = per_minute * self.burst_s / 60
                level, at = self._buckets.get((key, name), (capacity, now))
                level = min(capacity, level + (now - at) * per_minute / 60)
                if amount > per_minute:
                    raise _too_large(name, per_minute, amount)
                # a request of more than a bucket holds empties it
                if level < min(amount, capacity) - 1e-9:
                    wait_s = (min(amount, capacity) - level) * 60 / per_minute
                    raise _too_many(name, per_minute, level, wait_s)
                levels[key, name] = level - amount
                headers |= _headers(name, per_minute, level - amount, (capacity - level + amount) * 60 / per_minute)
            for place, level in levels.items():
                self._buckets[place] = level, now
            return headers


def _too_large(name: str, per_minute: float, amount: float) -> Refused:
    return Refused(
        f"Request too large for this model in organization org-1 on {name} per min (TPM): Limit {per_minute:g}, Requested "
        f"{amount:g}. The input or output tokens must be reduced in order to run successfully.",
        429,
        type=name,
        code="rate_limit_exceeded",
        headers=_headers(name, per_minute, per_minute, 0),
    )


def _too_many(name: str, per_minute: float, level: float, wait_s: float) -> Refused:
    short = "RPM" if name == "requests" else "TPM"
    return Refused(
        f"Rate limit reached for this model on {name} per min ({short}): Limit {per_minute:g}. Please try again in "
        f"{wait_s:.3f}s.",
        429,
        type=name,
        code="rate_limit_exceeded",
        headers={
            "retry-after": str(math.ceil(wait_s)),
            "retry-after-ms": str(math.ceil(wait_s * 1000)),
            **_headers(name, per_minute, level, wait_s),
        },
    )


def _headers(name: str, per_minute: float, level: float, reset_s: float) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{name}": f"{per_minute:g}" if per_minute < 1e6 else str(int(per_minute)),
        f"x-ratelimit-remaining-{name}": str(max(0, int(level))),
        f"x-ratelimit-reset-{name}": f"{max(0.0, reset_s):.3f}s",
    }
