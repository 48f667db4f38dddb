"""How fast one kind of request may go, found out from the service's answers, and shared by all workers.

Additive increase, multiplicative decrease: there is no limit until the service says 429; then half the rate of the last
seconds, which grows again while it is content.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from threading import Lock

WINDOW_S = 2.0
GROWTH = 0.1  # of the rate, each second without a refusal
LEAST_PER_S = 1.0

_paces: dict[tuple[str, str], "Pace"] = {}  # by host and kind of request: connections to one index share its limits
_lock = Lock()


@dataclass(slots=True)
class Pace:
    """For several threads."""

    per_s: float | None = None  # None: no limit is known
    _sent: deque[float] = field(default_factory=deque)  # times of the last seconds
    _free_at: float = 0.0
    _changed_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def take(self) -> None:
        """Wait until one more request is within the rate."""
        with self._lock:
            now = time.monotonic()
            self._grow(now)
            at = max(now, self._free_at)
            if self.per_s is not None:
                self._free_at = at + 1 / self.per_s
            self._sent.append(at)
            while self._sent[0] < now - WINDOW_S:
                self._sent.popleft()
        if at > now:
            time.sleep(at - now)

    def refused(self, retry_after_s: float | None) -> None:
        """Slow down after a 429; those that were sent at the same time count once."""
        with self._lock:
            now = time.monotonic()
            pause = now + (retry_after_s or 0.0)
            if now - self._changed_at > WINDOW_S / 2 or self.per_s is None:
                # what was sent in the window, refused ones and all, was too much
                reached = sum(at <= now for at in self._sent) / WINDOW_S
                limit = reached if self.per_s is None else min(self.per_s, reached)
                self.per_s = max(LEAST_PER_S, limit / 2)
                self._changed_at = max(now, pause)
            self._free_at = max(self._free_at, pause)

    def _grow(self, now: float) -> None:
        if self.per_s is not None and now > self._changed_at:
            self.per_s *= 1 + GROWTH * min(now - self._changed_at, 1.0)
            self._changed_at = now
            if self.per_s > 10_000:
                self.per_s = None


def pace_of(host: str, kind: str) -> Pace:
    """Return the pace of one kind of request to one host."""
    with _lock:
        return _paces.setdefault((host, kind), Pace())
