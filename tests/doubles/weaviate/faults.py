"""What goes wrong, and when: by a script, or by chance with a seed.

    double.faults.add(Fault.status(Code.UNAVAILABLE), on="search", times=3)
    double.faults.add(Fault.reset(applied=True), on="batch_objects", skip=5, times=1)
    double.faults.add(Fault.refused_objects({id: "no such prop"}), on="batch_objects")
    double.faults.add(Fault.slow(0.5), on="search", probability=0.1)

An operation is one of: search, batch_objects, batch_delete, aggregate, tenants_get (gRPC); list_collections,
create_collection, get_collection, update_collection, delete_collection, add_property, get_shards, add_tenants,
update_tenants, delete_tenants, get_tenant, list_aliases, create_alias, get_alias, update_alias, delete_alias,
create_object, get_object, exists_object, replace_object, merge_object, delete_object, nodes, meta, ready, live.
"""

import random
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Code, Refused
from tests.doubles.weaviate.names import class_name
from tests.doubles.weaviate.partitions import Lag


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with one call. Made by its class methods."""

    code: Code | None = None
    http: int | None = None
    message: str = ""
    is_reset: bool = False
    is_applied: bool = False
    applied_objects: int | None = None
    slow_s: float = 0
    refused: Mapping[str, str] | None = None
    lost: frozenset[str] = frozenset()
    lag: Lag | None = None
    inactive_tenant: str | None = None
    is_unindexed: bool = False
    is_oversize: bool = False
    deletes_collection: bool = False

    @classmethod
    def status(
        cls, code: Code, message: str = "injected fault", *, http: int | None = None, applied: bool = False
    ) -> "Fault":
        """Answer with this gRPC status, or over HTTP with its counterpart or `http`; `applied`: after doing it."""
        return cls(code=code, http=http, message=message, is_applied=applied)

    @classmethod
    def reset(cls, *, applied: bool = False, applied_objects: int | None = None) -> "Fault":
        """Break the connection without an answer: before the call is applied, after, or after so many objects."""
        return cls(is_reset=True, is_applied=applied or applied_objects is not None, applied_objects=applied_objects)

    @classmethod
    def broken_off(cls) -> "Fault":
        """Break the connection when the objects of a batch are stored, and none is indexed."""
        return cls(is_reset=True, is_applied=True, is_unindexed=True)

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        """Wait before doing it."""
        return cls(slow_s=seconds)

    @classmethod
    def refused_objects(cls, errors: Mapping[str, str]) -> "Fault":
        """Refuse these objects of a batch, each with its message; the id "*" means every object."""
        return cls(refused=dict(errors))

    @classmethod
    def lost_objects(cls, ids: Collection[str]) -> "Fault":
        """Acknowledge these objects of a batch, and do not store them."""
        return cls(lost=frozenset(ids))

    @classmethod
    def late(cls, seconds: float = 0, polls: int = 0) -> "Fault":
        """Index the vectors of this write only after so many seconds, and so many looks at the nodes."""
        return cls(lag=Lag(seconds, polls))

    @classmethod
    def tenant_inactive(cls, tenant: str) -> "Fault":
        """Deactivate this tenant before the call is served."""
        return cls(inactive_tenant=tenant)

    @classmethod
    def oversize(cls) -> "Fault":
        """Answer as if the reply exceeded the limit of a message."""
        return cls(is_oversize=True)

    @classmethod
    def collection_deleted(cls) -> "Fault":
        """Delete the collection before the call is served."""
        return cls(deletes_collection=True)

    def error(self) -> Refused | None:
        """What the call is refused with, if this fault refuses it."""
        if self.code is None:
            return None
        return Refused(self.message, self.http or self.code.value, self.code)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    on: frozenset[str]
    collection: str | None
    tenant: str | None
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
        on: str | Collection[str] = (),
        collection: str | None = None,
        tenant: str | None = None,
        times: int | None = None,
        skip: int = 0,
        probability: float = 1.0,
    ) -> None:
        """Do this to the calls of these operations (none named: all), after `skip` of them, at most `times` times.

        A collection is named as the call names it, which may be by an alias."""
        names = frozenset([on] if isinstance(on, str) else on)
        collection = collection and class_name(collection)
        with self._lock:
            self._rules.append(_Rule(fault, names, collection, tenant, times, skip, probability))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, call: Call) -> list[Fault]:
        """What goes wrong with this call."""
        with self._lock:
            return [rule.fault for rule in self._rules if self._hits(rule, call)]

    def _hits(self, rule: _Rule, call: Call) -> bool:
        if rule.on and call.operation not in rule.on:
            return False
        for wanted, is_there in ((rule.collection, call.collection), (rule.tenant, call.tenant)):
            if wanted is not None and wanted != is_there:
                return False
        if rule.left == 0 or self._random.random() >= rule.probability:
            return False
        if rule.skip:
            rule.skip -= 1
            return False
        if rule.left is not None:
            rule.left -= 1
        return True
