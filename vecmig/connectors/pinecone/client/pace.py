"""How fast one kind of request may go, found out from the service's answers, and shared by all workers.

Additive increase, multiplicative decrease: there is no limit until the service says 429; then a part of the rate of the
last seconds, which grows again while it is content.
"""

import logging
import math
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from vecmig.errors import TransientError

log = logging.getLogger(__name__)
WINDOW_S = 2.0
TOLD_AGAIN_S = 10.0  # a refusal sooner after the last is no news
AGAIN_S = 1.0  # those that were under way when the rate fell do not make it fall once more
DECREASE = 0.7
GROWTH, LEAST_GROWTH = 0.1, 4.0  # of the rate, and requests a second: each second without a refusal
LEAST_PER_S, MOST_PER_S = 3.0, 10_000  # Pinecone's limits are 100 a second and more (page "Database limits")

_paces: dict[tuple[str, str], "Pace"] = {}  # by host and kind of request: connections to one index share its limits
_lock = Lock()


@dataclass(slots=True)
class Pace:
    """For several threads."""

    per_s: float | None = None  # None: no limit is known
    what: str = "requests"  # how a message calls them
    _told_at: float = -math.inf
    _sent: deque[float] = field(default_factory=deque)  # times of the last seconds
    _free_at: float = 0.0
    _paused_until: float = 0.0
    _refused_at: float = -math.inf
    _grown_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def take(self, patience_s: float, what: str) -> None:
        """Wait until one more request is within the rate. Raises TransientError at once where that takes too long."""
        end = time.monotonic() + patience_s
        while True:
            now = time.monotonic()
            at = self._reserve(now, end)
            if at > end:
                raise TransientError(
                    f"{what}: Pinecone asks for fewer requests, the next one in {at - now:,.0f} s; with fewer"
                    " `execution.workers` there would be fewer"
                )
            if at > now:
                time.sleep(at - now)
            if self._paused_until <= max(now, at):  # else one was refused meanwhile
                return

    def refused(self, retry_after_s: float | None) -> None:
        """Slow down after a 429; those that were sent at the same time count once."""
        with self._lock:
            now = time.monotonic()
            self._paused_until = max(self._paused_until, now + (retry_after_s or 0.0))
            if now - self._refused_at > AGAIN_S:
                # what was sent in the window, refused ones and all, was too much
                reached = sum(at <= now for at in self._sent) / WINDOW_S
                limit = reached if self.per_s is None else min(self.per_s, reached)
                self.per_s = max(LEAST_PER_S, DECREASE * limit)
                self._refused_at = now
                if now - self._told_at > TOLD_AGAIN_S:
                    self._told_at = now
                    log.warning("Pinecone asks for fewer requests: %s go on at %.0f a second", self.what, self.per_s)
            self._grown_at = max(now, self._paused_until)

    def _reserve(self, now: float, end: float) -> float:
        """Return when the next request may be sent, and take that place if it is not after `end`."""
        with self._lock:
            self._grow(now)
            at = max(now, self._free_at, self._paused_until)
            if at > end:
                return at
            if self.per_s is not None:
                self._free_at = at + 1 / self.per_s
            self._sent.append(at)
            while self._sent[0] < now - WINDOW_S:
                self._sent.popleft()
            return at

    def _grow(self, now: float) -> None:
        if self.per_s is not None and now > self._grown_at:
            self.per_s += max(GROWTH * self.per_s, LEAST_GROWTH) * min(now - self._grown_at, 1.0)
            self._grown_at = now
            if self.per_s > MOST_PER_S:
                self.per_s = None


def pace_of(host: str, kind: str) -> Pace:
    """Return the pace of one kind of request to one host."""
    with _lock:
        return _paces.setdefault((host, kind), Pace(what=kind))
