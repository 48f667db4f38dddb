"""Requests of one connection: tried again where that may help, their errors translated."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity import wait_exponential_jitter as backoff

from vecmig.connectors.weaviate.client.errors import ERRORS, Asleep, TookTooLong, of_status, translated
from vecmig.connectors.weaviate.client.session import TIMEOUT_S, Session
from vecmig.errors import TransientError

T = TypeVar("T")
AT_ONCE = 4  # requests of one connection: more than two or three gain nothing (7,600 objects a second by 2, 6,850 by 4)
ATTEMPTS = 6  # of one request; then the engine waits longer, and repeats what was not acknowledged
PATIENCE_S = 10.0  # no attempt begins later, so that a call ends while a person who pressed Ctrl-C still waits
OK = (200, 201, 204)


@dataclass(slots=True)
class Calls:
    """`name`: what an error calls the collection."""

    session: Session
    name: str
    patience_s: float = PATIENCE_S
    _pool: ThreadPoolExecutor | None = field(default=None, init=False)

    def grpc(self, kind: str, method: str, request: Any, timeout_s: float = TIMEOUT_S) -> Any:
        """Return the answer to a request. `kind`, such as "search", names it in errors. Raises ConnectorError."""
        session = self.session
        return self.send(
            kind, lambda: getattr(session.stub, method)(request, timeout=timeout_s, metadata=session.metadata)
        )

    def rest(self, kind: str, method: str, path: str, body: object = None, missing: bool = False) -> Any:
        """Return the body of the answer; with `missing`, None for one that is not there. Raises ConnectorError."""

        def request() -> Any:
            status, answer = self.session.rest(method, path, body)
            if missing and status == 404:
                return None
            if status not in OK:
                raise of_status(status, _message(answer), self._where(kind))
            return answer

        return self.send(kind, request)

    def send(self, kind: str, request: Callable[[], T]) -> T:
        def attempt() -> T:
            try:
                return request()
            except ERRORS as error:
                raise translated(error, self._where(kind)) from error

        return self._retrying()(attempt)

    def start(self, call: Callable[..., T], *arguments: object) -> "Future[T]":
        """Call it in one of the connection's threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="weaviate")
        return self._pool.submit(call, *arguments)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _where(self, kind: str) -> str:
        return f"weaviate {kind} in {self.name!r}"

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception(_may_succeed),
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(self.patience_s),
            wait=backoff(multiplier=0.1, max=4, jitter=0.2),
            reraise=True,
        )


def all_of(started: Sequence["Future[T]"]) -> list[T]:
    """Return the results, in order. Raises the first error, when none is under way behind the caller's back."""
    wait(started, return_when=FIRST_EXCEPTION)
    for future in started:
        future.cancel()  # does nothing to one that runs, or has ended
    wait(started)
    errors = [error for each in started if not each.cancelled() and (error := each.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in started]


def _may_succeed(error: BaseException) -> bool:
    """Return whether the same request may do at once: what took too long would take as long."""
    return isinstance(error, TransientError) and not isinstance(error, TookTooLong | Asleep)


def _message(answer: Any) -> str:
    """Return what an error's body says."""
    if isinstance(answer, dict):
        errors = answer.get("error")
        if isinstance(errors, list):
            return "; ".join(str(each.get("message", each)) if isinstance(each, dict) else str(each) for each in errors)
        return str(answer.get("message") or errors or answer)
    return str(answer or "")
