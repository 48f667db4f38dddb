"""What the double remembers: indexes, their namespaces and their records."""

import bisect
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.doubles.pinecone.errors import Code, Refused
from tests.doubles.pinecone.limits import Limits

Json = dict[str, Any]
Vector = NDArray[np.float32]

DEFAULT_NAMESPACE = "__default__"
RESERVED_FIELDS = {"_values", "_sparse_values"}
"""A schema of these fields alone is a vector index; any other field makes it a document index."""


@dataclass(frozen=True, slots=True)
class Sparse:
    indices: NDArray[np.uint32]
    values: Vector


@dataclass(slots=True)
class Record:
    """A vector with its metadata, or a document: its dense and sparse field, and all its other fields as metadata."""

    id: str
    values: Vector | None = None
    sparse: Sparse | None = None
    metadata: Json | None = None
    bytes: int = 0


@dataclass(slots=True)
class Lag:
    """When a write becomes visible: after so many seconds and so many reads of its namespace."""

    seconds: float = 0
    reads: int = 0
    counts: float = 0
    """Seconds more until the stats count it."""


@dataclass(slots=True)
class _Write:
    changes: dict[str, Record | None]
    lsn: int
    due: float
    reads: int
    counts: float


class Namespace:
    """Records in the order of their ids. Writes are kept apart until they become visible, in their order."""

    def __init__(self, *, kept: bool = False) -> None:
        self.records: dict[str, Record] = {}
        self.kept = kept
        """Whether it was created by name, and so stays when it is empty."""
        self.bytes = 0
        self.indexed_lsn = 0
        self._waiting: deque[_Write] = deque()
        self._counts: deque[tuple[float, int]] = deque([(0.0, 0)])
        """Since when so many records are counted."""
        self._order: list[str] | None = None
        self._matrix: tuple[list[str], Vector] | None = None

    def write(self, changes: dict[str, Record | None], lag: Lag, lsn: int) -> None:
        """Store these records, or delete those that are None."""
        self._waiting.append(_Write(changes, lsn, time.monotonic() + lag.seconds, lag.reads, lag.counts))
        self.settle()

    def settle(self, *, reading: bool = False) -> None:
        """Make visible what is due. `reading` counts as one read."""
        now = time.monotonic()
        while self._waiting and self._waiting[0].due <= now and self._waiting[0].reads <= 0:
            self._apply(self._waiting.popleft())
        if reading:
            for write in self._waiting:
                write.reads -= 1

    def counted(self) -> int:
        """The number of records that the stats show."""
        while len(self._counts) > 1 and self._counts[1][0] <= time.monotonic():
            self._counts.popleft()
        return self._counts[0][1]

    def latest(self, id: str) -> Record | None:
        """The record as last written, visible or not."""
        for write in reversed(self._waiting):
            if id in write.changes:
                return write.changes[id]
        return self.records.get(id)

    def ids(self) -> list[str]:
        """The ids in order. Not to be changed."""
        if self._order is None:
            self._order = sorted(self.records)
        return self._order

    def page(self, prefix: str, after: str | None, size: int) -> tuple[list[str], bool]:
        """Up to `size` ids with this prefix that follow `after`, and whether there are more."""
        ids = self.ids()
        start = bisect.bisect_left(ids, prefix)
        if after is not None:
            start = max(start, bisect.bisect_right(ids, after))
        page = ids[start : start + size + 1]
        page = [id for id in page if id.startswith(prefix)]
        return page[:size], len(page) > size

    def matrix(self) -> tuple[list[str], Vector]:
        """The ids that have a dense vector, and those vectors as (n, d)."""
        if self._matrix is None:
            ids = [id for id, record in self.records.items() if record.values is not None]
            rows = [self.records[id].values for id in ids]
            stacked = np.stack(rows) if rows else np.empty((0, 0), np.float32)  # type: ignore[arg-type]
            for id, row in zip(ids, stacked, strict=True):
                self.records[id].values = row  # so the vectors are in memory once
            self._matrix = (ids, stacked)
        return self._matrix

    @property
    def is_empty(self) -> bool:
        return not self.records and not self._waiting

    def _apply(self, write: _Write) -> None:
        for id, record in write.changes.items():
            before = self.records.pop(id, None) if record is None else self.records.get(id)
            if record is not None:
                self.records[id] = record
                self.bytes += record.bytes
            self.bytes -= before.bytes if before else 0
            if (before is None) != (record is None):
                self._order = None
        self._matrix = None
        self.indexed_lsn = write.lsn
        self._counts.append((time.monotonic() + write.counts, len(self.records)))
        if not write.counts:
            self._counts = deque([self._counts[-1]])


