"""Settings that a collection has besides vectors and fields: from the options, in a schema, and which can change.

All are texts, by names such as `shards`, `ef_search` or `title quantizer`, so that a plan shows them and holds them.
What can never change is what the server refuses (its usecases/schema/class.go and adapters/repos/db/vector/*/config.go).
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from vecmig.model.collection import Collection

if TYPE_CHECKING:
    from vecmig.connectors.weaviate.options import WeaviateOptions

Settings = tuple[tuple[str, str], ...]
Schema = dict[str, Any]

_HNSW = {
    "ef_search": "ef",
    "ef_min": "dynamicEfMin",
    "ef_max": "dynamicEfMax",
    "ef_factor": "dynamicEfFactor",
    "flat_search_cutoff": "flatSearchCutoff",
    "filter_strategy": "filterStrategy",
    "cleanup_interval_s": "cleanupIntervalSeconds",
    "vector_cache_max_objects": "vectorCacheMaxObjects",
}
_QUANTIZER = {
    "bits": "bits",
    "rescore_limit": "rescoreLimit",
    "training_limit": "trainingLimit",
    "segments": "segments",
    "centroids": "centroids",
    "cache": "cache",
}
QUANTIZERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # which an index takes, and with what
    "hnsw": {
        "pq": ("training_limit", "segments", "centroids"),
        "bq": (),
        "sq": ("training_limit", "rescore_limit"),
        "rq": ("bits", "rescore_limit"),
        "none": (),
    },
    "flat": {"bq": ("rescore_limit", "cache"), "rq": ("bits", "rescore_limit", "cache"), "none": ()},
}
_TRAINED = ("quantizer_bits", "quantizer_segments", "quantizer_centroids", "quantizer_training_limit")  # codes stay
_COLLECTION = {
    "bm25_b": ("invertedIndexConfig", "bm25", "b"),
    "bm25_k1": ("invertedIndexConfig", "bm25", "k1"),
    "stopwords": ("invertedIndexConfig", "stopwords", "preset"),
    "null_state": ("invertedIndexConfig", "indexNullState"),
    "property_length": ("invertedIndexConfig", "indexPropertyLength"),
    "timestamps": ("invertedIndexConfig", "indexTimestamps"),
    "shards": ("shardingConfig", "desiredCount"),
    "replicas": ("replicationConfig", "factor"),
    "async_replication": ("replicationConfig", "asyncEnabled"),
    "deletion_strategy": ("replicationConfig", "deletionStrategy"),
}
_FIXED = ("null_state", "property_length", "timestamps", "shards", "cleanup_interval_s", "dynamic_threshold")
_OFF = ("null_state", "property_length", "timestamps", "async_replication")  # false where the schema does not say
BM25 = {"b": 0.75, "k1": 1.2}  # the server's defaults; where one of them is given alone, it makes the other 0


def from_options(options: "WeaviateOptions", declared: Collection, actual: Collection | None) -> Settings:
    """Return the settings that the spec asks for."""
    found: dict[str, object] = {}
    for vector in declared.vectors:
        label = _label(vector.name)
        index = vector.index
        hnsw = index is None or index.type == "hnsw"
        given: dict[str, object] = {"ef_search": index.ef_search if index else None} if hnsw else {}
        if hnsw and options.hnsw is not None:
            given |= asdict(options.hnsw)
        if hnsw:
            given["dynamic_threshold"] = options.dynamic_threshold
        if options.quantizer is not None:
            given["quantizer"] = options.quantizer.type
            given |= {f"quantizer_{key}": getattr(options.quantizer, key) for key in _QUANTIZER}
        found |= {label + key: value for key, value in given.items()}
    if options.inverted_index is not None:
        found |= asdict(options.inverted_index)
    if actual is None and any(field.filter for field in declared.fields) and found.get("null_state") is None:
        found["null_state"] = True
    found |= {
        "shards": options.shards,
        "replicas": options.replicas,
        "async_replication": options.async_replication,
        "deletion_strategy": options.deletion_strategy,
    }
    return tuple((key, _text(value)) for key, value in found.items() if value is not None)


def from_schema(schema: Schema, names: Mapping[str | None, str]) -> Settings:
    """Return the settings that a collection has. `names`: of vectors by their stored name; None: the unnamed one."""
    found: dict[str, object] = {}
    for stored, name in names.items():
        label = _label(name)
        found |= {label + key: value for key, value in _of_vector(*vector_config(schema, stored))}
    for key, path in _COLLECTION.items():
        value: Any = schema
        for step in path:
            value = (value or {}).get(step)
        found[key] = False if value is None and key in _OFF else value
    if (schema.get("multiTenancyConfig") or {}).get("enabled"):
        del found["shards"]  # each tenant is one
    return tuple((key, _text(value)) for key, value in found.items() if value is not None)


def put(schema: Schema, settings: Settings, names: Mapping[str | None, str]) -> None:
    """Change a schema to what the settings say; what they do not name stays. It may be a new one."""
    for stored, name in names.items():
        label = _label(name)
        own = {
            key.removeprefix(label): _value(text)
            for key, text in settings
            if key.startswith(label)
            and " " not in key.removeprefix(label)
            and key.removeprefix(label) not in _COLLECTION
        }
        if own:
            _put_vector(schema, stored, own)
    for key, text in settings:
        if key in _COLLECTION:
            *steps, last = _COLLECTION[key]
            place = schema
            for step in steps:
                place[step] = place = place.get(step) or {}
            place[last] = _value(text)
    if bm25 := (schema.get("invertedIndexConfig") or {}).get("bm25"):
        schema["invertedIndexConfig"]["bm25"] = BM25 | bm25


def unchangeable(declared: Collection, actual: Collection) -> Iterator[str]:
    """Yield what of the settings only another collection can have."""
    now = dict(actual.settings)
    for key, value in declared.settings:
        before = now.get(key, "none")
        name = key.rpartition(" ")[2]
        if before == value:
            continue
        if name in _FIXED:
            yield f"{key} {before} -> {value}"
        elif name == "replicas" and before.isdigit() and int(value) > int(before):
            yield f"{key} {before} -> {value}: Weaviate makes no replicas of what is there; move replicas first"
        elif name == "quantizer":
            hnsw = _index_type(actual, key.removesuffix("quantizer").strip()) == "hnsw"
            if before != "none" or not hnsw:
                yield f"{key} {before} -> {value}"
        elif name in _TRAINED and now.get(f"{key.removesuffix(name)}quantizer", "none") != "none":
            yield f"{key} {before} -> {value}"


def unheeded(declared: Collection, actual: Collection) -> Iterator[str]:
    """Yield what of the settings the server took without a word and left as it was."""
    now = dict(actual.settings)
    for key, value in declared.settings:
        if now.get(key) != value:
            yield f"Weaviate leaves `{key}` at {now.get(key, 'none')}, though {value} was asked for: say so, or nothing of it"


def vector_config(schema: Schema, stored: str | None) -> tuple[str, Schema]:
    """Return the type and the parameters of a vector's index."""
    place = schema if stored is None else schema["vectorConfig"][stored]
    return place.get("vectorIndexType") or "hnsw", place.get("vectorIndexConfig") or {}


