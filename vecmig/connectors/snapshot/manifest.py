"""manifest.json: what a snapshot holds. Parts that are newer than it are read all the same."""

from importlib.metadata import version

import msgspec
from msgspec import Struct

from vecmig.connectors.snapshot.store import Store, fetched, put
from vecmig.errors import ConnectorError
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.record import Digest

NAME = "manifest.json"
FORMAT = 1


class Part(Struct, frozen=True):
    """One file of records, no key of which is in another."""

    name: str
    rows: int
    bytes: int
    digest: Digest
    namespaces: dict[str, int]  # records in each


class Manifest(Struct, frozen=True, kw_only=True):
    """`parts` share no key. `replaced` are files that may still lie there, but count no more.

    Any other file is newer than the manifest.
    """

    format_version: int = FORMAT
    vecmig_version: str
    vectors: tuple[VectorField, ...]
    fields: tuple[Field, ...] = ()
    mark: str | None = None
    model: str | None = None
    rows: int = 0
    namespaces: dict[str, int] = {}
    digest: Digest = Digest()  # of all records
    parts: tuple[Part, ...] = ()
    replaced: tuple[str, ...] = ()

    def collection(self, name: str) -> Collection:
        return Collection(name, self.vectors, self.fields, self.mark, self.model)


def manifest_of(collection: Collection) -> Manifest:
    """Return the manifest of a snapshot that holds no records yet."""
    return Manifest(
        vecmig_version=version("vecmig"),
        vectors=collection.vectors,
        fields=collection.fields,
        mark=collection.mark,
        model=collection.model,
    )


def with_parts(manifest: Manifest, parts: tuple[Part, ...], replaced: tuple[str, ...]) -> Manifest:
    """Return the manifest of these parts, which share no key."""
    namespaces: dict[str, int] = {}
    for part in parts:
        for namespace, rows in part.namespaces.items():
            namespaces[namespace] = namespaces.get(namespace, 0) + rows
    return msgspec.structs.replace(
        manifest,
        vecmig_version=version("vecmig"),
        parts=parts,
        replaced=replaced,
        rows=sum(part.rows for part in parts),
        namespaces=namespaces,
        digest=sum((part.digest for part in parts), Digest()),
    )


class _Version(Struct, frozen=True):
    format_version: int


def load(store: Store) -> Manifest | None:
    """Return the manifest, or None if there is none. Raises ConnectorError if it is damaged or newer."""
    text = fetched(store, NAME)
    if text is None:
        return None
    try:
        found = msgspec.json.decode(text, type=_Version)
        if found.format_version > FORMAT:
            raise ConnectorError(
                f"{store.path(NAME)} has format {found.format_version}, and this vecmig reads formats up to {FORMAT}: "
                "install a newer vecmig"
            )
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise ConnectorError(
            f"{store.path(NAME)} is damaged: {error}. Restore it from a copy; the records are in parts/ and can also be "
            "read without it, as Parquet files made by others"
        ) from error


def save(store: Store, manifest: Manifest) -> None:
    """Replace the manifest, atomically."""
    put(store, NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
