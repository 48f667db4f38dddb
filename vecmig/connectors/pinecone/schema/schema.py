"""What an index's schema says: its data model, its vectors, and the types of its metadata.

A document index answers the reads of the vectors API as if it were empty, so the data model is read off the schema: the
names `_values` and `_sparse_values` are those of a vector index, and no field of a document index begins with `_`.
"""

from collections.abc import Mapping

from pinecone.models.indexes.schema import (
    BooleanField,
    DenseVectorField,
    FloatField,
    IndexSchema,
    IntegerField,
    SemanticTextField,
    SparseVectorField,
    StringField,
    StringListField,
)

from vecmig.connectors.pinecone.limits import METRICS
from vecmig.connectors.pinecone.schema.fields import DENSE, SPARSE, Kind
from vecmig.errors import UnsupportedError
from vecmig.model.collection import Field, Metric, VectorField

_METRICS: dict[str, Metric] = {theirs: ours for ours, theirs in METRICS.items()}


def kind_of(schema: IndexSchema) -> Kind:
    """Return the API that the index is read and written with.

    One with a `semantic_text` field is older than documents: the vectors API serves it (docstring of the SDK's `fetch`).
    """
    if semantic_field(schema) is not None or schema.fields.keys() & {DENSE, SPARSE}:
        return "vectors"
    return "documents"


def semantic_field(schema: IndexSchema) -> SemanticTextField | None:
    return next((field for field in schema.fields.values() if isinstance(field, SemanticTextField)), None)


def vectors_of(index: str, schema: IndexSchema, noted: Mapping[str, str] | None) -> dict[str, VectorField]:
    """Return the vector fields and what they hold. `noted`: names of vectors, where vecmig made the index.

    Raises UnsupportedError where not all vectors can be read.
    """
    _refuse_embedded(index, schema)
    found: dict[str, VectorField] = {}
    for name, field in schema.fields.items():
        match field:
            case DenseVectorField(dimension=dimension, metric=metric):
                found[name] = VectorField("", dimension, _METRICS[metric])
            case SparseVectorField():
                found[name] = VectorField("", 0, "dot", "sparse")
            case SemanticTextField(metric=metric):  # those of the hosted dense models are cosine by default
                found[DENSE] = VectorField("", 0, _METRICS[metric or "cosine"])
    if noted is not None and SPARSE in noted and DENSE in found:
        found[SPARSE] = VectorField("", 0, "dot", "sparse")  # a hybrid vector index declares its dense field only
    for sparse in (False, True):
        if len(names := [name for name, each in found.items() if (each.kind == "sparse") == sparse]) > 1:
            raise UnsupportedError(
                f"index {index!r} has several vector fields of one kind ({', '.join(names)}), and vecmig reads one dense"
                " and one sparse vector of an index: convert it in Pinecone to indexes with one each"
            )
    return {name: _named(each, _name(name, found, noted or {})) for name, each in found.items()}


def typed_fields(schema: IndexSchema) -> tuple[Field, ...]:
    """Return the metadata that the schema declares; Pinecone indexes all other metadata as it comes."""
    fields = []
    for name, field in schema.fields.items():
        match field:
            case StringField(filterable=filterable, full_text_search=search):
                fields.append(Field(name, "text", filterable, search is not None))
            case StringListField(filterable=filterable):
                fields.append(Field(name, "text[]", filterable))
            case BooleanField(filterable=filterable):
                fields.append(Field(name, "bool", filterable))
            case IntegerField(filterable=filterable):
                fields.append(Field(name, "int", filterable))
            case FloatField(filterable=filterable):
                fields.append(Field(name, "float", filterable))
    return tuple(fields)


def _refuse_embedded(index: str, schema: IndexSchema) -> None:
    for name, field in schema.fields.items():
        if not isinstance(field, StringField):
            continue
        embedder = field.embed or field.sparse_embed
        if embedder is not None:
            model = f" with {embedder.model}" if embedder.model else ""
            raise UnsupportedError(
                f"index {index!r} embeds its field `{name}` by itself and gives nobody the vectors: embed the texts{model}"
                " (in the SDK: `pc.inference.embed`) into an index with a vector field of its own, and name that one"
            )


def _name(field: str, found: Mapping[str, VectorField], noted: Mapping[str, str]) -> str:
    """Return the name of a vector: as noted; "" for the only one, or the dense one of a vector index; else the field's."""
    if field in noted:
        return noted[field]
    if len(found) == 1 or field == DENSE:
        return ""
    return "sparse" if field == SPARSE else field


def _named(vector: VectorField, name: str) -> VectorField:
    return VectorField(name, vector.dimensions, vector.metric, vector.kind)
