"""A state as bytes, wrapped so that damage shows: fit for a file, a row or an object."""

import hashlib
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from vecmig.errors import StateError
from vecmig.model.state import STATE_FORMAT, State


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["vecmig-state"]
    format_version: int
    sha256: str  # of the state's JSON without whitespace: what this version does not know counts, too
    state: Raw


def encode(state: State) -> bytes:
    """Return the state as JSON for people and programs. Raises StateError for one that could not be read again."""
    data = msgspec.json.encode(state)
    document = _Document("vecmig-state", STATE_FORMAT, hashlib.sha256(data).hexdigest(), Raw(data))
    encoded = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    decode(encoded)  # JSON knows no NaN, for instance: better no save than one that cannot be read
    return encoded


def decode(data: bytes) -> State:
    """Return the state. Raises StateError that says what is wrong, but not where it was found or what to do."""
    try:
        match msgspec.json.decode(data):
            case {"format": "vecmig-state", "format_version": int(version)} if version != STATE_FORMAT:
                raise StateError(f"this vecmig does not know format {version}")
            case {"format": "vecmig-state", "format_version": int()}:
                pass
            case _:
                raise StateError("it is not a state of vecmig")
        document = msgspec.json.decode(data, type=_Document)
        plain = msgspec.json.format(bytes(document.state), indent=-1)
        if hashlib.sha256(plain).hexdigest() != document.sha256:
            raise StateError("its content does not match its checksum: it was edited, or the disk failed")
        return msgspec.json.decode(plain, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = f"it is cut off or was edited: {error}" if data.strip() else "it is empty"
        raise StateError(f"{reason} ({len(data):,} bytes)") from None


def newer_writer(data: bytes) -> str | None:
    """Return who wrote it, if that was a vecmig whose format is newer than this one's."""
    try:
        document: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    match document:
        case {"format": "vecmig-state", "format_version": int(version), **rest} if version > STATE_FORMAT:
            state = rest.get("state")
            by = state.get("vecmig_version") if isinstance(state, dict) else None
            return f"a newer vecmig ({by or 'version unknown'}, format {version}; this one knows {STATE_FORMAT})"
        case _:
            return None
