"""Collections as they are created and changed: what is refused, and what is filled in."""

from typing import Any

from tests.doubles.weaviate import indexes
from tests.doubles.weaviate.errors import Refused
from tests.doubles.weaviate.names import check_class, check_nested, check_property, check_vector, class_name
from tests.doubles.weaviate.names import property_name as written
from tests.doubles.weaviate.properties import CHECKS

Json = dict[str, Any]

TYPES = {name + end for name in CHECKS for end in ("", "[]")} - {
    "geoCoordinates[]",
    "phoneNumber[]",
    "blob[]",
    "blobHash[]",
}
NESTED = {"object", "object[]"}
RANGED = {"int", "number", "date"}
TEXTS = {"text", "text[]"}
TOKENIZATIONS = ("word", "lowercase", "whitespace", "field", "trigram", "gse", "kagome_kr", "kagome_ja", "gse_ch")
INVERTED: Json = {
    "bm25": {"b": 0.75, "k1": 1.2},
    "cleanupIntervalSeconds": 60,
    "stopwords": {"additions": None, "preset": "en", "removals": None},
    "usingBlockMaxWAND": True,
}
REPLICATION: Json = {"deletionStrategy": "TimeBasedResolution", "factor": 1, "asyncEnabled": False}
SHARDING: Json = {
    "virtualPerPhysical": 128,
    "desiredCount": 1,
    "actualCount": 1,
    "desiredVirtualCount": 128,
    "actualVirtualCount": 128,
    "key": "_id",
    "strategy": "hash",
    "function": "murmur3",
}
NO_SHARDING: Json = {name: "" if isinstance(value, str) else 0 for name, value in SHARDING.items()}
TENANCY: Json = {"autoTenantActivation": False, "autoTenantCreation": False, "enabled": False}


def created(body: Json, *, nodes: int, is_async: bool) -> Json:
    """A new collection as the API shows it. Raises Refused."""
    name = class_name(body.get("class") or "")
    check_class(name)
    schema = filled({**body, "class": name}, is_async=is_async)
    tenancy = schema["multiTenancyConfig"]
    if tenancy["enabled"] and body.get("shardingConfig"):
        raise Refused("cannot have both shardingConfig and multiTenancyConfig")
    if schema["replicationConfig"]["factor"] > nodes:
        raise Refused(
            f"init sharding state: could not find enough weaviate nodes for replication: {nodes} available, "
            f"{schema['replicationConfig']['factor']} requested"
        )
    if not tenancy["enabled"]:
        shards = schema["shardingConfig"]
        shards["actualCount"] = shards["desiredCount"]
        shards["desiredVirtualCount"] = shards["actualVirtualCount"] = shards["desiredCount"] * 128
    return schema


def filled(body: Json, *, is_async: bool) -> Json:
    """A collection with every default, also for what an update leaves out. Raises Refused."""
    tenancy = indexes.merged(TENANCY, body.get("multiTenancyConfig") or {})
    for name in ("autoTenantCreation", "autoTenantActivation"):
        if tenancy[name] and not tenancy["enabled"]:
            raise Refused(f"can't enable {name} on a non-multi-tenant class")
    schema: Json = {
        "class": body["class"],
        "invertedIndexConfig": _inverted(body.get("invertedIndexConfig") or {}),
        "multiTenancyConfig": tenancy,
        "properties": _properties(body["class"], body.get("properties") or []) or None,
        "replicationConfig": indexes.merged(REPLICATION, body.get("replicationConfig") or {}),
        "shardingConfig": indexes.merged(
            NO_SHARDING if tenancy["enabled"] else SHARDING, body.get("shardingConfig") or {}
        ),
    }
    replication = schema["replicationConfig"]
    replication["factor"] = replication["factor"] or 1
    replication["asyncEnabled"] = replication["factor"] > 1  # whatever is asked for
    _check_inverted(schema["invertedIndexConfig"])
    for name in ("description", "moduleConfig", "objectTtlConfig"):
        if body.get(name):
            schema[name] = body[name]
    return {**schema, **_vectors(body, is_async=is_async)}


