"""What goes wrong, and when: by a script, or by chance with a seed.

double.faults.add(Fault.status(429, retry_after_s=1), times=3)
double.faults.add(Fault.reset(charged=True), skip=5, times=1)
double.faults.add(Fault.status(500), probability=0.1)
double.faults.add(Fault.quota(), key="sk-two")
"""

import random
import threading
from dataclasses import dataclass
from typing import Any, Literal

Change = Literal["short", "long", "nan", "shuffled", "unindexed", "twice", "uneven", "half", "no usage", "html"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one call. Made by its class methods."""

    http: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    error: tuple[tuple[str, str | None], ...] = ()
    is_reset: bool = False
    is_charged: bool = False
    slow_s: float = 0
    change: Change | None = None

    @classmethod
    def status(cls, http: int, *, retry_after_s: float | None = None, charged: bool = False, **error: Any) -> "Fault":
        """Answer with this status; `error`: message, code, param, type of its body; `charged`: after embedding."""
        headers = () if retry_after_s is None else (("retry-after", f"{retry_after_s:g}"),)
        return cls(http, headers, tuple(error.items()), is_charged=charged)

    @classmethod
    def quota(cls) -> "Fault":
        """Refuse as OpenAI does a key without credit."""
        return cls.status(
            429,
            message="You exceeded your current quota, please check your plan and billing details.",
            type="insufficient_quota",
            code="insufficient_quota",
        )

    @classmethod
    def reset(cls, *, charged: bool = False) -> "Fault":
        """Reset the connection without an answer; `charged`: after embedding."""
        return cls(is_reset=True, is_charged=charged)

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        """Wait before answering."""
        return cls(slow_s=seconds)

    @classmethod
    def changed(cls, change: Change) -> "Fault":
        """Answer, and charge, but: a vector too few or too many, NaN in it, in another order (with or without `index`),
        one place twice, vectors of unequal lengths, half of the bytes, no usage, a web page."""
        return cls(change=change)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    key: str | None
    left: int | None
    skip: int
    probability: float


class Faults:
    """The faults of one double. Safe to change while it runs."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault,
        *,
        key: str | None = None,
        times: int | None = None,
        skip: int = 0,
        probability: float = 1.0,
    ) -> None:
        """Do this to calls (with this key), after `skip` of them, at most `times` times."""
        with self._lock:
            self._rules.append(_Rule(fault, key, times, skip, probability))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, key: str) -> list[Fault]:
        """What goes wrong with this call."""
        with self._lock:
            return [rule.fault for rule in self._rules if self._hits(rule, key)]

    def _hits(self, rule: _Rule, key: str) -> bool:
        if rule.key not in (None, key) or rule.left == 0 or self._random.random() >= rule.probability:
            return False
        if rule.skip:
            rule.skip -= 1
            return False
        if rule.left is not None:
            rule.left -= 1
        return True
