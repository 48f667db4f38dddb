"""Names that Weaviate takes, and the way back: of collections, properties, vectors and tenants.

Its rules stand in the server's usecases/schema: a property is [_A-Za-z][_0-9A-Za-z]{0,230}, its first letter becomes a
small one, and two that differ in case only are one; a tenant is [A-Za-z0-9_-]{1,64}.
"""

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, unquote

ID, JSON = "vecmig_id", "vecmig_json"  # properties of vecmig's: the id that is no UUID, and what fits no other property
UNNAMED = "default"  # what Weaviate calls a vector without a name
MAX_NAME = 230  # characters of a property or a vector
MAX_TENANT = 64
MAX_CLASS = 255
CLASS = re.compile(r"[A-Z][_0-9A-Za-z]{0,254}")
DIGEST = 9  # characters of `_` and a digest
_RESERVED = ("id", "_id", "_additional", "vector", ID, JSON)
_SUFFIXES = ("_searchable", "_rangeable", "_temp", "__meta_count", "_propertyLength", "_nullState")  # of its own files
_TENANT = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_TENANT}}}")
_QUOTED, _ENCODED = "vecmig-", "vecmig_"  # what a written tenant begins with


def class_name(name: str) -> str:
    """Return the name as the server keeps it: the first letter is a capital."""
    return name[:1].upper() + name[1:]


def derived(name: str, mark: str | None) -> str:
    """Return the name of the collection behind the alias `name`: the same each time for one state."""
    return f"{class_name(name)}_{hashlib.sha256((mark or '').encode()).hexdigest()[: DIGEST - 1]}"


def beside(name: str, generation: int) -> str:
    """Return the name of a collection beside this one: short enough that one behind its alias has room, too."""
    tail = f"__v{generation}"
    if len(name) + len(tail) + DIGEST > MAX_CLASS:
        tail = f"_{hashlib.sha256(name.encode()).hexdigest()[:4]}{tail}"
        name = name[: MAX_CLASS - len(tail) - DIGEST]
    return name + tail


def properties(fields: Iterable[str]) -> dict[str, str]:
    """Return a property for each field: its own name wherever the server takes that."""
    return _distinct(fields, _property)


def vectors(names: Iterable[str]) -> dict[str, str]:
    """Return the name of each vector in Weaviate."""
    return _distinct(names, _vector)


def tenant(namespace: str) -> str:
    """Return the tenant that holds a namespace: of the same name nearly always.

    Two namespaces never share one. Raises ValueError for one that is too long.
    """
    if _TENANT.fullmatch(namespace) and not namespace.startswith((_QUOTED, _ENCODED)):
        return namespace
    readable = _QUOTED + quote(namespace, safe="").replace("_", "%5F").translate(_AS_IS).replace("%", "_")
    if namespace and len(readable) <= MAX_TENANT:
        return readable
    short = _ENCODED + urlsafe_b64encode(namespace.encode()).decode().rstrip("=")
    if len(short) > MAX_TENANT:
        raise ValueError(
            f"its namespace has {len(namespace.encode()):,} bytes, and a tenant's name {MAX_TENANT} characters: choose"
            " another with `namespace_from`"
        )
    return short


def namespace(tenant_: str) -> str:
    """Return the namespace that a tenant holds; the name of one that vecmig did not make is the namespace."""
    for prefix, decode in ((_QUOTED, _unquoted), (_ENCODED, _decoded)):
        if tenant_.startswith(prefix):
            try:
                found = decode(tenant_[len(prefix) :])
                return found if tenant(found) == tenant_ else tenant_
            except ValueError:
                return tenant_
    return tenant_


_AS_IS = str.maketrans({".": "%2E", "~": "%7E"})  # which `quote` leaves


def _unquoted(text: str) -> str:
    return unquote(text.replace("_", "%"), errors="strict")


def _decoded(text: str) -> str:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def _distinct(names: Iterable[str], plain: Callable[[str], str]) -> dict[str, str]:
    every = list(dict.fromkeys(names))
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in (
        *(each for each in every if plain(each) == each),
        *sorted(each for each in every if plain(each) != each),
    ):
        wanted = base = plain(name)
        number = 1
        while wanted.lower() in taken:
            number += 1
            wanted = f"{base}_{number}"
        taken.add(wanted.lower())
        found[name] = wanted
    return {name: found[name] for name in every}


def _property(name: str) -> str:
    text = _identifier(name)
    text = text[:1].lower() + text[1:]
    return f"{text}_" if text in _RESERVED or text.endswith(_SUFFIXES) else text


def _vector(name: str) -> str:
    return _identifier(name) if name else UNNAMED


def _identifier(name: str) -> str:
    text = re.sub(r"[^_0-9A-Za-z]", "_", name)[: MAX_NAME - DIGEST]
    return text if text and not text[0].isdigit() else f"f_{text}"


def renamed(names: Mapping[str, str]) -> dict[str, str]:
    """Return stored name -> name, of those that differ."""
    return {stored: name for name, stored in names.items() if stored != name}
