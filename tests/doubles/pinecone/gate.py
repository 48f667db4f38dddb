"""The way into the double: every call of both transports passes here, is let in or not, and is written down."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.doubles.pinecone.calls import Call, Request
from tests.doubles.pinecone.errors import Code, Dropped, Refused
from tests.doubles.pinecone.faults import Fault, Faults
from tests.doubles.pinecone.store import Store

T = TypeVar("T")


class Gate:
    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults
        self.requests: list[Request] = []
        self.accepted_keys: set[str] | None = None
        """None: any key that is not empty."""
        self.forbidden_keys: set[str] = set()

    def run(self, call: Call, key: str, work: Callable[[Call], T]) -> T:
        """Do the work of a call. Raises Refused, or Dropped where the connection is to be broken."""
        try:
            self._check_key(key)
            faults = self.faults.take(call)
            for fault in faults:
                self._before(fault, call)
            call.lag = call.lag or self.store.lag
            answer = work(call)
            for fault in faults:
                if fault.is_applied:
                    _fail(fault)
            return answer
        except Refused as error:
            call.status = error.http
            raise
        except Dropped:
            call.status = 0
            raise
        finally:
            self.requests.append(
                Request(
                    call.operation,
                    call.index,
                    call.namespace,
                    0 if call.is_truncated else call.status,
                    call.records,
                    call.bytes,
                    call.read_units,
                    call.write_units,
                    call.transport,
                )
            )

    def _check_key(self, key: str) -> None:
        if not key or (self.accepted_keys is not None and key not in self.accepted_keys):
            raise Refused("Invalid API Key", Code.UNAUTHENTICATED)
        if key in self.forbidden_keys:
            raise Refused("Access denied", Code.PERMISSION_DENIED, name="FORBIDDEN")

    def _before(self, fault: Fault, call: Call) -> None:
        time.sleep(fault.slow_s)
        if fault.is_expired_token:
            raise Refused("Invalid pagination token")
        if fault.deletes_index and call.index in self.store.indexes:
            self.store.delete(call.index)
        if fault.deleted:
            self.store.find(call.index).write(call.namespace, dict.fromkeys(fault.deleted))
        call.page_rows = fault.page_rows if fault.page_rows is not None else call.page_rows
        call.lost |= fault.lost
        call.lag = fault.lag or call.lag
        call.is_truncated |= fault.is_truncated
        call.unstored = fault.unstored or call.unstored
        if not fault.is_applied:
            _fail(fault)


def _fail(fault: Fault) -> None:
    if error := fault.error():
        raise error
    if fault.is_reset:
        raise Dropped
