"""A call on its way through the double, and the record that is kept of it."""

from dataclasses import dataclass

from tests.doubles.weaviate.limits import Limits
from tests.doubles.weaviate.partitions import Lag


@dataclass(slots=True)
class Call:
    """What one call asks for, and what the faults and the operation add to it."""

    operation: str
    transport: str
    """`rest` or `grpc`."""
    limits: Limits
    collection: str = ""
    tenant: str = ""
    bytes: int = 0
    """Of the request's body or message."""
    objects: int = 0
    """Sent, given, counted or deleted."""
    status: int = 200
    lag: Lag | None = None
    refused_ids: dict[str, str] | None = None
    """The ids whose write is refused, each with the message; None stands for no id at all, "*" for all."""
    lost_ids: frozenset[str] = frozenset()
    """The ids whose write is acknowledged and not done."""
    applied_objects: int | None = None
    """How many objects of a write are stored before the connection breaks."""
    is_indexed: bool = True
    """Whether the vectors of a write are indexed."""
    is_oversize: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One call that was answered. `status` is HTTP's, also for gRPC; 0 where the connection was broken instead."""

    operation: str
    transport: str
    collection: str
    tenant: str
    status: int
    objects: int
    bytes: int
