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
        _check(each, serving, build)
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


def _check(each: Named, serving: Named, build: Named) -> None:
    """Raise where this collection cannot be switched, or must not."""
    if each.layout is None:
        return
    way_out = f"let the application read {build.alias!r} instead of {serving.alias!r}"
    if each.layout.stored == each.alias:
        raise UnsupportedError(
            f"weaviate collection {each.alias!r} has this name itself, and only an alias can be given to another (vecmig"
            f" makes one for each new collection, from Weaviate 1.32 on): {way_out}"
        )
    if each.layout.collection.mark is None:
        raise CollectionConflict(
            f"weaviate collection {each.layout.stored!r} was not made by vecmig, so {each.alias!r} is not switched: {way_out}"
        )
