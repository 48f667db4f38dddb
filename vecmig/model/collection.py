"""What a collection is, in words that every store shares."""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

Metric = Literal["cosine", "dot", "l2", "l1", "hamming"]
VectorKind = Literal["float32", "float16", "sparse"]
FieldType = Literal[
    "text", "int", "float", "bool", "datetime", "text[]", "int[]", "float[]", "bool[]", "datetime[]"
]  # fmt: skip
IndexType = Literal["hnsw", "ivfflat", "flat"]


class Index(Struct, frozen=True, forbid_unknown_fields=True):
    """How a vector is indexed. None: the store's own default, or a setting that this type of index does not have."""

    type: Annotated[IndexType, Meta(description="Kind of index; `flat` means exact search without one.")] = "hnsw"
    m: Annotated[int | None, Meta(description="hnsw: links per node.", examples=[16])] = None
    ef_construction: Annotated[int | None, Meta(description="hnsw: candidates while building.", examples=[64])] = None
    ef_search: Annotated[int | None, Meta(description="hnsw: candidates while searching.", examples=[100])] = None
    lists: Annotated[int | None, Meta(description="ivfflat: number of clusters.", examples=[1000])] = None
    probes: Annotated[int | None, Meta(description="ivfflat: clusters searched per query.", examples=[32])] = None
    iterative_scan: Annotated[
        Literal["off", "relaxed_order", "strict_order"] | None,
        Meta(description="Go on searching until a filter has let enough records pass.", examples=["relaxed_order"]),
    ] = None

    @property
    def built(self) -> "Index":
        """This index without what is only a setting of the query: what a rebuild would change."""
        return replace(self, ef_search=None, probes=None, iterative_scan=None)


class VectorField(Struct, frozen=True):
    """One vector of every record."""

    name: str  # "" where a store knows one vector only
    dimensions: int
    metric: Metric
    kind: VectorKind = "float32"
    index: Index | None = None  # None: not known, or the store's own business


class Field(Struct, frozen=True):
    """Metadata that the store types."""

    name: str
    type: FieldType
    filter: bool = False  # indexed, so that it may be filtered by
    search: bool = False  # indexed for full-text search


class Collection(Struct, frozen=True):
    """A collection's shape. `name` is the store's own word for it: a table, an index, a path."""

    name: str
    vectors: tuple[VectorField, ...]
    fields: tuple[Field, ...] = ()
    mark: str | None = None  # vecmig's: who made it. None: vecmig did not
    model: str | None = None  # what embedded its vectors, where the store knows
    namespaced: bool | None = None  # whether records have namespaces other than "", or may have them. None: not known
    settings: tuple[tuple[str, str], ...] = ()  # what the store sets besides, in its own words: ("shards", "3")
    findings: tuple[str, ...] = ()  # what of the records is not read, or read as something else
    left_out: tuple[tuple[str, str], ...] = ()  # what the store holds of a record and is not read, and its type there
    unwritable: str = ""  # why no record can be put into it, with the way out; "" where it may be a target

    def vector(self, name: str) -> VectorField:
        """Return the vector of this name. Raises KeyError."""
        return {vector.name: vector for vector in self.vectors}[name]

    def agrees_with(self, actual: "Collection") -> bool:
        """True if what is declared here holds there: a default that the server filled in is no difference.

        The index is left to the planner, as the settings are: it is built last, and a load that was interrupted still
        agrees.
        """
        known = {vector.name: vector.dimensions for vector in actual.vectors}

        def dimensions(vector: VectorField) -> int:
            # a store that does not declare them knows none before its first record
            return vector.dimensions if vector.kind == "sparse" or known.get(vector.name) else 0

        def shape(collection: Collection) -> set[tuple[str, int, str, str]]:
            return {(v.name, dimensions(v), v.metric, v.kind) for v in collection.vectors}

        def types(collection: Collection) -> set[tuple[str, str]]:
            return {(field.name, field.type) for field in collection.fields}

        return (
            shape(self) == shape(actual)
            and types(self) <= types(actual)
            and self.mark in (None, actual.mark)
            and not (self.namespaced and actual.namespaced is False)
        )  # fmt: skip
