"""What vecmig notes in an index's tags: its mark, the model, which vector is which, and the types of fields.

A tag holds at most 120 ASCII characters (Pinecone's page "Manage indexes", "Configure index tags"), so a longer text
goes on in the next: vecmig-fields, vecmig-fields-2 and so on.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote, unquote

import msgspec

from vecmig.model.collection import Collection, Field

MAX_TAGS = 20
MAX_VALUE = 120
_READABLE = " :/,.[]{}\"'-_=@+"  # besides letters and digits; what is not ASCII is escaped


class Noted(msgspec.Struct, frozen=True):
    """What the tags of an index say."""

    mark: str | None = None
    model: str | None = None
    fields: tuple[Field, ...] = ()
    vectors: dict[str, str] | None = None  # field or slot in the index -> name of the vector; None: not vecmig's


def written(collection: Collection, slots: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the tags of a new index. Raises ValueError where they have no room for all."""
    texts = {
        "vecmig": collection.mark,
        "vecmig-model": collection.model,
        "vecmig-vectors": json.dumps(dict(slots)) if slots else None,
        "vecmig-fields": json.dumps([_packed(field) for field in collection.fields], separators=(",", ":"))
        if collection.fields
        else None,
    }
    tags = {key: value for name, text in texts.items() if text is not None for key, value in _pieces(name, text)}
    if len(tags) > MAX_TAGS:
        raise ValueError(
            f"the types of {len(collection.fields):,} fields have no room in the {MAX_TAGS} tags of an index: leave some"
            " out of `fields`, they stay in the metadata as they are"
        )
    return tags


def read(tags: Mapping[str, str]) -> Noted:
    """Return what vecmig noted; nothing where others made the index. Raises ValueError where it was changed."""
    fields, vectors = _joined(tags, "vecmig-fields"), _joined(tags, "vecmig-vectors")
    try:
        return Noted(
            _joined(tags, "vecmig"),
            _joined(tags, "vecmig-model"),
            tuple(map(_unpacked, msgspec.json.decode(fields, type=list[list[str]]))) if fields else (),
            msgspec.json.decode(vectors, type=dict[str, str]) if vectors else None,
        )
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def _packed(field: Field) -> list[str]:
    return [field.name, field.type, *(["filter"] if field.filter else [])]


def _unpacked(parts: list[str]) -> Field:
    name, type_, *rest = parts
    return msgspec.convert({"name": name, "type": type_, "filter": "filter" in rest}, Field)


def _pieces(name: str, text: str) -> list[tuple[str, str]]:
    whole = quote(text, safe=_READABLE)
    pieces = [whole[start : start + MAX_VALUE] for start in range(0, len(whole), MAX_VALUE)]
    return [(name if n == 1 else f"{name}-{n}", piece) for n, piece in enumerate(pieces, start=1)]


def _joined(tags: Mapping[str, str], name: str) -> str | None:
    pieces = [tags[name]] if tags.get(name) else []
    while pieces and (following := tags.get(f"{name}-{len(pieces) + 1}")):
        pieces.append(following)
    return unquote("".join(pieces)) if pieces else None
