"""Requests to one index: at the service's pace, tried again where that may help, their errors translated."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import httpx
from pinecone import PineconeError, RateLimitError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from vecmig.connectors.pinecone.errors import retry_after_s, translated
from vecmig.connectors.pinecone.pace import pace_of
from vecmig.errors import TransientError

T = TypeVar("T")
AT_ONCE = 8  # requests of one connection: more gain nothing (the SDK's own page "Performance")
ATTEMPTS = 6  # of one request; then the engine waits longer, and repeats what was not acknowledged
ERRORS = (PineconeError, httpx.HTTPError, httpx.InvalidURL)


@dataclass(slots=True)
class Calls:
    """One connection's requests. `index`: what an error calls it."""

    host: str
    index: str
    _pool: ThreadPoolExecutor | None = field(default=None, init=False)

    def send(self, kind: str, request: Callable[[], T]) -> T:
        """Return what a request gives; `kind`, such as "upsert", names it in errors and has a pace of its own.

        Raises ConnectorError.
        """
        pace, where = pace_of(self.host, kind), f"pinecone {kind} in {self.index!r}"

        def attempt() -> T:
            pace.take()
            try:
                return request()
            except ERRORS as error:
                if isinstance(error, RateLimitError):
                    pace.refused(retry_after_s(error))
                raise translated(error, where) from error

        return _retrying()(attempt)

    def start(self, call: Callable[..., T], *arguments: object) -> "Future[T]":
        """Call it in one of the connection's threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pinecone")
        return self._pool.submit(call, *arguments)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _retrying() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_wait,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """Return the seconds to wait: none after a 429, for then the pace knows better."""
    error = state.outcome.exception() if state.outcome else None
    if error is not None and isinstance(error.__cause__, RateLimitError):
        return 0.0
    return float(wait_exponential_jitter(initial=0.1, max=5, jitter=0.2)(state))
