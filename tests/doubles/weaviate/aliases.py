"""Aliases, as the REST API creates, moves and deletes them."""

from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import check_class, class_name
from tests.doubles.weaviate.properties import Json
from tests.doubles.weaviate.store import Store


def listed(store: Store, of: str | None) -> Json:
    with store.lock:
        pairs = sorted(store.aliases.items())
    wanted = class_name(of) if of else None
    return {"aliases": [{"alias": name, "class": to} for name, to in pairs if wanted in (None, to)]}


def get(store: Store, alias: str) -> Json:
    name = class_name(alias)
    if name not in store.aliases:
        raise Refused("", 404)
    return {"alias": name, "class": store.aliases[name]}


def create(store: Store, body: Json) -> Json:
    name, target = class_name(body.get("alias") or ""), class_name(body.get("class") or "")
    with store.lock:
        check_class(name, "alias")
        check_class(target)
        _check_target(store, target)
        if name in store.aliases:
            raise Refused(f"validation: create alias: {name}, alias already exists")
        if name in store.collections:
            raise Refused(f"create alias: class {name} already exists", 500)
        store.aliases[name] = target
    return {"alias": name, "class": target}


def update(store: Store, alias: str, body: Json) -> Json:
    name, target = class_name(alias), class_name(body.get("class") or "")
    with store.lock:
        if name not in store.aliases:
            raise Refused("", 404)
        _check_target(store, target)
        store.aliases[name] = target
    return {"alias": name, "class": target}


def delete(store: Store, alias: str) -> None:
    with store.lock:
        if store.aliases.pop(class_name(alias), None) is None:
            raise Refused("", 404)


def _check_target(store: Store, name: str) -> None:
    if name not in store.collections:
        raise Refused(f'validation: target class "{name}" does not exist')
