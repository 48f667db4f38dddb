"""What goes wrong, and when: by a script, or by chance with a seed.

    double.faults.add(Fault.status(429, retry_after_s=1), on="upsert", times=3)
    double.faults.add(Fault.reset(applied=True), on="upsert", skip=5, times=1)
    double.faults.add(Fault.status(503), probability=0.1)
    double.faults.limit_rate(per_s=20)

An operation is one of: upsert, fetch, fetch_by_metadata, list, query, stats, delete, update, list_namespaces,
describe_namespace, create_namespace, delete_namespace; documents.upsert and so on; in the control plane
create_index, describe_index, list_indexes, configure_index, delete_index.
"""

import random
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from tests.doubles.pinecone.calls import Call
from tests.doubles.pinecone.errors import Code, Refused, code_of
from tests.doubles.pinecone.store import DEFAULT_NAMESPACE, Lag


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one call. Made by its class methods."""

    http: int | None = None
    retry_after_s: float | None = None
    code: Code | None = None
    is_reset: bool = False
    is_truncated: bool = False
    is_applied: bool = False
    is_expired_token: bool = False
    deletes_index: bool = False
    deleted: frozenset[str] = frozenset()
    slow_s: float = 0
    page_rows: int | None = None
    lost: frozenset[str] = frozenset()
    lag: Lag | None = None
    unstored: int = 0

    @classmethod
    def status(
        cls, http: int, *, retry_after_s: float | None = None, code: Code | None = None, applied: bool = False
    ) -> "Fault":
        """Answer with this HTTP status, or over gRPC with its counterpart or `code`; `applied`: after doing it."""
        return cls(http=http, retry_after_s=retry_after_s, code=code, is_applied=applied)

    @classmethod
    def reset(cls, *, applied: bool = False) -> "Fault":
        """Reset the connection without an answer, before or after the call was applied."""
        return cls(is_reset=True, is_applied=applied)

    @classmethod
    def truncated(cls) -> "Fault":
        """Apply the call, send half of the answer, and close. Over gRPC: a reset."""
        return cls(is_truncated=True)

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        """Wait before doing it."""
        return cls(slow_s=seconds)

    @classmethod
    def expired_token(cls) -> "Fault":
        """Refuse the pagination token of the next call that carries one."""
        return cls(is_expired_token=True)

    @classmethod
    def short_page(cls, rows: int) -> "Fault":
        """Give at most so many rows (0 too), with a token for the rest."""
        return cls(page_rows=rows)

    @classmethod
    def lost_ids(cls, ids: Collection[str]) -> "Fault":
        """Leave these ids out of a fetch, or of a list; the stats count them all the same."""
        return cls(lost=frozenset(ids))

    @classmethod
    def late(cls, seconds: float = 0, reads: int = 0) -> "Fault":
        """Show this write only after so many seconds and reads."""
        return cls(lag=Lag(seconds, reads))

    @classmethod
    def partly_stored(cls, unstored: int) -> "Fault":
        """Leave out the first records of a write, and say how many the others are."""
        return cls(unstored=unstored)

    @classmethod
    def index_deleted(cls) -> "Fault":
        """Delete the index before the call is served."""
        return cls(deletes_index=True)

    @classmethod
    def records_deleted(cls, ids: Collection[str]) -> "Fault":
        """Delete these records before the call is served, as another application might."""
        return cls(deleted=frozenset(ids))

    def error(self) -> Refused | None:
        """What the call is refused with, if this fault refuses it."""
        if self.http is None:
            return None
        return Refused(
            "injected fault", self.code or code_of(self.http), http=self.http, retry_after_s=self.retry_after_s
        )


@dataclass(slots=True)
class _Rule:
    fault: Fault
    on: frozenset[str]
    index: str | None
    namespace: str | None
    transport: str | None
    left: int | None
    skip: int
    probability: float


@dataclass(slots=True)
class _Rate:
    per_s: float
    on: frozenset[str]
    retry_after_s: float
    started: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)


class Faults:
    """The faults of one double. Safe to change while it runs."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._rules: list[_Rule] = []
        self._rates: list[_Rate] = []
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault,
        *,
        on: str | Collection[str] = (),
        index: str | None = None,
        namespace: str | None = None,
        transport: str | None = None,
        times: int | None = None,
        skip: int = 0,
        probability: float = 1.0,
    ) -> None:
        """Do this to the calls of these operations (none named: all), after `skip` of them, at most `times` times."""
        names = frozenset([on] if isinstance(on, str) else on)
        with self._lock:
            self._rules.append(_Rule(fault, names, index, namespace, transport, times, skip, probability))

    def limit_rate(self, per_s: float, *, on: str | Collection[str] = (), retry_after_s: float = 1) -> None:
        """Refuse with 429 what exceeds so many requests in a second of one namespace."""
        names = frozenset([on] if isinstance(on, str) else on)
        with self._lock:
            self._rates.append(_Rate(per_s, names, retry_after_s))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self._rates.clear()

    def take(self, call: Call) -> list[Fault]:
        """What goes wrong with this call. Raises Refused if it exceeds a rate."""
        with self._lock:
            for rate in self._rates:
                _count(rate, call)
            return [rule.fault for rule in self._rules if self._hits(rule, call)]

    def _hits(self, rule: _Rule, call: Call) -> bool:
        if rule.on and call.operation not in rule.on:
            return False
        for wanted, is_there in ((rule.index, call.index), (rule.namespace, call.namespace or DEFAULT_NAMESPACE)):
            if wanted is not None and wanted != is_there:
                return False
        if rule.transport not in (None, call.transport):
            return False
        if rule.fault.is_expired_token and not call.has_token:
            return False
        if rule.left == 0 or self._random.random() >= rule.probability:
            return False
        if rule.skip:
            rule.skip -= 1
            return False
        if rule.left is not None:
            rule.left -= 1
        return True


def _count(rate: _Rate, call: Call) -> None:
    if not call.index or (rate.on and call.operation not in rate.on):
        return
    key, now = (call.index, call.namespace or DEFAULT_NAMESPACE), time.monotonic()
    began, count = rate.started.get(key, (now, 0))
    if now - began >= 1:
        began, count = now, 0
    if count >= rate.per_s:
        raise Refused(
            f"You've reached the max {call.operation} requests per second for namespace '{call.namespace}'. Pace your requests",
            Code.RESOURCE_EXHAUSTED,
            retry_after_s=rate.retry_after_s,
        )
    rate.started[key] = (began, count + 1)
