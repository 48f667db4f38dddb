"""Aliases: names by which collections are found, and which can be given to another from one request to the next."""

from urllib.parse import quote

from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.errors import CollectionConflict, ConnectorError


def of(calls: Calls, stored: str) -> list[str]:
    """Return the aliases of a collection, sorted; none where the server is older than aliases."""
    if not calls.session.has_aliases:
        return []
    found = calls.rest("alias", "get", f"/aliases?class={quote(stored)}")
    return sorted(str(each["alias"]) for each in found["aliases"])


def target(calls: Calls, alias: str) -> str | None:
    """Return the collection that an alias points to, or None where there is no such alias."""
    found = calls.rest("alias", "get", f"/aliases/{quote(alias)}", missing=True)
    return None if found is None else str(found["class"])


def make(calls: Calls, alias: str, stored: str) -> None:
    """Make an alias of a collection; nothing if it is there. Raises CollectionConflict if it is there for another.

    One whose collection was deleted stays on the server and finds nothing: it is given to this one.
    """
    try:
        calls.rest("alias", "post", "/aliases", {"alias": alias, "class": stored})
    except ConnectorError as error:
        there = target(calls, alias)  # an answer that was lost: then the second attempt is refused
        if there == stored:
            return
        if there is not None and _is_gone(calls, there):
            move(calls, alias, stored)
            return
        if there is not None:
            raise CollectionConflict(
                f"{alias!r} is an alias already, for the collection {there!r}: drop that first"
            ) from error
        raise


def move(calls: Calls, alias: str, stored: str) -> None:
    """Let an alias point to another collection: who searches by it finds either the one or the other."""
    calls.rest("alias", "put", f"/aliases/{quote(alias)}", {"class": stored})


def remove(calls: Calls, alias: str) -> None:
    """Remove an alias, if it is there; the collection stays."""
    calls.rest("alias", "delete", f"/aliases/{quote(alias)}", missing=True)


def remove_dangling(calls: Calls, alias: str) -> None:
    """Remove an alias whose collection was deleted, if there is one."""
    if calls.session.has_aliases and (there := target(calls, alias)) is not None and _is_gone(calls, there):
        remove(calls, alias)


def _is_gone(calls: Calls, stored: str) -> bool:
    return calls.rest("describe", "get", f"/schema/{quote(stored)}", missing=True) is None
