"""The control plane: an index as it is, made, and removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from pinecone import ConflictError, NotFoundError, Pinecone
from pinecone.models.indexes.deployment import PodDeployment
from pinecone.models.indexes.index import IndexModel
from pinecone.models.indexes.schema import DenseVectorField, SemanticTextField, SparseVectorField

from vecmig.connectors.pinecone import tags
from vecmig.connectors.pinecone.calls import Calls
from vecmig.connectors.pinecone.limits import METRICS
from vecmig.connectors.pinecone.options import Kind, PineconeOptions
from vecmig.errors import CollectionConflict, ConnectorError, UnsupportedError
from vecmig.model.collection import Collection, VectorField

DENSE, SPARSE = "_values", "_sparse_values"  # the fields of a vector index
READY_S = 300
_METRICS = {theirs: ours for ours, theirs in METRICS.items()}


@dataclass(frozen=True, slots=True)
class Index:
    """One index. `fields`: names of its vector fields, and of the vectors that they are."""

    host: str
    kind: Kind
    collection: Collection
    fields: Mapping[str, str]
    deletion_protected: bool
    made_by_vecmig: bool

    def field_of(self, vector: VectorField) -> str:
        """Return the field that holds a vector."""
        return next(field for field, name in self.fields.items() if name == vector.name)


def find(control: Pinecone, calls: Calls, name: str) -> Index | None:
    """Return the index as it is now, or None. Raises UnsupportedError for one that cannot be read whole."""
    try:
        model = calls.send("describe", lambda: control.indexes.describe(name))
    except ConnectorError as error:
        if isinstance(error.__cause__, NotFoundError):
            return None
        raise
    if model.status.state == "Terminating":
        return None
    if isinstance(model.deployment, PodDeployment):
        raise UnsupportedError(
            f"index {name!r} is on pods, which list no ids, so nothing can say that all records were read: make a"
            ' serverless index of it (Pinecone\'s page "Migrate a pod-based index to serverless") and name that one'
        )
    if not model.host:
        raise ConnectorError(f"index {name!r} is being made ({model.status.state}); run it again in a moment")
    return _index(model, model.host)


def create(control: Pinecone, calls: Calls, options: PineconeOptions, declared: Collection) -> None:
    """Create the index; nothing where one is there by then."""
    kind = kind_of(options, declared)
    fields = field_names(declared, kind)
    by_name = {name: field for field, name in fields.items()}
    hybrid = kind == "vectors" and len(declared.vectors) > 1  # its sparse values need no field
    schema = {
        by_name[vector.name]: _field(vector) for vector in declared.vectors if not (hybrid and vector.kind == "sparse")
    }

    def request() -> object:
        try:
            return control.indexes.create(
                name=declared.name,
                schema={"fields": schema},
                deployment={"deployment_type": "managed", "cloud": options.cloud, "region": options.region},
                deletion_protection="enabled" if options.deletion_protection else "disabled",
                tags=tags.written(declared, fields),
                timeout=READY_S,
            )
        except ConflictError:
            return None  # another run was quicker: whether it made the same, is seen next

    calls.send("create", request)


def drop(control: Pinecone, calls: Calls, name: str, index: Index) -> None:
    """Delete an index of vecmig's. Raises CollectionConflict for any other."""
    if index.collection.mark is None:
        raise CollectionConflict(f"index {name!r} was not made by vecmig, so it stays")
    if index.deletion_protected:
        raise CollectionConflict(
            f"index {name!r} is protected from being deleted: take `deletion_protection` off in Pinecone first"
        )

    def request() -> None:
        try:
            control.indexes.delete(name, timeout=READY_S)
        except NotFoundError:
            return

    calls.send("delete index", request)


def kind_of(options: PineconeOptions, declared: Collection) -> Kind:
    """Return the data model of a new index: the newer one only where the older has no place for both vectors."""
    return options.kind or ("documents" if len(declared.vectors) > 1 else "vectors")


def field_names(declared: Collection, kind: Kind) -> dict[str, str]:
    """Return the fields of a new index, and the names of the vectors that they hold."""
    names = {}
    for vector in declared.vectors:
        sparse = vector.kind == "sparse"
        if kind == "vectors":
            names[SPARSE if sparse else DENSE] = vector.name
        else:
            names[vector.name or ("sparse" if sparse else "embedding")] = vector.name
    return names


def with_sparse(index: Index) -> Index:
    """Return a foreign dotproduct index as one whose records have sparse values, too."""
    sparse = VectorField("sparse", 0, "dot", "sparse")
    collection = replace(index.collection, vectors=(*index.collection.vectors, sparse))
    return Index(
        index.host, index.kind, collection, {**index.fields, SPARSE: sparse.name}, index.deletion_protected, False
    )


def may_be_hybrid(index: Index) -> bool:
    """Return whether only its records can say if there are sparse values: nobody noted it."""
    vectors = index.collection.vectors
    return (
        index.kind == "vectors"
        and not index.made_by_vecmig
        and [v.metric for v in vectors if v.kind != "sparse"] == ["dot"]
    )


def _index(model: IndexModel, host: str) -> Index:
    noted = tags.read(model.tags or {})
    found: dict[str, tuple[int, str, bool]] = {}  # dimensions, metric, whether it is sparse
    for name, field in model.schema.fields.items():
        match field:
            case DenseVectorField(dimension=dimension, metric=metric):
                found[name] = (dimension, metric, False)
            case SparseVectorField():
                found[name] = (0, "dotproduct", True)
            case SemanticTextField():
                raise UnsupportedError(
                    f"index {model.name!r} embeds text by itself (field `{name}`), and does not say its dimensions"
                    " to the SDK: convert it to a document index in Pinecone, and name that one"
                )
    kind: Kind = "vectors" if found.keys() <= {DENSE, SPARSE} else "documents"
    if noted.vectors is not None:
        fields = noted.vectors
        if SPARSE in fields and SPARSE not in found:
            found[SPARSE] = (0, "dotproduct", True)
    else:
        fields = {name: "" if len(found) == 1 else name for name in found}
    vectors = tuple(
        VectorField(fields[name], dimension, _METRICS[metric], "sparse" if sparse else "float32")
        for name, (dimension, metric, sparse) in found.items()
        if name in fields
    )
    collection = Collection(model.name, vectors, noted.fields, noted.mark, noted.model)
    protected = model.deletion_protection == "enabled"
    return Index(host, kind, collection, fields, protected, noted.vectors is not None)


def _field(vector: VectorField) -> dict[str, Any]:
    if vector.kind == "sparse":
        return {"type": "sparse_vector"}
    return {"type": "dense_vector", "dimension": vector.dimensions, "metric": METRICS[vector.metric]}
