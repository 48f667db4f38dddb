"""The schema of a new collection, as the server's REST interface takes it: every property typed, nothing guessed."""

from typing import Any

from vecmig.connectors.weaviate.limits import METRICS
from vecmig.connectors.weaviate.schema import names, note, settings
from vecmig.connectors.weaviate.schema.layout import TYPES
from vecmig.connectors.weaviate.schema.names import ID, JSON
from vecmig.model.collection import Collection, Field, Index, VectorField


def schema_of(stored: str, declared: Collection) -> dict[str, Any]:
    """Return the schema of the collection `stored`, which `declared`, complete, says."""
    fields = names.properties(field.name for field in declared.fields)
    vectors = names.vectors(vector.name for vector in declared.vectors)
    noted = note.Note(
        fields=names.renamed(fields),
        vectors={there: name for name, there in vectors.items()},
        dimensions={vectors[vector.name]: vector.dimensions for vector in declared.vectors},
        model=declared.model,
    )
    schema: dict[str, Any] = {
        "class": stored,
        "description": note.written(declared.mark, noted),
        "vectorConfig": {vectors[vector.name]: _vector(vector) for vector in declared.vectors},
        "properties": [
            _text(ID, "the id of a record whose id is no UUID", filterable=True),
            _text(JSON, "the fields of a record that fit no other property, as JSON", filterable=False),
            *(_property(fields[field.name], field) for field in declared.fields),
        ],
    }
    if declared.namespaced is not False:  # not known yet: there is room for namespaces
        schema["multiTenancyConfig"] = {"enabled": True}
    settings.put(schema, declared.settings, {there: name for name, there in vectors.items()})
    return schema


def _vector(vector: VectorField) -> dict[str, Any]:
    index = vector.index or Index()
    config: dict[str, Any] = {"distance": METRICS[vector.metric]}
    if index.type == "hnsw":
        given = {"maxConnections": index.m, "efConstruction": index.ef_construction}
        config |= {key: value for key, value in given.items() if value is not None}
    return {"vectorizer": {"none": {}}, "vectorIndexType": index.type, "vectorIndexConfig": config}


def _property(name: str, field: Field) -> dict[str, Any]:
    """Return one property: a text that is searched is cut into words, one that is filtered by is kept whole.

    Cut into words, a filter would match parts of it, and one for a stopword is an error.
    """
    found: dict[str, Any] = {
        "name": name,
        "dataType": [TYPES[field.type]],
        "indexFilterable": field.filter,
        "indexSearchable": field.search,
    }
    if field.type in ("text", "text[]"):
        found["tokenization"] = "word" if field.search else "field"
    elif field.filter and field.type in ("int", "float", "datetime"):
        found["indexRangeFilters"] = True
    return found


def _text(name: str, description: str, filterable: bool) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "dataType": ["text"],
        "tokenization": "field",
        "indexFilterable": filterable,
        "indexSearchable": False,
    }
