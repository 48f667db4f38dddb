"""Requests at the rate that a provider allows: a lane for each API key, the one that is free first takes the next.

Requests, and the tokens in them, are spaced evenly: OpenAI measures a minute's limit in shorter windows, too (its page
"Rate limits": 60,000 a minute may be enforced as 1,000 a second), and a burst would be refused.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock

from vecmig.errors import TransientError

log = logging.getLogger(__name__)
PATIENCE_S = 90.0  # a lane that is to pause longer is not waited for: a limit of a day is used up, not one of a minute
LEEWAY_S = 0.2  # who is late by less makes up for it: else what a busy machine loses is lost of the limit
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # after a refusal that does not say how long
Told = tuple[float | None, float | None]  # by an answer: requests and tokens a minute


@dataclass(slots=True)
class Rate:
    """Even spacing. `given`: the spec's own limit, which answers may lower but never raise."""

    given: float | None
    per_minute: float | None  # None: no limit is known
    free_at: float = 0.0

    def take(self, at: float, amount: float) -> None:
        if self.per_minute:
            begins = self.free_at if at - self.free_at < LEEWAY_S else at  # who was idle has nothing to make up for
            self.free_at = begins + amount * 60 / self.per_minute

    def correct(self, amount: float) -> None:
        """Count so much more, or less, than was taken."""
        if self.per_minute:
            self.free_at += amount * 60 / self.per_minute

    def told(self, per_minute: float | None) -> None:
        """Go by what an answer says of the limit."""
        if per_minute:
            self.per_minute = per_minute if self.given is None else min(self.given, per_minute)


@dataclass(slots=True)
class Lane:
    """One API key's."""

    number: int
    requests: Rate
    tokens: Rate
    paused_until: float = 0.0
    under_way: int = 0
    refusals: int = 0  # in a row

    def told(self, limits: Told) -> None:
        for rate, limit in zip((self.requests, self.tokens), limits, strict=True):
            rate.told(limit)

    def free_at(self, now: float) -> float:
        return max(now, self.requests.free_at, self.tokens.free_at, self.paused_until)


@dataclass(slots=True)
class Lanes:
    """For several threads."""

    lanes: tuple[Lane, ...]
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] | None = None  # None: until then, or until `close`
    _closed: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    @property
    def requests_per_minute(self) -> float | None:
        return _sum([lane.requests.per_minute for lane in self.lanes])

    @property
    def tokens_per_minute(self) -> float | None:
        return _sum([lane.tokens.per_minute for lane in self.lanes])

    @property
    def least_tokens_per_minute(self) -> float | None:
        """Of one lane: any of them may be the next one."""
        return min((rate for lane in self.lanes if (rate := lane.tokens.per_minute) is not None), default=None)

    def take(self, tokens: float) -> Lane:
        """Wait until a lane has room for one more request with so many tokens. Raises TransientError."""
        while True:
            with self._lock:
                now = self.clock()
                lane = min(self.lanes, key=lambda each: (each.free_at(now), each.under_way))
                pause_s = lane.paused_until - now
                if pause_s > PATIENCE_S:
                    raise TransientError(f"the provider asks to wait for {pause_s / 60:,.0f} minutes")
                at = lane.free_at(now)
                lane.requests.take(at, 1)
                lane.tokens.take(at, tokens)
                lane.under_way += 1
            if at > now:
                (self.wait or self._closed.wait)(at - now)
            if self._closed.is_set():
                raise TransientError("the provider was closed while a request waited for its turn")
            if lane.paused_until <= max(at, now):  # else one was refused meanwhile
                return lane
            with self._lock:
                lane.under_way -= 1

    def done(self, lane: Lane, tokens: float, told: Told) -> None:
        """Note an answer: tokens more than were taken, or less, and the limits (requests, tokens) that it told."""
        with self._lock:
            lane.under_way -= 1
            lane.refusals = 0
            lane.told(told)
            lane.tokens.correct(tokens)

    def failed(
        self, lane: Lane, told: Told = (None, None), *, slow_down: bool = False, pause_s: float | None = None
    ) -> None:
        """Note a request that was not granted, and the limits that it told; the lane pauses where that was asked for."""
        with self._lock:
            lane.under_way -= 1
            lane.told(told)
            now = self.clock()
            if pause_s is None:
                if not slow_down or now < lane.paused_until:  # those that were under way together count once
                    return
                pause_s = min(FIRST_PAUSE_S * 2**lane.refusals, LONGEST_PAUSE_S)
            if now >= lane.paused_until:
                lane.refusals += 1
            lane.paused_until = max(lane.paused_until, now + pause_s)
            log.info("requests with key %d pause for %.1f s", lane.number, pause_s)

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closed.set()


def lanes(number: int, requests: tuple[float | None, float | None], tokens: tuple[float | None, float | None]) -> Lanes:
    """Return so many lanes, each with these limits a minute: (the spec's own, what else is known)."""

    def rate(limits: tuple[float | None, float | None]) -> Rate:
        given, known = limits
        return Rate(given, known if given is None else given)

    return Lanes(tuple(Lane(place + 1, rate(requests), rate(tokens)) for place in range(number)))


def _sum(rates: list[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if len(known) == len(rates) else None
