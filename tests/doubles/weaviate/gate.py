"""The way into the double: every call of both transports passes here, is let in or not, and is written down."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.doubles.weaviate.calls import Call, Request
from tests.doubles.weaviate.errors import Code, Dropped, Refused
from tests.doubles.weaviate.faults import Fault, Faults
from tests.doubles.weaviate.store import Store

T = TypeVar("T")

READS = {
    "search",
    "aggregate",
    "tenants_get",
    "list_collections",
    "get_collection",
    "get_shards",
    "get_tenant",
    "list_aliases",
    "get_alias",
    "get_object",
    "exists_object",
    "nodes",
}
OPEN = {"ready", "live", "health"}
"""Answered to everybody."""


class Gate:
    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults
        self.requests: list[Request] = []
        self.accepted_keys: set[str] | None = None
        """None: anonymous access, where no key is looked at."""
        self.reading_keys: set[str] = set()
        """Accepted keys that may not write."""
        self.forbidden_keys: set[str] = set()
        """Accepted keys that may do nothing."""

    def run(self, call: Call, authorization: str, work: Callable[[Call], T]) -> T:
        """Do the work of a call. Raises Refused, or Dropped where the connection is to be broken."""
        try:
            self._check_key(call, authorization)
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
                    call.transport,
                    call.collection,
                    call.tenant,
                    call.status,
                    call.objects,
                    call.bytes,
                )
            )

    def _check_key(self, call: Call, authorization: str) -> None:
        if self.accepted_keys is None or call.operation in OPEN:
            return
        kind, _, key = authorization.partition(" ")
        if not authorization:
            if call.operation == "openid":
                return
            raise Refused("anonymous access not enabled. Please authenticate", 401, Code.UNAUTHENTICATED)
        if kind.lower() != "bearer" or key not in self.accepted_keys:
            raise Refused("unauthorized: invalid api key", 401, Code.UNAUTHENTICATED)
        if call.operation in ("meta", "openid"):
            return
        if key in self.forbidden_keys or (key in self.reading_keys and call.operation not in READS):
            told = f"authorization, forbidden action: insufficient permissions to {call.operation}"
            if call.operation != "batch_objects":
                raise Refused(told, 403, Code.PERMISSION_DENIED)
            call.refused_ids = {"*": told}  # of a batch the server refuses each object by itself

    def _before(self, fault: Fault, call: Call) -> None:
        time.sleep(fault.slow_s)
        if fault.deletes_collection:
            self.store.drop(call.collection)
        if fault.inactive_tenant is not None:
            self.store.find(call.collection).partition(fault.inactive_tenant).status = "COLD"
        call.lag = fault.lag or call.lag
        call.refused_ids = {**(call.refused_ids or {}), **fault.refused} if fault.refused else call.refused_ids
        call.lost_ids |= fault.lost
        call.applied_objects = fault.applied_objects if fault.applied_objects is not None else call.applied_objects
        call.is_oversize |= fault.is_oversize
        call.is_indexed &= not fault.is_unindexed
        if not fault.is_applied:
            _fail(fault)


def _fail(fault: Fault) -> None:
    if error := fault.error():
        raise error
    if fault.is_reset:
        raise Dropped
