"""Collections as the server has them: found, made behind an alias, changed where they may be, and removed."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

from vecmig.connectors.weaviate import names, requests, settings, tenants
from vecmig.connectors.weaviate.calls import Calls
from vecmig.connectors.weaviate.layout import Layout, layout_of
from vecmig.connectors.weaviate.proto import search_get_pb2
from vecmig.connectors.weaviate.schema import schema_of
from vecmig.errors import CollectionConflict
from vecmig.model.collection import Collection

PEEKED = 3  # tenants whose first objects show the dimensions of vectors that nobody noted


def find(calls: Calls, name: str, without: Sequence[str]) -> Layout | None:
    """Return the collection of this name, or behind this alias, as it is now; None where there is none."""
    schema = _schema(calls, names.class_name(name))
    if schema is None:
        return None
    layout = layout_of(name, schema, without, {})
    unknown = [stored for stored, field in layout.vectors.items() if not field.dimensions]
    return layout_of(name, schema, without, _dimensions(calls, layout, unknown)) if unknown else layout


def create(calls: Calls, declared: Collection, has_aliases: bool) -> None:
    """Create the collection, and its alias; what an interrupted run left is gone on from."""
    name = names.class_name(declared.name)
    stored = names.derived(name, declared.mark) if has_aliases and declared.mark else name
    if _schema(calls, stored) is None:
        calls.rest("create", "post", "/schema", schema_of(stored, declared))
    if stored != name:
        calls.rest("alias", "post", "/aliases", {"alias": name, "class": stored})


def change(calls: Calls, layout: Layout, declared: Collection) -> None:
    """Make the collection's settings what is declared; the planner has refused what cannot be changed."""
    schema: dict[str, Any] = dict(_schema(calls, layout.stored) or {})
    settings.put(schema, declared.settings, {stored: field.name for stored, field in layout.vectors.items()})
    calls.rest("change", "put", f"/schema/{layout.stored}", schema)


def drop(calls: Calls, layout: Layout) -> None:
    """Remove a collection of vecmig's, and its alias. Raises CollectionConflict for any other."""
    name = names.class_name(layout.collection.name)
    if layout.collection.mark is None:
        raise CollectionConflict(f"collection {name!r} was not made by vecmig, so it stays")
    if layout.stored != name:
        calls.rest("alias", "delete", f"/aliases/{quote(name)}", missing=True)
    calls.rest("drop", "delete", f"/schema/{quote(layout.stored)}", missing=True)


def _schema(calls: Calls, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = calls.rest("describe", "get", f"/schema/{quote(name)}", missing=True)
    return found


def _dimensions(calls: Calls, layout: Layout, unknown: Sequence[str | None]) -> Mapping[str | None, int]:
    """Return the dimensions of vectors as the first objects have them."""
    places: list[str | None] = [None]
    if layout.has_tenants:
        places = [*sorted(tenants.statuses(calls, layout))[:PEEKED]]
    found: dict[str | None, int] = {}
    for place in places:
        with tenants.awake(calls, layout, [place]) if place is not None else nullcontext():
            named = [name for name in unknown if name is not None]
            metadata = search_get_pb2.MetadataRequest(uuid=True, vector=None in unknown, vectors=named)
            answer = calls.grpc("describe", "Search", requests.search(layout, place, PEEKED, metadata=metadata))
        for record in requests.records(answer):
            for name, vector in record.vectors.items():
                found.setdefault(name, len(vector))
    return found
