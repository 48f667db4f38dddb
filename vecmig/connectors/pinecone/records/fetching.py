"""Fetches by id, as large as Pinecone takes them."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from vecmig.connectors.pinecone.client.api import Api, Record
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.errors import TooLarge


def fetch(api: Api, calls: Calls, namespace: str, ids: Sequence[str]) -> dict[str, Record]:
    """Return those of a piece that exist. Raises ConnectorError."""
    try:
        return calls.send("fetch", lambda: api.fetch(namespace, ids))
    except TooLarge:
        if len(ids) == 1:
            raise
        half = len(ids) // 2
        return fetch(api, calls, namespace, ids[:half]) | fetch(api, calls, namespace, ids[half:])


def pieces(api: Api, ids: Sequence[str]) -> Iterator[list[str]]:
    """Cut ids into pieces for a fetch each: of so many, and of so many bytes where they stand in the address."""
    piece: list[str] = []
    size = 0
    for id in ids:
        more = len(quote(id, safe="")) + len("&ids=") if api.fetched_url_bytes is not None else 0
        too_long = api.fetched_url_bytes is not None and size + more > api.fetched_url_bytes
        if piece and (too_long or len(piece) == api.fetched_at_once):
            yield piece
            piece, size = [], 0
        piece.append(id)
        size += more
    if piece:
        yield piece
