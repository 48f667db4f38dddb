"""Ids that Pinecone does not take, written so that the way back restores them: it wants ASCII."""

from urllib.parse import quote, unquote

ESCAPED = "vecmig:"


def stored(id: str) -> str:
    """Return the id as Pinecone holds it: nearly always as it is; percent-encoded UTF-8 after a prefix where not.

    Two ids never become one: an id that reads like one written so is written in that way, too.
    """
    if id.isascii() and "\0" not in id and original(id) == id:
        return id
    return ESCAPED + quote(id, safe="")


def original(stored_id: str) -> str:
    """Return the id that `stored` was given; one that it did not write is returned as it is."""
    if not stored_id.startswith(ESCAPED):
        return stored_id
    try:
        id = unquote(stored_id[len(ESCAPED) :], errors="strict")
    except UnicodeDecodeError:
        return stored_id
    return id if stored(id) == stored_id else stored_id