def added_property(schema: Json, body: Json) -> Json:
    """A property to be added to this collection, filled in. Raises Refused."""
    return _properties(schema["class"], [*(schema["properties"] or []), body])[-1]


def updated(before: Json, body: Json, *, is_async: bool) -> Json:
    """The collection as an update makes it. Raises Refused for what cannot change."""
    if class_name(body.get("class") or before["class"]) != before["class"]:
        raise Refused(
            f'class name is immutable: attempted change from "{before["class"]}" to "{class_name(body["class"])}"'
        )
    is_enabled = (body.get("multiTenancyConfig") or {}).get("enabled", False)
    if is_enabled != before["multiTenancyConfig"]["enabled"]:
        verb = "enabling" if is_enabled else "disabling"
        raise Refused(f"{verb} multi-tenancy for an existing class is not supported")
    after = filled({**body, "class": before["class"]}, is_async=is_async)
    for key, shown in (
        ("indexNullState", "indexNullState"),
        ("indexTimestamps", "indexTimestamp"),
        ("indexPropertyLength", "indexPropertyLength"),
    ):
        old, new = (bool(schema["invertedIndexConfig"].get(key)) for schema in (before, after))
        if old != new:
            raise Refused(
                f'"{shown}" setting is immutable. Value changed from "{str(old).lower()}" to "{str(new).lower()}"'
            )
    if after["replicationConfig"]["factor"] > before["replicationConfig"]["factor"]:
        raise Refused("not enough replicas in shard to increase replication factor")
    _check_vectors(before, after)
    if not is_enabled:
        _check_sharding(before["shardingConfig"], after["shardingConfig"])
    _check_properties(before["properties"] or [], after["properties"] or [])
    after["properties"] = sorted(after["properties"] or [], key=lambda item: str(item["name"])) or None
    return after


def _properties(collection: str, bodies: list[Json]) -> list[Json]:
    made: list[Json] = []
    names: set[str] = set()
    for body in bodies:
        name = written(str(body.get("name") or ""))
        check_property(name)
        if name.lower() in names:
            raise Refused(
                f'class "{collection}": conflict for property "{name}": already in use or provided multiple times'
            )
        names.add(name.lower())
        made.append(_property({**body, "name": name}))
    return made


def _property(body: Json) -> Json:
    name, kinds = body["name"], body.get("dataType") or []
    if not kinds:
        raise Refused("property must contain dataType")
    kind = kinds[0]
    if kind[:1].isupper():  # a reference, which the double declares, and holds none of
        return {
            "dataType": list(kinds),
            "indexFilterable": True,
            "indexRangeFilters": False,
            "indexSearchable": False,
            "name": name,
        }
    if kind not in TYPES | NESTED:
        raise Refused(f"property '{name}': invalid dataType: [{kind}]: unknown primitive data type '{kind}'")
    made: Json = {"dataType": list(kinds), "name": name}
    if body.get("description"):
        made["description"] = body["description"]
    tokenization = body.get("tokenization") or None
    if kind in TEXTS:
        if tokenization and tokenization not in TOKENIZATIONS:
            raise Refused("tokenization in body should be one of [" + " ".join(TOKENIZATIONS) + "]")
        made["tokenization"] = tokenization or "word"
    elif tokenization:
        raise Refused(f"tokenization is not allowed for data type '{kind}'")
    if body.get("indexSearchable") and kind not in TEXTS:
        raise Refused("`indexSearchable` is allowed only for text/text[] data types")
    if body.get("indexRangeFilters") and kind not in RANGED:
        raise Refused("`indexRangeFilters` is allowed only for number/int/date data types")
    made["indexFilterable"] = body.get("indexFilterable") is not False
    made["indexSearchable"] = kind in TEXTS and body.get("indexSearchable") is not False
    made["indexRangeFilters"] = bool(body.get("indexRangeFilters"))
    if kind in NESTED:
        nested = body.get("nestedProperties") or []
        if not nested:
            raise Refused(f"property '{name}': At least one nested property is required for data type object/object[]")
        for item in nested:
            check_nested(str(item.get("name") or ""))
        made["nestedProperties"] = [_property(item) for item in nested]
    elif body.get("nestedProperties"):
        raise Refused(f"property '{name}': nestedProperties not allowed for data types other than object/object[]")
    return made


