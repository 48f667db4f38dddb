"""One collection takes the place of another: the alias that serves points to it from one request to the next."""

from urllib.parse import quote

from vecmig.connectors.weaviate import names
from vecmig.connectors.weaviate.calls import Calls
from vecmig.connectors.weaviate.layout import Layout
from vecmig.errors import CollectionConflict, CollectionNotFound, UnsupportedError


def switch(
    calls: Calls, serving: Layout | None, build: Layout | None, kept: Layout | None, wanted: tuple[str, str, str]
) -> None:
    """Switch as `Target.switch` says; the layouts are what stands behind the names `wanted` (serving, build, kept).

    Only the second of three steps is seen by who searches; a kill between them leaves what the next call goes on from.
    """
    name, build_name, kept_name = (names.class_name(each) for each in wanted)
    if build is None:
        if serving is not None and kept is not None:
            return  # done before
        raise CollectionNotFound(f"there is no weaviate collection {build_name!r} to switch to")
    for layout in (serving, build):
        if layout is not None and layout.collection.mark is None:
            raise CollectionConflict(f"collection {layout.stored!r} was not made by vecmig, so it is not switched")
    if build.stored == build_name:
        raise UnsupportedError(_plain(build_name))
    if serving is None:
        calls.rest("alias", "post", "/aliases", {"alias": name, "class": build.stored})
    elif serving.stored == name:
        raise UnsupportedError(_plain(name))
    elif serving.stored != build.stored:
        if kept is None:
            calls.rest("alias", "post", "/aliases", {"alias": kept_name, "class": serving.stored})
        elif kept.stored != serving.stored:
            raise CollectionConflict(f"the alias {kept_name!r} is there already, for {kept.stored!r}: drop that first")
        calls.rest("alias", "put", f"/aliases/{quote(name)}", {"class": build.stored})
    calls.rest("alias", "delete", f"/aliases/{quote(build_name)}", missing=True)


def _plain(name: str) -> str:
    return (
        f"{name!r} is a collection itself, and no alias, which alone can be switched (Weaviate 1.32 or later, a collection"
        " that vecmig made there): let the application use the new collection by its own name"
    )
