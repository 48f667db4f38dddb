"""One collection takes the place of another: the alias that serves points to it from one request to the next."""

from typing import NamedTuple

from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.schema import aliases
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.connectors.weaviate.schema.names import class_name
from vecmig.errors import CollectionConflict, CollectionNotFound, UnsupportedError


class Named(NamedTuple):
    """A name, and what it stands for now."""

    name: str
    layout: Layout | None

    @property
    def alias(self) -> str:
        return class_name(self.name)


def switch(calls: Calls, serving: Named, build: Named, kept: Named) -> None:
    """Switch as `Target.switch` says.

    Who searches sees the second of three steps alone. After a kill between them the next call goes on.
    """
    old, new = serving.layout, build.layout
    if new is None:
        if old is not None and kept.layout is not None:
            return  # done before
        raise CollectionNotFound(
            f"there is no weaviate collection {build.name!r} to switch to: run `vecmig apply`, which builds it"
        )
    for each in (serving, build):
        if hindered := hindrance(each, serving.name, build.name):
            assert each.layout is not None
            raise (CollectionConflict if each.layout.stored != each.alias else UnsupportedError)(hindered)
    if old is None:
        aliases.make(calls, serving.alias, new.stored)
    elif old.stored != new.stored:  # else it was killed after the second step
        if kept.layout is not None and kept.layout.stored != old.stored:
            raise CollectionConflict(
                f"{kept.name!r} is there, for the collection {kept.layout.stored!r}, so what serves cannot get that name:"
                " drop it first"
            )
        aliases.make(calls, kept.alias, old.stored)
        aliases.move(calls, serving.alias, new.stored)
    aliases.remove(calls, build.alias)


def hindrance(each: Named, serving: str, build: str) -> str:
    """Return why this collection, one of both, cannot be switched or must not be, with the way out; "" where it may."""
    if each.layout is None:
        return ""
    way_out = f"let the application read {class_name(build)!r} instead of {class_name(serving)!r}"
    if each.layout.stored == each.alias:
        return (
            f"weaviate collection {each.alias!r} has this name itself, and only an alias can be given to another (vecmig"
            f" makes one for each new collection, from Weaviate 1.32 on): {way_out}"
        )
    if each.layout.collection.mark is None:
        return f"weaviate collection {each.layout.stored!r} was not made by vecmig, so {each.alias!r} is not switched: {way_out}"
    return ""
