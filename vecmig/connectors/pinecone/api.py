"""What Pinecone's two data models have in common: the requests that reading and writing are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from vecmig.model.collection import VectorField


class Record(NamedTuple):
    """A record as Pinecone holds it: its own id, plain Python numbers as the SDK gives and takes them."""

    id: str
    values: list[float] | None  # the dense vector
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

    def list(self, namespace: str, prefix: str, token: str | None) -> Listed: ...

    def fetch(self, namespace: str, ids: Sequence[str]) -> dict[str, Record]:
        """Return those that exist."""

    def upsert(self, namespace: str, records: Sequence[Record]) -> None: ...

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
