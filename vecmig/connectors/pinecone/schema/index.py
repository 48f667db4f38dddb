"""The control plane: an index as it is, made, and removed."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import structs
from pinecone import ConflictError, NotFoundError, Pinecone
from pinecone.models.indexes.deployment import PodDeployment
from pinecone.models.indexes.index import IndexModel

from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.limits import METRICS
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.connectors.pinecone.schema import schema, tags
from vecmig.connectors.pinecone.schema.fields import DENSE, SPARSE, Kind, fields_of, kind_of, names_of
from vecmig.errors import CollectionConflict, ConnectorError, UnsupportedError
from vecmig.model.collection import Collection, VectorField

READY_S = 300


@dataclass(frozen=True, slots=True)
class Index:
    """One index. `fields`: its vector fields, and the vectors that they hold; its collection's vectors in this order."""

    host: str
    kind: Kind
    collection: Collection
    fields: Mapping[str, VectorField]
    deletion_protected: bool
    made_by_vecmig: bool
    is_doubtful: bool  # only its answers can say whether it is a vector index indeed
    is_integrated: bool  # it embeds text by itself, and its schema does not say the vectors' dimensions

    def with_fields(self, fields: Mapping[str, VectorField]) -> "Index":
        """Return it with other vector fields than the control plane knows."""
        collection = structs.replace(self.collection, vectors=tuple(fields.values()))
        return dataclasses.replace(self, collection=collection, fields=fields)


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
    kind = kind_of(options.kind, declared)
    fields = fields_of(declared, kind)
    hybrid = kind == "vectors" and len(fields) > 1  # its sparse values need no field
    made = {name: _field(vector) for name, vector in fields.items() if not (hybrid and vector.kind == "sparse")}

    def request() -> object:
        try:
            return control.indexes.create(
                name=declared.name,
                schema={"fields": made},
                deployment={"deployment_type": "managed", "cloud": options.cloud, "region": options.region},
                deletion_protection="enabled" if options.deletion_protection else "disabled",
                tags=tags.written(declared, names_of(fields)),
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
    remove(control, calls, name)


def remove(control: Pinecone, calls: Calls, name: str) -> None:
    """Delete an index, whoever made it."""

    def request() -> None:
        try:
            control.indexes.delete(name, timeout=READY_S)
        except NotFoundError:
            return

    calls.send("delete index", request)


def may_be_hybrid(index: Index) -> bool:
    """Return whether only its records can say if there are sparse values: nobody noted it."""
    return (
        index.kind == "vectors"
        and not index.made_by_vecmig
        and [vector.metric for vector in index.fields.values()] == ["dot"]
        and DENSE in index.fields
    )


def with_sparse(index: Index) -> Index:
    """Return a foreign dotproduct index as one whose records have sparse values, too."""
    return index.with_fields({**index.fields, SPARSE: VectorField("sparse", 0, "dot", "sparse")})


def with_dimensions(index: Index, dimensions: int | None) -> Index:
    """Return an index that embeds by itself with the dimensions that its data plane says; None: its vectors are sparse."""
    if not dimensions:
        return index.with_fields({SPARSE: VectorField("", 0, "dot", "sparse")})
    return index.with_fields({DENSE: structs.replace(index.fields[DENSE], dimensions=dimensions)})


def _index(model: IndexModel, host: str) -> Index:
    try:
        noted = tags.read(model.tags or {})
    except ValueError as error:
        raise ConnectorError(
            f"the tags of index {model.name!r} that begin with `vecmig-` were changed, so nothing says which vector is"
            f" which ({error}): remove them, and it is read as an index that others made"
        ) from error
    fields = schema.vectors_of(model.name, model.schema, noted.vectors)
    semantic = schema.semantic_field(model.schema)
    kind = schema.kind_of(model.schema)
    typed = schema.typed_fields(model.schema) if noted.vectors is None else noted.fields
    embedder = noted.model or (semantic.model if semantic else None)
    collection = Collection(model.name, tuple(fields.values()), typed, noted.mark, embedder)
    return Index(
        host,
        kind,
        collection,
        fields,
        deletion_protected=model.deletion_protection == "enabled",
        made_by_vecmig=noted.vectors is not None,
        is_doubtful=kind == "vectors" and not model.schema.fields.keys() <= {DENSE, SPARSE},
        is_integrated=semantic is not None,
    )


def _field(vector: VectorField) -> dict[str, Any]:
    if vector.kind == "sparse":
        return {"type": "sparse_vector"}
    return {"type": "dense_vector", "dimension": vector.dimensions, "metric": METRICS[vector.metric]}
