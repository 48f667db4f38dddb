"""What pgvector can hold, and what it fills in; without a connection.

The limits are those of pgvector 0.8 (README, "Reference") and of PostgreSQL.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec.structs import replace

from vecmig.connectors.pgvector.schema.names import (
    EMBEDDING,
    MAX_BYTES,
    RESERVED,
    SYSTEM_COLUMNS,
    parse_table,
    search_column,
    vector_column,
)
from vecmig.model.collection import Collection, Field, Index, Metric, VectorField, VectorKind

VectorType = Literal["vector", "halfvec", "sparsevec"]
TYPES: dict[VectorKind, VectorType] = {"float32": "vector", "float16": "halfvec", "sparse": "sparsevec"}
METRICS: tuple[Metric, ...] = ("cosine", "dot", "l2", "l1")
KINDS: dict[str, VectorKind] = {"vector": "float32", "halfvec": "float16", "sparsevec": "sparse"}
MAX_DIMENSIONS: dict[VectorKind, int] = {"float32": 16_000, "float16": 16_000, "sparse": 1_000_000_000}
MAX_INDEXED: dict[VectorKind, int | None] = {"float32": 2_000, "float16": 4_000, "sparse": None}
MAX_NONZERO = 16_000  # of a sparsevec; an HNSW index takes 1,000
MAX_FIELDS = 1_500  # PostgreSQL: 1,600 columns a table


def complete(declared: Collection, vector_type: VectorType | None) -> Collection:
    """Return the collection as pgvector would hold it: kinds of vector, and the index with its defaults."""

    def completed(vector: VectorField) -> VectorField:
        kind = vector.kind
        if vector_type is not None and kind != "sparse":  # no dense type holds a sparse vector
            kind = KINDS[vector_type]
        index = _with_defaults(vector.index or Index())
        dimensions = vector.dimensions
        if kind == "sparse" and not dimensions and index.type != "flat":
            dimensions = MAX_DIMENSIONS["sparse"]  # only a column that says how many can be indexed
        return replace(vector, kind=kind, dimensions=dimensions, index=index)

    return replace(declared, vectors=tuple(map(completed, declared.vectors)))


def _with_defaults(index: Index) -> Index:
    if index.type == "hnsw":
        m = 16 if index.m is None else index.m
        return replace(index, m=m, ef_construction=64 if index.ef_construction is None else index.ef_construction)
    return index  # the lists of an ivfflat follow from the number of rows


def refusals(declared: Collection) -> Sequence[str]:
    """Return why pgvector cannot hold `declared`, which is complete, each with the ways out."""
    return [*_of_names(declared), *(reason for vector in declared.vectors for reason in _of_vector(vector))]


def unsearchable(declared: Collection, actual: Collection) -> Sequence[str]:
    """Return which fields a table has, but not the generated column for full-text search that comes with the table."""
    there = {field.name for field in actual.fields if not field.search}
    return [
        f"field {field.name!r} has no column `{search_column(field.name)}` for full-text search there"
        for field in declared.fields
        if field.search and field.name in there
    ]


def _of_names(declared: Collection) -> Iterator[str]:
    try:
        parse_table(declared.name)
    except ValueError as error:
        yield str(error)
    if len(declared.fields) > MAX_FIELDS:
        yield f"{len(declared.fields):,} fields: a table has at most 1,600 columns; leave some in `metadata`"
    names = [vector_column(vector.name) for vector in declared.vectors]
    names += [search_column(field.name) for field in declared.fields if field.search]
    for name in (*names, *(field.name for field in declared.fields)):
        if len(name.encode()) > MAX_BYTES:
            yield f"column `{name}` is longer than {MAX_BYTES} bytes, PostgreSQL's limit for a name: shorten it"
    for field in declared.fields:
        yield from _of_field(field, names)


def _of_field(field: Field, taken: Sequence[str]) -> Iterator[str]:
    if field.name in (*RESERVED, *SYSTEM_COLUMNS, *taken) or field.name.startswith(f"{EMBEDDING}_"):
        yield (
            f"field `{field.name}` has the name of a column that the table needs for itself: leave it out of `fields`,"
            " where it stays in `metadata`, or take it under another name with `from`"
        )
    if field.search and field.type != "text":
        yield f"field `{field.name}` is {field.type}: full-text search is for `text` alone; leave `search` out"


def _of_vector(vector: VectorField) -> Iterator[str]:
    index = vector.index or Index()
    what = f"vector `{vector.name}`" if vector.name else "the vector"
    type_ = TYPES[vector.kind]
    if vector.metric not in METRICS:
        yield f"{what} has metric {vector.metric}; pgvector knows {', '.join(METRICS)}: say `metric` in the migration"
    if vector.dimensions > MAX_DIMENSIONS[vector.kind]:
        limit = MAX_DIMENSIONS[vector.kind]
        yield f"{what} has {vector.dimensions:,} dimensions, a {type_} at most {limit:,}: embed with fewer dimensions"
    elif index.type != "flat":
        yield from _of_index(what, vector, index)
    if index.type == "hnsw":
        yield from _of_hnsw(what, index)
    if index.ef_search is not None and not 1 <= index.ef_search <= 1000:
        yield f"{what}: `ef_search` is {index.ef_search}, pgvector takes 1 to 1000"
    for name, value in (("lists", index.lists), ("probes", index.probes)):
        if value is not None and not 1 <= value <= 32_768:
            yield f"{what}: `{name}` is {value}, an ivfflat index takes 1 to 32768"


def _of_hnsw(what: str, index: Index) -> Iterator[str]:
    m, candidates = _with_defaults(index).m, _with_defaults(index).ef_construction
    assert m is not None
    assert candidates is not None
    if not 2 <= m <= 100:
        yield f"{what}: `m` is {m}, an hnsw index takes 2 to 100"
    elif not 4 <= candidates <= 1000:
        yield f"{what}: `ef_construction` is {candidates}, an hnsw index takes 4 to 1000"
    elif candidates < 2 * m:
        yield f"{what}: `ef_construction` is {candidates}, and must be at least twice `m`, {2 * m}"


def _of_index(what: str, vector: VectorField, index: Index) -> Iterator[str]:
    limit = MAX_INDEXED[vector.kind]
    if limit is not None and vector.dimensions > limit:
        halfvec = (
            "`vector_type: halfvec` (up to 4,000), " if vector.kind == "float32" and vector.dimensions <= 4000 else ""
        )
        yield (
            f"{what} has {vector.dimensions:,} dimensions, an {index.type} index of {TYPES[vector.kind]} takes at most"
            f" {limit:,}: use {halfvec}fewer dimensions, or `index: {{type: flat}}` for exact search without an index"
        )
    if index.type == "ivfflat":
        if vector.kind == "sparse":
            yield f"{what} is sparse, and pgvector has no ivfflat index for sparsevec: use `index: {{type: hnsw}}`"
        elif vector.metric == "l1":
            yield f"{what} has metric l1, and pgvector has no ivfflat index for it: use `index: {{type: hnsw}}`"
        if index.iterative_scan == "strict_order":
            yield f"{what}: an ivfflat index scans on in `relaxed_order` only; change `iterative_scan`"