def _vectors(body: Json, *, is_async: bool) -> Json:
    """The legacy vector, the named ones, or both, which only an update makes."""
    result: Json = {}
    named = body.get("vectorConfig") or {}
    is_legacy = any(body.get(key) for key in ("vectorizer", "vectorIndexType", "vectorIndexConfig"))
    if is_legacy or not named:
        _check_vectorizer(body.get("vectorizer") or "none")
        legacy = indexes.filled(
            {key: body.get(key) for key in ("vectorIndexType", "vectorIndexConfig")}, is_async=is_async
        )
        if legacy["vectorIndexConfig"].get("multivector", {}).get("enabled"):
            raise Refused("multi vector type index type is only configurable using named vectors")
        result = {**legacy, "vectorizer": "none"}
    if named:
        result["vectorConfig"] = {}
        for name, config in sorted(named.items()):
            check_vector(name)
            for vectorizer in config.get("vectorizer") or {}:
                _check_vectorizer(vectorizer)
            result["vectorConfig"][name] = {
                **indexes.filled(config, is_async=is_async),
                "vectorizer": {"none": {}},
            }
    return result


def _check_vectorizer(name: str) -> None:
    if name != "none":
        raise Refused(f'vectorizer: no module with name "{name}" present')


def check_new_vectors(body: Json) -> None:
    """Raises Refused where a new collection has both kinds of vectors."""
    is_legacy = any(body.get(key) for key in ("vectorizer", "vectorIndexType", "vectorIndexConfig"))
    if is_legacy and body.get("vectorConfig"):
        raise Refused("creating a class with both a class level vector index and named vectors is forbidden")


def _inverted(given: Json) -> Json:
    """Filled in; but of the two parameters of BM25 one that is given alone makes the other 0."""
    bm25 = given.get("bm25")
    return indexes.merged(INVERTED, given | ({"bm25": {"b": 0, "k1": 0} | bm25} if bm25 else {}))


def _check_inverted(config: Json) -> None:
    if not 0 <= config["bm25"]["b"] <= 1:
        raise Refused("inverted index config: BM25.b must be >= 0 and <= 1")
    if config["bm25"]["k1"] < 0:
        raise Refused("inverted index config: BM25.k1 must be >= 0")
    if config["stopwords"]["preset"] not in ("en", "none"):
        raise Refused(f"inverted index config: stopwordPreset '{config['stopwords']['preset']}' does not exist")


def _check_vectors(before: Json, after: Json) -> None:
    if "vectorIndexType" in before:
        indexes.check_update(before, after, "validate vector index config: ")
        if "default" in after.get("vectorConfig", {}):
            raise Refused("vector named default cannot be created when collection level vector index is configured")
    for name, config in before.get("vectorConfig", {}).items():
        if name not in after.get("vectorConfig", {}):
            raise Refused(f'missing config for vector "{name}"')
        indexes.check_update(config, after["vectorConfig"][name], f'invalid update for vector "{name}": ')


def _check_sharding(before: Json, after: Json) -> None:
    for key, shown in (("desiredCount", "shard count"), ("virtualPerPhysical", "virtual shards per physical")):
        if before[key] != after[key]:
            raise Refused(f'{shown} is immutable: attempted change from "{before[key]}" to "{after[key]}"')


def _check_properties(before: list[Json], after: list[Json]) -> None:
    def fixed(properties: list[Json]) -> list[Json]:
        bare = [{key: value for key, value in item.items() if key != "description"} for item in properties]
        return sorted(bare, key=lambda item: str(item["name"]))

    if fixed(before) != fixed(after):
        raise Refused("property fields other than description cannot be updated through updating the class")