@dataclass
class Index:
    """An index and what it holds. `lock` guards the namespaces."""

    name: str
    fields: dict[str, Json]
    """As in `schema.fields` of API 2026-07."""
    deployment: Json = field(
        default_factory=lambda: {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    )
    read_capacity: Json = field(default_factory=lambda: {"mode": "OnDemand", "status": {"state": "Ready"}})
    deletion_protection: str = "disabled"
    tags: dict[str, str] = field(default_factory=dict)
    ready_at: float = 0
    """On the monotonic clock."""
    host: str = ""
    is_deleted: bool = False
    lsn: int = 0
    """The sequence number of the last write."""
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def is_document_index(self) -> bool:
        """Whether a field is declared that an older index has not: those have metadata without a type, or one text."""
        return any(
            name not in RESERVED_FIELDS and field.get("type", "semantic_text") != "semantic_text"
            for name, field in self.fields.items()
        )

    @property
    def is_pod(self) -> bool:
        return bool(self.deployment["deployment_type"] == "pod")

    @property
    def dense_field(self) -> str | None:
        return self._field("dense_vector") or self._field("semantic_text")

    @property
    def sparse_field(self) -> str | None:
        return self._field("sparse_vector")

    @property
    def dimension(self) -> int | None:
        return int(self.fields[self.dense_field]["dimension"]) if self.dense_field else None

    @property
    def metric(self) -> str:
        return str(self.fields[self.dense_field].get("metric", "cosine")) if self.dense_field else "dotproduct"

    def namespace(self, name: str, *, reading: bool = False) -> Namespace | None:
        """The namespace, with what is due made visible; None where there is none."""
        name = name or DEFAULT_NAMESPACE
        found = self.namespaces.get(name)
        if found is None:
            return None
        found.settle(reading=reading)
        if found.is_empty and not found.kept:
            del self.namespaces[name]
            return None
        return found

    def write(self, namespace: str, changes: dict[str, Record | None], lag: Lag | None = None) -> int:
        """Store and delete records in a namespace, which comes and goes with them; return the sequence number."""
        name = namespace or DEFAULT_NAMESPACE
        with self.lock:
            target = self.namespaces.setdefault(name, Namespace())
            self.lsn += 1
            target.write(changes, lag or Lag(), self.lsn)
            if target.is_empty and not target.kept:
                del self.namespaces[name]
            return self.lsn

    def put(self, records: Sequence[Record], namespace: str = "") -> None:
        """Plant records as they are, with no check at all, at once visible."""
        self.write(namespace, {record.id: record for record in records})

    def visible(self) -> dict[str, Namespace]:
        """Every namespace by its name, with what is due made visible."""
        for namespace in self.namespaces.values():
            namespace.settle(reading=True)
        return {
            name: namespace
            for name, namespace in sorted(self.namespaces.items())
            if namespace.records or namespace.kept
        }

    def records(self, namespace: str = "") -> dict[str, Record]:
        """What a namespace holds, visible records only. For tests to look at."""
        with self.lock:
            found = self.namespace(namespace)
            return dict(found.records) if found else {}

    def _field(self, kind: str) -> str | None:
        return next((name for name, field in self.fields.items() if field.get("type") == kind), None)


class Store:
    """Every index by its name. `open_door` gives a new index its port and returns its address."""

    def __init__(self, limits: Limits, open_door: Callable[[Index], str]) -> None:
        self.limits = limits
        self.indexes: dict[str, Index] = {}
        self.lag = Lag()
        """Of every write, where no fault says otherwise."""
        self.ready_after_s = 0.0
        """How long a new index is not ready."""
        self._open_door = open_door
        self._lock = threading.RLock()

    def add(self, index: Index) -> Index:
        """Raises Refused if there is an index of this name, or too many."""
        with self._lock:
            if index.name in self.indexes:
                raise Refused(f"Resource {index.name} already exists", Code.ALREADY_EXISTS)
            if len(self.indexes) >= self.limits.indexes:
                raise Refused(
                    f"Request failed. You've reached the max serverless indexes allowed in project "
                    f"({self.limits.indexes}). To add more indexes, upgrade your plan.",
                    Code.PERMISSION_DENIED,
                    name="QUOTA_EXCEEDED",
                )
            index.ready_at = time.monotonic() + self.ready_after_s
            index.host = self._open_door(index)
            self.indexes[index.name] = index
        return index

    def plant(
        self,
        name: str,
        dimension: int | None = None,
        metric: str = "cosine",
        *,
        fields: dict[str, Json] | None = None,
        pod: bool = False,
    ) -> Index:
        """Add an index without the control plane: of this dimension, or else sparse, or of these schema fields."""
        if fields is None:
            dense = {"_values": {"type": "dense_vector", "dimension": dimension, "metric": metric}}
            fields = dense if dimension else {"_sparse_values": {"type": "sparse_vector", "metric": "dotproduct"}}
        index = Index(name, fields)
        if pod:
            index.deployment = {
                "deployment_type": "pod",
                "environment": "us-east1-gcp",
                "pod_type": "p1.x1",
                "replicas": 1,
                "shards": 1,
            }
        return self.add(index)

    def find(self, name: str) -> Index:
        """Raises Refused if there is none."""
        with self._lock:
            if name not in self.indexes:
                raise Refused(f"Resource {name} not found", Code.NOT_FOUND)
            return self.indexes[name]

    def delete(self, name: str) -> None:
        """Delete an index. Its port stays, and answers that there is nothing."""
        with self._lock:
            index = self.find(name)
            del self.indexes[name]
        with index.lock:
            index.is_deleted = True
            index.namespaces.clear()
