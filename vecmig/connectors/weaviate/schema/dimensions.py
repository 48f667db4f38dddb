"""The dimensions of vectors that nobody noted, as records show them: Weaviate learns them from the first, of each tenant anew."""

from collections.abc import Mapping, Sequence

from vecmig.connectors.weaviate.client import requests
from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.client.proto import search_get_pb2
from vecmig.connectors.weaviate.schema import tenants
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.connectors.weaviate.schema.names import UNNAMED
from vecmig.errors import UnsupportedError

ROWS = 3  # of each place: a record may have no vector
MORE_ROWS = 1_000  # that are looked at for a vector which those lack
TENANTS = 50  # whose first records are looked at; a record of another one that differs is told when it is read


def dimensions(calls: Calls, layout: Layout, vectors: Sequence[str | None]) -> Mapping[str | None, int]:
    """Return those of these vectors that some record has. Raises UnsupportedError, by name, where tenants differ."""
    if not layout.has_tenants:
        return _seen(calls, layout, vectors, None)
    known = tenants.statuses(calls, layout)
    places = [name for name in sorted(known) if known[name] in (*tenants.ACTIVE, *tenants.INACTIVE)][:TENANTS]
    first: dict[str | None, tuple[int, str]] = {}
    differing: dict[str | None, str] = {}
    with tenants.awake(calls, layout, places):
        for place in places:
            for name, size in _seen(calls, layout, vectors, place).items():
                before, other = first.setdefault(name, (size, place))
                if size != before:
                    said = f"has {before:,} dimensions in tenant {other!r}, and {size:,} in tenant {place!r}"
                    differing.setdefault(name, said)
    if differing:
        lines = "".join(f"\n  - vector `{name or UNNAMED}` {said}" for name, said in differing.items())
        names = ", ".join(name or UNNAMED for name in differing)
        raise UnsupportedError(
            f"collection {layout.collection.name!r} has vectors of several dimensions, which no other store takes in one"
            f" collection:{lines}\n  say `without: [{names}]` to leave it out, or delete the tenants that are not meant"
        )
    return {name: size for name, (size, _) in first.items()}


def _seen(calls: Calls, layout: Layout, vectors: Sequence[str | None], tenant: str | None) -> dict[str | None, int]:
    found: dict[str | None, int] = {}
    for rows in (ROWS, MORE_ROWS):
        lacking = [name for name in vectors if name not in found]
        if not lacking:
            break
        named = [name for name in lacking if name is not None]
        metadata = search_get_pb2.MetadataRequest(uuid=True, vector=None in lacking, vectors=named)
        answer = calls.grpc("describe", "Search", requests.search(layout, tenant, rows, metadata=metadata))
        for record in requests.records(answer):
            for name, vector in record.vectors.items():
                found.setdefault(name, len(vector) // 4)
    return found
