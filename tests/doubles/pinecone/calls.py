"""A call on its way through the double, and the record that is kept of it."""

import math
from dataclasses import dataclass

from tests.doubles.pinecone.limits import Limits
from tests.doubles.pinecone.store import Lag


@dataclass(slots=True)
class Call:
    """What one call asks for, and what the faults and the operation add to it."""

    operation: str
    transport: str
    """`rest` or `grpc`."""
    limits: Limits
    index: str = ""
    namespace: str = ""
    bytes: int = 0
    """Of the request: a REST body, a gRPC message, or a query string."""
    has_token: bool = False
    lag: Lag | None = None
    page_rows: int | None = None
    lost: frozenset[str] = frozenset()
    is_truncated: bool = False
    unstored: int = 0
    """The first records of a write that are not stored."""
    records: int = 0
    read_units: float = 0
    write_units: int = 0
    written_lsn: int | None = None
    indexed_lsn: int | None = None
    status: int = 200

    @property
    def whole_read_units(self) -> int:
        """As a client is told, which reads an integer. The exact units are kept in the double's requests."""
        return max(1, math.ceil(self.read_units))


@dataclass(frozen=True, slots=True)
class Request:
    """One call that was answered. `status` is HTTP's, also for gRPC; 0 where the connection was broken instead.

    `records` counts those sent, given, listed or deleted."""

    operation: str
    index: str
    namespace: str
    status: int
    records: int
    bytes: int
    read_units: float
    write_units: int
    transport: str
