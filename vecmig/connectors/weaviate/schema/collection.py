"""Collections as the server has them: found, made behind an alias, changed where they may be, and removed."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.schema import aliases, names, settings
from vecmig.connectors.weaviate.schema.dimensions import dimensions
from vecmig.connectors.weaviate.schema.layout import Layout, layout_of
from vecmig.connectors.weaviate.schema.schema import schema_of
from vecmig.errors import CollectionConflict
from vecmig.model.collection import Collection


def find(calls: Calls, name: str, without: Sequence[str]) -> Layout | None:
    """Return the collection of this name, or behind this alias, as it is now; None where there is none."""
    schema = _schema(calls, names.class_name(name))
    if schema is None:
        return None
    layout = layout_of(name, schema, without, {})
    unknown = [stored for stored, field in layout.vectors.items() if not field.dimensions]
    return layout_of(name, schema, without, dimensions(calls, layout, unknown)) if unknown else layout


def create(calls: Calls, declared: Collection, has_aliases: bool) -> None:
    """Create the collection, and its alias; what an interrupted run left is gone on from.

    Raises CollectionConflict where the collection that would stand behind the alias has another one by now.
    """
    name = names.class_name(declared.name)
    stored = names.derived(name, declared.mark) if has_aliases and declared.mark else name
    if _schema(calls, stored) is None:
        calls.rest("create", "post", "/schema", schema_of(stored, declared))
    elif others := _others(calls, stored, name):
        raise CollectionConflict(
            f"collection {stored!r}, which {name!r} stood for once, is now {others}: drop that first, or let {name!r} be an"
            " alias of the collection that it should be"
        )
    if stored != name:
        aliases.make(calls, name, stored)


def change(calls: Calls, layout: Layout, declared: Collection) -> None:
    """Make the collection's settings what is declared; the planner has refused what cannot be changed."""
    schema: dict[str, Any] = dict(_schema(calls, layout.stored) or {})
    settings.put(schema, declared.settings, {stored: field.name for stored, field in layout.vectors.items()})
    calls.rest("change", "put", f"/schema/{layout.stored}", schema)


def drop(calls: Calls, layout: Layout) -> None:
    """Remove a collection of vecmig's, and its alias.

    Raises CollectionConflict for any other, and for one that has another alias, too: a switch that was broken off leaves
    the build two names, and it serves by the other.
    """
    name = names.class_name(layout.collection.name)
    if layout.collection.mark is None:
        raise CollectionConflict(f"collection {name!r} was not made by vecmig, so it stays")
    if others := _others(calls, layout.stored, name):
        raise CollectionConflict(
            f"collection {layout.stored!r} is found as {others}, too, so it stays: remove that alias if it should go"
        )
    # in the other order a kill would leave a collection without the name by which it could be dropped
    calls.rest("drop", "delete", f"/schema/{quote(layout.stored)}", missing=True)
    if layout.stored != name:
        aliases.remove(calls, name)


def _others(calls: Calls, stored: str, name: str) -> str:
    """Return the aliases of a collection but this one, for people."""
    return ", ".join(repr(each) for each in aliases.of(calls, stored) if each != name)


def _schema(calls: Calls, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = calls.rest("describe", "get", f"/schema/{quote(name)}", missing=True)
    return found
