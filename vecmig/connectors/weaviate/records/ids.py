"""Ids are UUIDs: one that is none, or is written otherwise, becomes one that follows from namespace and id."""

import re
from uuid import UUID, uuid5

CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SPACE = UUID("b8a1c5de-93f4-5c1b-9d0e-6f1d7a52c3e8")  # of vecmig's alone; another one would be other records


def stored(namespace: str, id: str) -> str:
    """Return the UUID of a record: the id itself, or a UUID of version 5 (RFC 9562)."""
    if is_kept(id):
        return id
    # the length says where the namespace ends: ("a", "bc") and ("ab", "c") are two records
    return str(uuid5(_SPACE, f"{len(namespace)}:{namespace}:{id}"))


def is_kept(id: str) -> bool:
    """Return whether Weaviate holds the id as it is."""
    return len(id) == 36 and CANONICAL.fullmatch(id) is not None
