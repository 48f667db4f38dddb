"""The configuration of vector indexes: what is filled in, and what may change later."""

import copy
from typing import Any

from tests.doubles.weaviate.errors import Refused

Json = dict[str, Any]

DISTANCES = ("cosine", "dot", "l2-squared", "manhattan", "hamming")
_CACHE = 1_000_000_000_000
_MARKS = {"skipDefaultQuantization": False, "trackDefaultQuantization": False}
_FLAT_QUANTIZER = {"enabled": False, "rescoreLimit": -1, "cache": False}

HNSW: Json = {
    "skip": False,
    "cleanupIntervalSeconds": 300,
    "maxConnections": 32,
    "efConstruction": 128,
    "ef": -1,
    "dynamicEfMin": 100,
    "dynamicEfMax": 500,
    "dynamicEfFactor": 8,
    "vectorCacheMaxObjects": _CACHE,
    "flatSearchCutoff": 40000,
    "distance": "cosine",
    "pq": {
        "enabled": False,
        "bitCompression": False,
        "segments": 0,
        "centroids": 256,
        "trainingLimit": 100000,
        "encoder": {"type": "kmeans", "distribution": "log-normal"},
    },
    "bq": {"enabled": False},
    "sq": {"enabled": False, "trainingLimit": 100000, "rescoreLimit": 20},
    "rq": {"enabled": False, "bits": 8, "rescoreLimit": 20},
    "filterStrategy": "acorn",
    "multivector": {
        "enabled": False,
        "muvera": {"enabled": False, "ksim": 4, "dprojections": 16, "repetitions": 10},
        "aggregation": "maxSim",
    },
    **_MARKS,
}
FLAT: Json = {
    "distance": "cosine",
    "vectorCacheMaxObjects": _CACHE,
    "pq": _FLAT_QUANTIZER,
    "bq": _FLAT_QUANTIZER,
    "sq": _FLAT_QUANTIZER,
    "rq": {**_FLAT_QUANTIZER, "bits": 8},
    **_MARKS,
}
DEFAULTS: dict[str, Json] = {
    "hnsw": HNSW,
    "flat": FLAT,
    "hfresh": {
        "maxPostingSizeKB": 48,
        "replicas": 4,
        "searchProbe": 256,
        "distance": "cosine",
        "rq": {"enabled": True, "bits": 1, "rescoreLimit": 350},
    },
    "dynamic": {"distance": "cosine", "threshold": 10000, "hnsw": HNSW, "flat": FLAT},
}
_FIXED: dict[str, tuple[str, ...]] = {
    "hnsw": (
        "distance",
        "efConstruction",
        "maxConnections",
        "cleanupIntervalSeconds",
        "multivector.enabled",
        "multivector.muvera.enabled",
    ),
    "flat": ("distance", "pq.enabled", "bq.enabled", "rq.enabled", "rq.bits"),
    "hfresh": ("distance", "replicas"),
    "dynamic": ("distance",),
}
"""What cannot change once the collection is there."""


def filled(config: Json, *, is_async: bool) -> Json:
    """A vector's configuration with every default. Raises Refused."""
    kind = config.get("vectorIndexType") or "hnsw"
    if kind not in DEFAULTS:
        raise Refused(f'unrecognized or unsupported vectorIndexType "{kind}"')
    if kind == "dynamic" and not is_async:
        raise Refused("the dynamic index can only be created when async indexing is enabled")
    index = merged(DEFAULTS[kind], config.get("vectorIndexConfig") or {})
    if index["distance"] not in DISTANCES:
        raise Refused(f'unrecognized distance metric "{index["distance"]}"')
    if kind == "dynamic":
        index["hnsw"]["distance"] = index["flat"]["distance"] = index["distance"]
    if sum(bool(part.get("enabled")) for name, part in index.items() if name in ("pq", "bq", "sq", "rq")) > 1:
        raise Refused("invalid index config: two or more quantizers are enabled at the same time")
    return {**config, "vectorIndexType": kind, "vectorIndexConfig": index}


def check_update(before: Json, after: Json, where: str) -> None:
    """Raises Refused if an index changes what it cannot. Both are filled in."""
    kind = before["vectorIndexType"]
    if after["vectorIndexType"] != kind:
        raise Refused(
            f'{where}vector index type is immutable: attempted change from "{kind}" to "{after["vectorIndexType"]}"'
        )
    for path in _FIXED[kind]:
        old, new = (_at(config["vectorIndexConfig"], path) for config in (before, after))
        if old != new:
            name = path.replace(".", " ")
            raise Refused(f'{where}{name} is immutable: attempted change from "{_shown(old)}" to "{_shown(new)}"')


def merged(defaults: Json, given: Json) -> Json:
    """The defaults, with what is given in their places, at every level."""
    result = copy.deepcopy(defaults)
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        elif value is not None:
            result[name] = copy.deepcopy(value)
    return result


def _at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = config.get(part) or {}
    return config


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
