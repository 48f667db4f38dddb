"""What a Pinecone index can hold, and what it fills in; without a connection.

The limits are those of Pinecone's pages "Database limits" and "Indexing overview", and of its Python SDK 10.
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from vecmig.connectors.pinecone.schema import fields, tags
from vecmig.connectors.pinecone.schema.fields import Kind
from vecmig.model.collection import Collection, Metric, VectorField

METRICS: dict[Metric, str] = {"cosine": "cosine", "dot": "dotproduct", "l2": "euclidean"}
MAX_DIMENSIONS = 20_000
MAX_ID = 512  # characters, of ASCII
MAX_INDEX = 45  # characters of an index's name
MAX_NAMESPACE = 512
MAX_METADATA_BYTES = 40_960  # 40 KB a record, as JSON
MAX_NONZERO = 2_048  # of a sparse vector
MAX_RECORDS = 1_000  # of one upsert, fetch or delete
MAX_REQUEST_BYTES = 2_000_000  # of one upsert
MAX_LISTED = 100  # ids a page
MAX_URL_BYTES = 32_000  # REST puts the ids of a fetch into the address; twice as much is refused
MAX_FOUND = 10_000  # top_k of a query
MAX_FETCHED_BYTES = 4 << 20  # vecmig's own: of one answer over REST
METADATA_BYTES = 1_000  # of a record, assumed for the size of a page or of an answer


def complete(declared: Collection) -> Collection:
    """Return the collection as Pinecone would hold it: it indexes by itself, and keeps 32 bits a component."""

    def completed(vector: VectorField) -> VectorField:
        if vector.kind == "sparse":
            return replace(vector, dimensions=0, metric="dot", index=None)
        return replace(vector, kind="float32", index=None)

    return replace(declared, vectors=tuple(map(completed, declared.vectors)))


def refusals(declared: Collection, kind: Kind | None) -> Sequence[str]:
    """Return why Pinecone cannot hold `declared`, which is complete, each with the ways out."""
    made = fields.kind_of(kind, declared)
    return [
        *_of_shape(declared, kind),
        *_of_vectors(declared),
        *fields.problems(declared, made),
        *_of_fields(declared, made),
    ]


def _of_shape(declared: Collection, kind: Kind | None) -> Iterator[str]:
    dense = [vector for vector in declared.vectors if vector.kind != "sparse"]
    sparse = [vector for vector in declared.vectors if vector.kind == "sparse"]
    if len(dense) > 1 or len(sparse) > 1:
        names = ", ".join(repr(vector.name) for vector in declared.vectors)
        yield (
            f"an index holds one dense and one sparse vector, not {names}: choose with `vectors`, one migration for"
            " each index"
        )
    elif not declared.vectors:
        yield "a record without a vector cannot be held: choose one with `vectors`"
    elif kind == "vectors" and dense and sparse and dense[0].metric != "dot":
        yield (
            f"an index of `kind: vectors` holds a sparse vector beside a dense one by the dot product only, not by"
            f" {dense[0].metric}: leave `kind` out, or say `metric: dot`"
        )


def _of_vectors(declared: Collection) -> Iterator[str]:
    for vector in declared.vectors:
        what = f"vector `{vector.name}`" if vector.name else "the vector"
        if vector.metric not in METRICS:
            yield f"{what} has metric {vector.metric}; Pinecone knows {', '.join(METRICS)}: say `metric` in the migration"
        if vector.kind != "sparse" and vector.dimensions > MAX_DIMENSIONS:
            yield f"{what} has {vector.dimensions:,} dimensions, an index at most {MAX_DIMENSIONS:,}: embed with fewer"


def _of_fields(declared: Collection, kind: Kind) -> Iterator[str]:
    for field in declared.fields:
        if field.search:
            yield (
                f"field `{field.name}`: vecmig writes no field that Pinecone indexes for full-text search; leave"
                " `search` out"
            )
    try:
        tags.written(declared, fields.names_of(fields.fields_of(declared, kind)))
    except ValueError as error:
        yield str(error)
