"""What vecmig notes in a collection's description: its mark, the model, what is renamed, and the dimensions.

A text such as `vecmig:kb/prod:0b5e {"vecmig":1,"fields":{"title_2":"Title"}}`.
"""

from collections.abc import Mapping

import msgspec

FORMAT = 1


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a collection that vecmig made. Names: as stored -> as they are."""

    vecmig: int = 0  # format; 0: others made it
    fields: Mapping[str, str] = {}
    vectors: Mapping[str, str] = {}
    dimensions: Mapping[str, int] = {}  # by the stored name of the vector
    model: str | None = None


def written(mark: str | None, note: Note) -> str:
    text = msgspec.json.encode(msgspec.structs.replace(note, vecmig=FORMAT)).decode()
    return f"{mark} {text}" if mark else text


def read(description: str) -> tuple[str | None, Note]:
    """Return mark and note; None and an empty note where others wrote it."""
    start = description.find('{"vecmig":')
    if start < 0:
        return None, Note()
    try:
        note = msgspec.json.decode(description[start:].encode(), type=Note)
    except msgspec.DecodeError:
        return None, Note()
    return description[:start].strip() or None, note
