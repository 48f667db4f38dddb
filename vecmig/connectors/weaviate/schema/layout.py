"""A collection as it is: what its schema says, and what vecmig noted in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecmig.connectors.weaviate.limits import METRICS
from vecmig.connectors.weaviate.schema import note, settings, unread
from vecmig.connectors.weaviate.schema.names import ID, JSON, UNNAMED
from vecmig.model.collection import Collection, Field, FieldType, Index, Metric, VectorField

TYPES: dict[FieldType, str] = {
    "text": "text",
    "int": "int",
    "float": "number",
    "bool": "boolean",
    "datetime": "date",
    "text[]": "text[]",
    "int[]": "int[]",
    "float[]": "number[]",
    "bool[]": "boolean[]",
    "datetime[]": "date[]",
}
_FIELD_TYPES = {theirs: ours for ours, theirs in TYPES.items()}
_METRICS: dict[str, Metric] = {theirs: ours for ours, theirs in METRICS.items()}


@dataclass(frozen=True, slots=True)
class Property:
    """`key`: the name of the field that it holds."""

    name: str
    key: str
    type: str  # in Weaviate's words
    filterable: bool = False
    searchable: bool = False
    tokenization: str = ""
    nested: tuple["Property", ...] = ()

    @property
    def has_nested_blob(self) -> bool:
        return any(each.type in unread.BLOBS or each.has_nested_blob for each in self.nested)


@dataclass(frozen=True, slots=True)
class Layout:
    """`stored`: the name of the collection itself, which may stand behind an alias. `vectors`: by their names there;

    None is the one without a name of older collections.
    """

    stored: str
    collection: Collection
    properties: tuple[Property, ...]
    vectors: Mapping[str | None, VectorField]
    has_tenants: bool
    has_id: bool
    has_json: bool
    has_null_state: bool
    schema: Mapping[str, Any]


def layout_of(
    name: str, schema: dict[str, Any], without: Sequence[str], dimensions: Mapping[str | None, int]
) -> Layout:
    """Return the layout; `name` is what the collection was asked for by.

    `dimensions`: as the records show them, for those that nobody noted. Raises UnsupportedError where a part of the
    records cannot be read.
    """
    mark, noted = note.read(schema.get("description") or "")
    findings = unread.findings(name, schema, stored_vectors(schema), without)
    vectors = _vectors(schema, noted, dimensions, without)
    properties = tuple(_property(each, noted) for each in schema.get("properties") or [] if each["name"] not in without)
    ours = {each.name for each in properties if each.type == "text"}
    fields = tuple(_field(each) for each in properties if each.type in _FIELD_TYPES and each.name not in (ID, JSON))
    stored_name = str(schema["class"])
    collection = Collection(
        name,
        tuple(vectors.values()),
        fields,
        mark,
        noted.model or _model(schema),
        bool((schema.get("multiTenancyConfig") or {}).get("enabled")),
        (
            *settings.from_schema(schema, {stored: field.name for stored, field in vectors.items()}),
            *((("alias of", stored_name),) if stored_name != name else ()),
        ),
        findings,
    )
    return Layout(
        stored_name,
        collection,
        tuple(each for each in properties if each.name not in (ID, JSON)),
        vectors,
        bool(collection.namespaced),
        ID in ours,
        JSON in ours,
        bool((schema.get("invertedIndexConfig") or {}).get("indexNullState")),
        schema,
    )


def stored_vectors(schema: Mapping[str, Any]) -> list[str | None]:
    """Return the names of the vectors; None: the unnamed one."""
    named: list[str | None] = [*(schema.get("vectorConfig") or {})]
    has_unnamed = bool(schema.get("vectorIndexType")) or (bool(schema.get("vectorizer")) and not named)
    return [None, *named] if has_unnamed else named


def _vectors(
    schema: dict[str, Any], noted: note.Note, dimensions: Mapping[str | None, int], without: Sequence[str]
) -> dict[str | None, VectorField]:
    found: dict[str | None, VectorField] = {}
    for stored in stored_vectors(schema):
        if (stored or UNNAMED) in without:
            continue
        type_, config = settings.vector_config(schema, stored)
        ours = noted.vectors.get(stored or UNNAMED, stored) if stored not in (None, UNNAMED) or noted.vectors else ""
        inner = config.get("hnsw") or config if type_ == "dynamic" else config
        distance = config.get("distance") or inner.get("distance") or "cosine"
        size = noted.dimensions.get(stored or UNNAMED) or dimensions.get(stored, 0)
        found[stored] = VectorField(ours or "", size, _METRICS[distance], index=_index(type_, inner))
    return found


def _index(type_: str, config: Mapping[str, Any]) -> Index | None:
    if type_ in ("hnsw", "dynamic"):
        return Index(m=config.get("maxConnections"), ef_construction=config.get("efConstruction"))
    return Index("flat") if type_ == "flat" else None


def _property(raw: Mapping[str, Any], noted: note.Note | None) -> Property:
    name = str(raw["name"])
    return Property(
        name,
        noted.fields.get(name, name) if noted else name,
        raw["dataType"][0],
        bool(raw.get("indexFilterable")),
        bool(raw.get("indexSearchable")),
        raw.get("tokenization") or "",
        tuple(_property(each, None) for each in raw.get("nestedProperties") or ()),
    )


def _field(each: Property) -> Field:
    return Field(each.key, _FIELD_TYPES[each.type], each.filterable, each.searchable)


def _model(schema: Mapping[str, Any]) -> str | None:
    """Return the model that the server embeds with, where it is one of those that vecmig names alike."""
    modules = {**(schema.get("moduleConfig") or {})}
    for each in (schema.get("vectorConfig") or {}).values():
        modules |= each.get("vectorizer") or {}
    models = {
        f"{module.removeprefix('text2vec-')}/{config['model']}"
        for module, config in modules.items()
        if module.startswith("text2vec-") and isinstance(config, dict) and config.get("model")
    }
    return next(iter(models)) if len(models) == 1 else None
