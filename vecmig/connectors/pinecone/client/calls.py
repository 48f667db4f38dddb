"""Requests to one index: at the service's pace, tried again where that may help, their errors translated."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity import wait_exponential_jitter as backoff

from vecmig.connectors.pinecone.client.errors import ERRORS, asks_for_less, retry_after_s, translated
from vecmig.connectors.pinecone.client.pace import pace_of
from vecmig.errors import TransientError

log = logging.getLogger(__name__)
T = TypeVar("T")
AT_ONCE = 4  # requests of one connection, of which a worker has two to write: what is under way is held as lists
ATTEMPTS = 6  # of one request; then the engine waits longer, and repeats what was not acknowledged
PATIENCE_S = 15.0  # no attempt begins later, so that a call ends while a person who pressed Ctrl-C still waits


@dataclass(slots=True)
class Calls:
    """One connection's requests. `index`: what an error calls it."""

    host: str
    index: str
    patience_s: float = PATIENCE_S
    _pool: ThreadPoolExecutor | None = field(default=None, init=False)

    def send(self, kind: str, request: Callable[[], T]) -> T:
        """Return what a request gives; `kind`, such as "upsert", names it in errors and has a pace of its own.

        Raises ConnectorError.
        """
        pace, where = pace_of(self.host, kind), f"pinecone {kind} in {self.index!r}"
        end = time.monotonic() + self.patience_s
        last: TransientError | None = None

        def attempt() -> T:
            nonlocal last
            try:
                pace.take(end - time.monotonic(), where)
            except TransientError as error:
                raise last or error from None  # what went wrong says more than that no time is left
            try:
                return request()
            except ERRORS as error:
                found, pause_s = translated(error, where), retry_after_s(error)
                if asks_for_less(error):
                    pace.refused(pause_s)
                log.info("%s", found)
                last = found if isinstance(found, TransientError) and pause_s is None else None
                raise found from error

        return self._retrying()(attempt)

    def start(self, call: Callable[..., T], *arguments: object) -> "Future[T]":
        """Call it in one of the connection's threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pinecone")
        return self._pool.submit(call, *arguments)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception(_may_succeed),
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(self.patience_s),
            wait=_wait,
            reraise=True,
        )


def _may_succeed(error: BaseException) -> bool:
    """Return whether to try again: not what the pace refuses, which has no cause."""
    return isinstance(error, TransientError) and error.__cause__ is not None


def _wait(state: RetryCallState) -> float:
    """Return the seconds to wait: none where the service said how long, for then the pace waits."""
    error = state.outcome.exception() if state.outcome else None
    cause = error.__cause__ if error is not None else None
    if isinstance(cause, Exception) and asks_for_less(cause) and retry_after_s(cause) is not None:
        return 0.0
    return float(backoff(multiplier=0.1, max=5, jitter=0.2)(state))
