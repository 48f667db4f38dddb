"""What a Weaviate collection can hold, and what it fills in; without a connection.

The limits are those of the server's source, 1.38 (usecases/schema, adapters/repos/db/vector).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from vecmig.connectors.weaviate.schema import settings
from vecmig.connectors.weaviate.schema.names import CLASS, DIGEST, class_name
from vecmig.model.collection import Collection, Field, Index, Metric, VectorField

if TYPE_CHECKING:
    from vecmig.connectors.weaviate.options import WeaviateOptions
    from vecmig.connectors.weaviate.schema.parameters import Quantizer

METRICS: dict[Metric, str] = {
    "cosine": "cosine",
    "dot": "dot",
    "l2": "l2-squared",
    "l1": "manhattan",
    "hamming": "hamming",
}
MAX_DIMENSIONS = 65_535  # the length is stored in 16 bits
MAX_CLASS = 255  # characters
M, EF_CONSTRUCTION = 32, 128  # the server's defaults
EXACT = 2**53  # numbers travel and are stored as doubles, an `int` too (weaviate/weaviate#1563)


def complete(options: "WeaviateOptions", declared: Collection, actual: Collection | None) -> Collection:
    """Return the collection as Weaviate would hold it; what can never change is as in `actual`, where nothing is asked."""
    there = {vector.name: vector.index for vector in actual.vectors} if actual else {}

    def completed(vector: VectorField) -> VectorField:
        if vector.kind == "sparse":
            return vector  # refused
        index = vector.index or Index()
        if index.type == "hnsw":
            now = there.get(vector.name) if actual is not None else Index(m=M, ef_construction=EF_CONSTRUCTION)
            if now is not None and now.type == "hnsw":
                index = replace(index, m=index.m or now.m, ef_construction=index.ef_construction or now.ef_construction)
        return replace(vector, kind="float32", index=index)

    tenants = options.tenants
    namespaced = declared.namespaced if tenants is None else tenants or bool(declared.namespaced)
    if actual is not None and actual.namespaced is not None and tenants is None and not declared.namespaced:
        namespaced = actual.namespaced
    whole = replace(declared, vectors=tuple(map(completed, declared.vectors)), namespaced=namespaced)
    return replace(whole, settings=settings.from_options(options, whole, actual))


def refusals(options: "WeaviateOptions", declared: Collection, actual: Collection | None) -> Sequence[str]:
    """Return why Weaviate cannot hold `declared`, or `actual` cannot become it, each with the ways out."""
    return [
        *_of_name(declared),
        *_of_tenants(options, declared),
        *_of_settings(options, declared),
        *(reason for vector in declared.vectors for reason in _of_vector(vector)),
        *(reason for field in declared.fields for reason in _of_field(field)),
        *(_of_changes(declared, actual) if actual is not None else ()),
    ]


def _of_name(declared: Collection) -> Iterator[str]:
    name = class_name(declared.name)
    if not CLASS.fullmatch(name) or len(name) > MAX_CLASS - DIGEST:
        yield (
            f"`{declared.name}` names no collection: letters, digits and `_`, a letter first, at most"
            f" {MAX_CLASS - DIGEST} characters"
        )


def _of_tenants(options: "WeaviateOptions", declared: Collection) -> Iterator[str]:
    if options.tenants is False and declared.namespaced:
        yield (
            "records have namespaces, which a collection without tenants has no place for: leave `tenants` out, or take"
            " one namespace only"
        )


def _of_settings(options: "WeaviateOptions", declared: Collection) -> Iterator[str]:
    """Yield what the server would refuse, or leave aside without a word."""
    types = [(vector.index or Index()).type for vector in declared.vectors]
    for key, given in (("hnsw", options.hnsw), ("dynamic_threshold", options.dynamic_threshold)):
        if given is not None and "hnsw" not in types:
            yield f"`{key}` is said, and no vector has an hnsw index: leave it out, or say `index: {{type: hnsw}}`"
    if options.shards is not None and declared.namespaced:
        yield "`shards` is said, and each tenant is a shard of its own: leave it out, or say `tenants: false`"
    if options.quantizer is not None:
        for type_ in dict.fromkeys(each for each in types if each in settings.QUANTIZERS):
            yield from _of_quantizer(options.quantizer, type_)


def _of_quantizer(quantizer: "Quantizer", index: str) -> Iterator[str]:
    known = settings.QUANTIZERS[index].get(quantizer.type)
    if known is None:
        others = ", ".join(name for name in settings.QUANTIZERS[index] if name != "none")
        yield f"a {index} index takes no {quantizer.type}: choose another `quantizer` ({others}), or another index"
        return
    for key, value in asdict(quantizer).items():
        if key != "type" and value is not None and key not in known:
            yield f"`{key}` is no parameter of {quantizer.type} in {'an' if index == 'hnsw' else 'a'} {index} index: leave it out"


def _of_vector(vector: VectorField) -> Iterator[str]:
    what = f"vector `{vector.name}`" if vector.name else "the vector"
    if vector.kind == "sparse":
        yield f"{what} is sparse, and Weaviate stores no sparse vectors: leave it out with `vectors`"
        return
    if vector.metric not in METRICS:
        yield f"{what} has metric {vector.metric}; Weaviate knows {', '.join(METRICS)}: say `metric` in the migration"
    if vector.dimensions > MAX_DIMENSIONS:
        yield f"{what} has {vector.dimensions:,} dimensions, Weaviate holds {MAX_DIMENSIONS:,}: embed with fewer"
    index = vector.index or Index()
    if index.type == "ivfflat":
        yield f"{what}: Weaviate has no ivfflat index; use `index: {{type: hnsw}}` or `flat`"
    if index.m is not None and not 4 <= index.m <= 2047:
        yield f"{what}: `m` is {index.m}, Weaviate takes 4 to 2047"
    if index.ef_construction is not None and not index.ef_construction >= 4:
        yield f"{what}: `ef_construction` is {index.ef_construction}, Weaviate takes 4 or more"


def _of_field(field: Field) -> Iterator[str]:
    if field.search and field.type not in ("text", "text[]"):
        yield f"field `{field.name}` is {field.type}: full-text search is for `text` alone; leave `search` out"
    elif field.search and field.filter:
        yield (
            f"field `{field.name}`: Weaviate cuts a text into words to search it, and keeps it whole to filter by it: leave"
            " `search` or `filter` out"
        )


def _of_changes(declared: Collection, actual: Collection) -> Iterator[str]:
    """Yield what only another collection can have."""
    there = {vector.name: vector for vector in actual.vectors}
    for vector in declared.vectors:
        now = there[vector.name].index if vector.name in there else None
        if now is None or vector.index is None:
            continue
        label = f"index of {vector.name}" if vector.name else "index"
        if vector.index.type != now.type:
            yield f"{label} {now.type} -> {vector.index.type}"
            continue
        for key in ("m", "ef_construction"):
            before, after = getattr(now, key), getattr(vector.index, key)
            if after is not None and before is not None and before != after:
                yield f"{label} {key} {before} -> {after}"
    fields = {field.name: field for field in actual.fields}
    for field in declared.fields:
        for key in ("filter", "search"):
            if field.name in fields and getattr(field, key) and not getattr(fields[field.name], key):
                yield f"field `{field.name}` has no {key} index, and only a new property gets one"
    yield from settings.unchangeable(declared, actual)
