"""The vector fields of a new index: its data model, and what each field is called; without a connection."""

from collections.abc import Iterator, Mapping
from typing import Literal

from vecmig.model.collection import Collection, VectorField

Kind = Literal["vectors", "documents"]
DENSE, SPARSE = "_values", "_sparse_values"  # the fields of a vector index; no other one has fields of these names
LEADING = ("_", "$")  # of a document's fields: what Pinecone keeps for itself (page "Upsert documents")
MAX_FIELD_BYTES = 64  # of a field's name in UTF-8 (the SDK's `validate_schema_field_name`)


def kind_of(kind: Kind | None, declared: Collection) -> Kind:
    """Return the data model of a new index.

    The newer one only where the older has no place for both vectors: documents travel over REST alone, which is several
    times slower than gRPC. A vector index by the dot product might hold both, but the service's own pages disagree.
    """
    return kind or ("documents" if len(declared.vectors) > 1 else "vectors")


def fields_of(declared: Collection, kind: Kind) -> dict[str, VectorField]:
    """Return the vector fields of a new index, and the vectors that they hold."""
    names = {vector.name for vector in declared.vectors}
    fields = {}
    for vector in declared.vectors:
        sparse = vector.kind == "sparse"
        if kind == "vectors":
            fields[SPARSE if sparse else DENSE] = vector
        else:
            fields[vector.name or _free("sparse" if sparse else "embedding", names)] = vector
    return fields


def names_of(fields: Mapping[str, VectorField]) -> dict[str, str]:
    """Return the fields and the names of their vectors: what vecmig notes in the tags."""
    return {field: vector.name for field, vector in fields.items()}


def problems(declared: Collection, kind: Kind) -> Iterator[str]:
    """Yield why a document index cannot have fields of these names, with the way out."""
    if kind == "vectors":
        return
    way = "give it another name with `vectors`, or say `kind: vectors`"
    if len(fields_of(declared, kind)) < len(declared.vectors):
        yield f"two vectors have one name, which a document index would need for two fields: {way}"
    for vector in declared.vectors:
        if vector.name.startswith(LEADING):
            yield f"vector `{vector.name}`: a document index has no field that begins with {' or '.join(LEADING)}: {way}"
        if (size := len(vector.name.encode())) > MAX_FIELD_BYTES:
            yield f"vector `{vector.name}`: its name has {size} bytes, a field's at most {MAX_FIELD_BYTES}: {way}"


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_vector"
    return name