def _of_vector(type_: str, config: Schema) -> Iterator[tuple[str, object]]:
    if type_ == "dynamic":
        yield "dynamic_threshold", config.get("threshold")
        config = config.get("hnsw") or {}
    if type_ != "flat":
        for key, theirs in _HNSW.items():
            yield key, config.get(theirs)
    used = next((name for name in QUANTIZERS["hnsw"] if (config.get(name) or {}).get("enabled")), None)
    yield "quantizer", used or "none"
    for key, theirs in _QUANTIZER.items():
        if used is not None:
            yield f"quantizer_{key}", config[used].get(theirs)


def _put_vector(schema: Schema, stored: str | None, own: Mapping[str, Any]) -> None:
    place = schema if stored is None else schema["vectorConfig"][stored]
    config = place.setdefault("vectorIndexConfig", {})
    if (threshold := own.get("dynamic_threshold")) is not None and place.get("vectorIndexType") != "dynamic":
        distance = config.pop("distance", None)
        place["vectorIndexType"] = "dynamic"
        config = {"threshold": threshold, "hnsw": config} | ({"distance": distance} if distance else {})
        place["vectorIndexConfig"] = config
    if place.get("vectorIndexType") == "dynamic":
        if threshold is not None:
            config["threshold"] = threshold
        config = config.setdefault("hnsw", {})
    config |= {_HNSW[key]: value for key, value in own.items() if key in _HNSW}
    quantizer = own.get("quantizer")
    if quantizer == "none":
        config["skipDefaultQuantization"] = True
    elif quantizer is not None:
        given = {_QUANTIZER[key]: own[f"quantizer_{key}"] for key in _QUANTIZER if f"quantizer_{key}" in own}
        config[quantizer] = (config.get(quantizer) or {}) | {"enabled": True} | given


def _index_type(collection: Collection, name: str) -> str:
    index = next((vector.index for vector in collection.vectors if vector.name == name), None)
    return index.type if index else "hnsw"


def _label(vector: str) -> str:
    return f"{vector} " if vector else ""


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(round(value, 6) if isinstance(value, float) else value)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
