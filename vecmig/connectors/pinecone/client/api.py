"""What Pinecone's two data models have in common: the requests that reading and writing are made of."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vecmig.model.collection import VectorField


class Record(NamedTuple):
    """A record as Pinecone holds it, by its own id.

    Vectors are arrays: the SDK's lists take eight times as much, so they live no longer than a request.
    """

    id: str
    values: NDArray[np.float32] | None  # (d,) the dense vector
    sparse: tuple[list[int], list[float]] | None  # indices and values
    metadata: Mapping[str, object]


class Listed(NamedTuple):
    ids: list[str]  # ascending
    following: str | None  # token of the next page; None: this was the last


class Match(NamedTuple):
    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """One search: a dense vector, or a sparse one."""

    namespace: str
    k: int
    values: list[float] | None = None
    sparse: tuple[list[int], list[float]] | None = None
    filter: Mapping[str, object] | None = None


class Api(Protocol):
    """Each method is one request; it raises the SDK's errors. Namespaces are vecmig's: "" is the default one."""

    fetched_at_once: int  # ids of one fetch
    fetched_url_bytes: int | None  # those that its ids may take; None: they travel in the body
    reserved: tuple[str, ...]  # names that no metadata can have
    leading: tuple[str, ...]  # what no name of metadata may begin with

    def stats(self) -> dict[str, int]:
        """Return the number of records per namespace; it may lag."""

    def namespaces(self) -> dict[str, int]:
        """Return the number of records of each namespace as the list of them says, which may lag as well."""

    def list(self, namespace: str, prefix: str, token: str | None) -> Listed: ...

    def fetch(self, namespace: str, ids: Sequence[str]) -> dict[str, Record]:
        """Return those that exist."""

    def upsert(self, namespace: str, records: Sequence[Record]) -> int:
        """Return how many the service says it stored."""

    def delete(self, namespace: str, ids: Sequence[str]) -> None: ...

    def query(self, query: Query) -> Sequence[Match]: ...

    def size_of(self, dimensions: int) -> int:
        """Return the bytes that a dense vector takes in a request."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Slots:
    """Which vector of the collection is Pinecone's dense one, and which its sparse one."""

    dense: VectorField | None
    sparse: VectorField | None


def slots_of(vectors: Sequence[VectorField]) -> Slots:
    """Return the slots of an index's vectors, of which each is taken once at most."""
    dense = next((vector for vector in vectors if vector.kind != "sparse"), None)
    return Slots(dense, next((vector for vector in vectors if vector.kind == "sparse"), None))


def vector_of(values: Sequence[float] | None) -> NDArray[np.float32] | None:
    """Return a dense vector (d,) as the SDK gives it; None where there is none."""
    return np.frombuffer(array("f", values), np.float32) if values else None  # faster than NumPy's own way from a list
