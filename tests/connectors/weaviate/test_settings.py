"""What the spec says of a collection is what the server has then; what may change is changed in place, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from tests.connectors.weaviate.places import batch, opened
from tests.doubles.weaviate import running
from tests.weaviate_server import WeaviateServer, started_weaviate
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.schema.parameters import Hnsw, Inverted, Quantizer
from vecmig.errors import ConnectorError
from vecmig.model.batch import Key
from vecmig.model.collection import Collection, Field, Index, Metric, VectorField
from vecmig.planning.differ import index_changes

FLAT = Index("flat")
FIELDS = (
    Field("title", "text", search=True),
    Field("lang", "text", filter=True),
    Field("note", "text"),
    Field("pages", "int", filter=True),
    Field("price", "float", filter=True),
    Field("at", "datetime", filter=True),
    Field("new", "bool", filter=True),
    Field("tags", "text[]", filter=True),
    Field("words", "text[]", search=True),
    Field("counts", "int[]"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Options, and what the server is to have of them: paths in the schema with dots."""

    given: dict[str, Any]
    found: dict[str, Any]
    index: Index = field(default_factory=Index)
    metric: Metric = "cosine"

    def declared(self, options: WeaviateOptions, actual: Collection | None = None) -> Collection:
        vectors = (VectorField("", 3, self.metric, index=self.index),)
        whole = Collection(options.collection, vectors, FIELDS, "vecmig:test", namespaced=False)
        return options.complete(whole, actual)


VECTOR = "vectorConfig.default"
CONFIG = f"{VECTOR}.vectorIndexConfig"
CREATED = {
    "nothing": Asked({}, {f"{CONFIG}.maxConnections": 32, f"{CONFIG}.efConstruction": 128, f"{CONFIG}.ef": -1}),
    "hnsw": Asked(
        {
            "hnsw": Hnsw(
                ef_min=50,
                ef_max=300,
                ef_factor=4,
                flat_search_cutoff=1000,
                filter_strategy="sweeping",
                cleanup_interval_s=60,
                vector_cache_max_objects=5000,
            )
        },
        {
            f"{VECTOR}.vectorIndexType": "hnsw",
            f"{VECTOR}.vectorizer": {"none": {}},
            f"{CONFIG}.maxConnections": 16,
            f"{CONFIG}.efConstruction": 200,
            f"{CONFIG}.ef": 77,
            f"{CONFIG}.dynamicEfMin": 50,
            f"{CONFIG}.dynamicEfMax": 300,
            f"{CONFIG}.dynamicEfFactor": 4,
            f"{CONFIG}.flatSearchCutoff": 1000,
            f"{CONFIG}.filterStrategy": "sweeping",
            f"{CONFIG}.cleanupIntervalSeconds": 60,
            f"{CONFIG}.vectorCacheMaxObjects": 5000,
        },
        Index(m=16, ef_construction=200, ef_search=77),
    ),
    "flat": Asked({}, {f"{VECTOR}.vectorIndexType": "flat"}, FLAT),
    "pq": Asked(
        {"quantizer": Quantizer("pq", training_limit=5000, segments=3, centroids=128)},
        {
            f"{CONFIG}.pq.enabled": True,
            f"{CONFIG}.pq.trainingLimit": 5000,
            f"{CONFIG}.pq.segments": 3,
            f"{CONFIG}.pq.centroids": 128,
        },
    ),
    "bq": Asked({"quantizer": Quantizer("bq")}, {f"{CONFIG}.bq.enabled": True}),
    "sq": Asked(
        {"quantizer": Quantizer("sq", training_limit=5000, rescore_limit=40)},
        {f"{CONFIG}.sq.enabled": True, f"{CONFIG}.sq.trainingLimit": 5000, f"{CONFIG}.sq.rescoreLimit": 40},
    ),
    "rq": Asked(
        {"quantizer": Quantizer("rq", bits=1, rescore_limit=40)},
        {f"{CONFIG}.rq.enabled": True, f"{CONFIG}.rq.bits": 1, f"{CONFIG}.rq.rescoreLimit": 40},
    ),
    "no quantizer": Asked({"quantizer": Quantizer("none")}, {f"{CONFIG}.rq.enabled": False}),
    "flat bq": Asked(
        {"quantizer": Quantizer("bq", rescore_limit=40, cache=True)},
        {f"{CONFIG}.bq.enabled": True, f"{CONFIG}.bq.rescoreLimit": 40, f"{CONFIG}.bq.cache": True},
        FLAT,
    ),
    "flat rq": Asked(
        {"quantizer": Quantizer("rq", bits=8, rescore_limit=40, cache=True)},
        {f"{CONFIG}.rq.enabled": True, f"{CONFIG}.rq.bits": 8, f"{CONFIG}.rq.cache": True},
        FLAT,
    ),
    "cosine": Asked({}, {f"{CONFIG}.distance": "cosine"}),
    "dot": Asked({}, {f"{CONFIG}.distance": "dot"}, metric="dot"),
    "l2": Asked({}, {f"{CONFIG}.distance": "l2-squared"}, metric="l2"),
    "l1": Asked({}, {f"{CONFIG}.distance": "manhattan"}, metric="l1"),
    "hamming": Asked({}, {f"{CONFIG}.distance": "hamming"}, metric="hamming"),
    "inverted index": Asked(
        {
            "inverted_index": Inverted(
                bm25_b=0.5, bm25_k1=1.5, stopwords="none", null_state=False, property_length=True, timestamps=True
            )
        },
        {
            "invertedIndexConfig.bm25": {"b": 0.5, "k1": 1.5},
            "invertedIndexConfig.stopwords.preset": "none",
            "invertedIndexConfig.indexPropertyLength": True,
            "invertedIndexConfig.indexTimestamps": True,
        },
    ),
    "b alone": Asked({"inverted_index": Inverted(bm25_b=0.5)}, {"invertedIndexConfig.bm25": {"b": 0.5, "k1": 1.2}}),
    "k1 alone": Asked({"inverted_index": Inverted(bm25_k1=2)}, {"invertedIndexConfig.bm25": {"b": 0.75, "k1": 2}}),
    "shards and replicas": Asked(
        {"shards": 3, "replicas": 1, "tenants": False, "deletion_strategy": "DeleteOnConflict"},
        {
            "shardingConfig.desiredCount": 3,
            "replicationConfig.factor": 1,
            "replicationConfig.deletionStrategy": "DeleteOnConflict",
        },
    ),
    "asynchronous replication": Asked({"async_replication": False}, {"replicationConfig.asyncEnabled": False}),
    "tenants": Asked({"tenants": True}, {"multiTenancyConfig.enabled": True}),
    "no tenants": Asked({"tenants": False}, {"multiTenancyConfig.enabled": False}),
}


def at(schema: Any, path: str) -> Any:
    for step in path.split("."):
        schema = schema[step]
    return schema


def by_name(properties: Any) -> Any:
    """Return them as they may be compared: the server gives them in another order after a change."""
    return {each["name"]: each for each in properties}


def schema_of(connector: WeaviateConnector) -> Any:
    """Return the schema of the collection behind the alias, as the server gives it."""
    stored = connector._open(connector.options.collection).layout.stored
    return connector.session.rest("get", f"/schema/{stored}")[1]


def actual_of(connector: WeaviateConnector) -> Collection:
    found = connector.describe(connector.options.collection)
    assert found
    return found


@pytest.mark.parametrize("what", CREATED)
def test_a_new_collection_has_what_the_spec_says_and_the_next_plan_finds_nothing_to_change(
    weaviate_server: WeaviateServer, what: str
) -> None:
    asked = CREATED[what]
    with opened(weaviate_server, **asked.given) as connector:
        declared = asked.declared(connector.options)
        assert not connector.options.refusals(declared)
        connector.create(declared)
        schema, actual = schema_of(connector), actual_of(connector)
        for path, value in asked.found.items():
            assert at(schema, path) == value, path
        assert index_changes(asked.declared(connector.options, actual), actual) == []
        assert not connector.options.refusals(declared, actual)
        assert list(connector.build_index(declared)) == []
        assert schema_of(connector) == schema


def test_a_field_is_searched_by_words_or_filtered_as_a_whole_or_neither(weaviate_server: WeaviateServer) -> None:
    with opened(weaviate_server) as connector:
        connector.create(CREATED["nothing"].declared(connector.options))
        keys = ("dataType", "tokenization", "indexSearchable", "indexFilterable", "indexRangeFilters")
        found = {each["name"]: tuple(each.get(key) for key in keys) for each in schema_of(connector)["properties"]}
        assert found == {
            "title": (["text"], "word", True, False, False),
            "lang": (["text"], "field", False, True, False),
            "note": (["text"], "field", False, False, False),
            "pages": (["int"], None, False, True, True),
            "price": (["number"], None, False, True, True),
            "at": (["date"], None, False, True, True),
            "new": (["boolean"], None, False, True, False),
            "tags": (["text[]"], "field", False, True, False),
            "words": (["text[]"], "word", True, False, False),
            "counts": (["int[]"], None, False, False, False),
            "vecmig_id": (["text"], "field", False, True, False),
            "vecmig_json": (["text"], "field", False, False, False),
        }


def test_the_mark_and_what_is_renamed_stand_in_the_description(weaviate_server: WeaviateServer) -> None:
    with opened(weaviate_server) as connector:
        name = connector.options.collection
        vectors = (VectorField("main part", 3, "cosine"),)
        fields = (Field("Title", "text"), Field("title", "int"), Field("id", "text"), Field("a-b", "text"))
        declared = connector.options.complete(Collection(name, vectors, fields, "vecmig:test", "openai/m"))
        connector.create(declared)
        schema, actual = schema_of(connector), actual_of(connector)
        assert schema["description"].startswith("vecmig:test {")
        assert schema["class"].startswith(f"{name}_")
        assert {each["name"] for each in schema["properties"]} == {
            "title",
            "title_2",
            "id_",
            "a_b",
            "vecmig_id",
            "vecmig_json",
        }
        assert (actual.mark, actual.model) == ("vecmig:test", "openai/m")
        assert set(actual.fields) == set(declared.fields)
        assert [each.name for each in actual.vectors] == ["main part"]


@pytest.mark.parametrize(
    ("given", "index", "words"),
    [
        ({"quantizer": Quantizer("pq")}, FLAT, "a flat index takes no pq"),
        ({"quantizer": Quantizer("sq")}, FLAT, "a flat index takes no sq"),
        ({"quantizer": Quantizer("bq", rescore_limit=20)}, Index(), "`rescore_limit` is no parameter of bq"),
        ({"quantizer": Quantizer("rq", segments=3)}, Index(), "`segments` is no parameter of rq"),
        ({"quantizer": Quantizer("rq", cache=True)}, Index(), "`cache` is no parameter of rq"),
        ({"quantizer": Quantizer("none", bits=8)}, Index(), "`bits` is no parameter of none"),
        ({"hnsw": Hnsw(ef_min=20)}, FLAT, "`hnsw` is said, and no vector has an hnsw index"),
        ({"dynamic_threshold": 100}, FLAT, "`dynamic_threshold` is said, and no vector has an hnsw index"),
        ({"shards": 3, "tenants": True}, Index(), "`shards` is said, and each tenant is a shard"),
        ({}, Index("ivfflat"), "Weaviate has no ivfflat index"),
        ({}, Index(m=2), "`m` is 2, Weaviate takes 4 to 2047"),
        ({}, Index(ef_construction=2), "`ef_construction` is 2, Weaviate takes 4 or more"),
    ],
    ids=str,
)
def test_settings_that_weaviate_would_refuse_or_leave_aside_are_refused_in_the_plan(
    given: dict[str, Any], index: Index, words: str
) -> None:
    options = WeaviateOptions("Kb", **given)
    (said,) = options.refusals(Asked(given, {}, index).declared(options))
    assert words in said


@contextmanager
def late_double() -> Iterator[WeaviateServer]:
    with running() as double:
        double.store.is_async = True
        yield WeaviateServer.of(double)


@contextmanager
def late_program() -> Iterator[WeaviateServer]:
    with started_weaviate({"ASYNC_INDEXING": "true"}) as server:
        yield server


@pytest.mark.parametrize("server", [late_double, late_program], ids=["double", "real"])
def test_a_dynamic_index_is_made_where_the_server_indexes_later(server: Any) -> None:
    given = {"dynamic_threshold": 500, "hnsw": Hnsw(ef_min=50), "quantizer": Quantizer("rq")}
    asked = Asked(given, {}, Index(m=16, ef_search=77), "dot")
    with server() as late, opened(late, **given) as connector:
        declared = asked.declared(connector.options)
        connector.create(declared)
        schema, actual = schema_of(connector), actual_of(connector)
        assert at(schema, f"{VECTOR}.vectorIndexType") == "dynamic"
        assert (at(schema, f"{CONFIG}.threshold"), at(schema, f"{CONFIG}.distance")) == (500, "dot")
        inner = at(schema, f"{CONFIG}.hnsw")
        assert (inner["maxConnections"], inner["ef"], inner["dynamicEfMin"]) == (16, 77, 50)
        assert inner["rq"]["enabled"]
        assert actual.vectors[0].metric == "dot"
        assert index_changes(asked.declared(connector.options, actual), actual) == []
        other = replace(connector.options, dynamic_threshold=600)
        assert other.refusals(asked.declared(other), actual) == ["dynamic_threshold 500 -> 600"]
        wider = replace(connector.options, hnsw=Hnsw(ef_min=60))
        assert not wider.refusals(asked.declared(wider), actual)
        connector.options = wider
        list(connector.build_index(asked.declared(wider)))
        assert at(schema_of(connector), f"{CONFIG}.hnsw.dynamicEfMin") == 60


def test_a_dynamic_index_is_refused_with_the_reason_where_the_server_has_none(weaviate_server: WeaviateServer) -> None:
    with opened(weaviate_server, dynamic_threshold=500) as connector:
        with pytest.raises(ConnectorError, match="async indexing"):
            connector.create(CREATED["nothing"].declared(connector.options))
        assert connector.describe(connector.options.collection) is None


BEFORE = Asked(
    {
        "hnsw": Hnsw(ef_min=50, cleanup_interval_s=60),
        "inverted_index": Inverted(bm25_b=0.5, stopwords="en", timestamps=True, property_length=False),
        "shards": 2,
        "tenants": False,
    },
    {},
    Index(m=16, ef_construction=64, ef_search=50),
)
CHANGES: dict[str, tuple[dict[str, Any], Index, str, Any]] = {
    "ef": ({}, Index(ef_search=120), f"{CONFIG}.ef", 120),
    "dynamic ef": ({"hnsw": Hnsw(ef_min=60, ef_max=400, ef_factor=9)}, Index(), f"{CONFIG}.dynamicEfMax", 400),
    "cutoff": ({"hnsw": Hnsw(flat_search_cutoff=10)}, Index(), f"{CONFIG}.flatSearchCutoff", 10),
    "filter strategy": ({"hnsw": Hnsw(filter_strategy="sweeping")}, Index(), f"{CONFIG}.filterStrategy", "sweeping"),
    "cache": ({"hnsw": Hnsw(vector_cache_max_objects=9)}, Index(), f"{CONFIG}.vectorCacheMaxObjects", 9),
    "quantizer": ({"quantizer": Quantizer("rq", bits=8)}, Index(), f"{CONFIG}.rq.enabled", True),
    "bm25": ({"inverted_index": Inverted(bm25_b=0.9, bm25_k1=2)}, Index(), "invertedIndexConfig.bm25.b", 0.9),
    "stopwords": (
        {"inverted_index": Inverted(stopwords="none")},
        Index(),
        "invertedIndexConfig.stopwords.preset",
        "none",
    ),
    "deletions": (
        {"deletion_strategy": "DeleteOnConflict"},
        Index(),
        "replicationConfig.deletionStrategy",
        "DeleteOnConflict",
    ),
}
FIXED: dict[str, tuple[dict[str, Any], Index, str, str, Any]] = {
    "m": ({}, Index(m=8), "index m 16 -> 8", f"{CONFIG}.maxConnections", 8),
    "ef_construction": (
        {},
        Index(ef_construction=80),
        "index ef_construction 64 -> 80",
        f"{CONFIG}.efConstruction",
        80,
    ),
    "index type": ({}, FLAT, "index hnsw -> flat", f"{VECTOR}.vectorIndexType", "flat"),
    "cleanup": (
        {"hnsw": Hnsw(cleanup_interval_s=90)},
        Index(),
        "cleanup_interval_s 60 -> 90",
        f"{CONFIG}.cleanupIntervalSeconds",
        90,
    ),
    "nulls": (
        {"inverted_index": Inverted(null_state=False)},
        Index(),
        "null_state true -> false",
        "invertedIndexConfig.indexNullState",
        False,
    ),
    "times": (
        {"inverted_index": Inverted(timestamps=False)},
        Index(),
        "timestamps true -> false",
        "invertedIndexConfig.indexTimestamps",
        False,
    ),
    "lengths": (
        {"inverted_index": Inverted(property_length=True)},
        Index(),
        "property_length false -> true",
        "invertedIndexConfig.indexPropertyLength",
        True,
    ),
    "shards": ({"shards": 3}, Index(), "shards 2 -> 3", "shardingConfig.desiredCount", 3),
    "replicas": (
        {"replicas": 3},
        Index(),
        "replicas 1 -> 3: Weaviate makes no replicas of what is there; move replicas first",
        "replicationConfig.factor",
        3,
    ),
}


@pytest.fixture
def made(weaviate_server: WeaviateServer) -> Iterator[WeaviateConnector]:
    """A collection made as BEFORE says, with three records."""
    with opened(weaviate_server, **BEFORE.given) as connector:
        connector.create(BEFORE.declared(connector.options))
        rows = [{"id": f"id-{n}", "vector:": [1.0, n, 0.5]} for n in range(3)]
        assert not connector.upsert(connector.options.collection, batch(rows, (VectorField("", 3, "cosine"),)))
        yield connector


def changed(connector: WeaviateConnector, given: dict[str, Any], index: Index) -> tuple[WeaviateOptions, Collection]:
    """Return options that say this alone, and what they declare of the collection that is there."""
    place = connector.options
    options = WeaviateOptions(place.collection, url=place.url, grpc_url=place.grpc_url, **given)
    return options, Asked(given, {}, index).declared(options, actual_of(connector))


@pytest.mark.parametrize("what", CHANGES)
def test_what_may_change_is_changed_in_place_and_nothing_else_with_it(made: WeaviateConnector, what: str) -> None:
    given, index, path, value = CHANGES[what]
    options, declared = changed(made, given, index)
    before, actual = schema_of(made), actual_of(made)
    assert not options.refusals(declared, actual)
    assert index_changes(declared, actual), "the plan shows it"
    made.options = options
    assert list(made.build_index(declared)) == []
    after = schema_of(made)
    assert at(before, path) != value
    assert at(after, path) == value
    asked_for = {key.rpartition(" ")[2] for key, _ in declared.settings}
    moved = {
        key
        for key, text in dict(actual_of(made).settings).items()
        if dict(actual.settings).get(key) != text and not key.startswith("quantizer_")
    }
    assert moved <= asked_for
    for part in ("description", "multiTenancyConfig", "shardingConfig"):
        assert after[part] == before[part], part
    assert by_name(after["properties"]) == by_name(before["properties"])
    keys = [Key("", f"id-{n}") for n in range(3)]
    assert made.fetch(options.collection, keys).keys == keys
    assert index_changes(declared, actual_of(made)) == []


@pytest.mark.parametrize("what", FIXED)
def test_what_may_not_is_told_in_the_plan_and_the_server_itself_refuses_it(made: WeaviateConnector, what: str) -> None:
    given, index, said, path, value = FIXED[what]
    options, declared = changed(made, given, index)
    assert list(options.refusals(declared, actual_of(made))) == [said]
    schema = schema_of(made)
    *steps, last = path.split(".")
    at(schema, ".".join(steps))[last] = value
    status, _ = made.session.rest("put", f"/schema/{schema['class']}", schema)
    assert status >= 400 or at(schema_of(made), path) != value, "refused, or left as it was without a word"


def test_what_an_index_was_trained_with_is_not_changed_where_it_would_do_nothing(
    weaviate_server: WeaviateServer,
) -> None:
    """The server takes it without a word, and goes on with the codes that it has."""
    given = {"quantizer": Quantizer("pq", segments=3, training_limit=1000)}
    with opened(weaviate_server, **given) as connector:
        connector.create(Asked(given, {}).declared(connector.options))
        other = {"quantizer": Quantizer("pq", segments=1, training_limit=2000)}
        options, declared = changed(connector, other, Index())
        assert list(options.refusals(declared, actual_of(connector))) == [
            "quantizer_training_limit 1000 -> 2000",
            "quantizer_segments 3 -> 1",
        ]
        options, declared = changed(connector, {"quantizer": Quantizer("rq")}, Index())
        assert list(options.refusals(declared, actual_of(connector))) == ["quantizer pq -> rq"]


def test_each_of_several_vectors_has_an_index_of_its_own(weaviate_server: WeaviateServer) -> None:
    with opened(weaviate_server, quantizer=Quantizer("bq"), hnsw=Hnsw(ef_min=50)) as connector:
        vectors = (
            VectorField("title", 3, "cosine", index=Index(m=8, ef_search=40)),
            VectorField("body", 4, "l2", index=FLAT),
        )
        name = connector.options.collection
        declared = connector.options.complete(Collection(name, vectors, mark="vecmig:test"))
        assert not connector.options.refusals(declared)
        connector.create(declared)
        found = schema_of(connector)["vectorConfig"]
        title, body = (found[each]["vectorIndexConfig"] for each in ("title", "body"))
        assert (found["title"]["vectorIndexType"], found["body"]["vectorIndexType"]) == ("hnsw", "flat")
        assert (title["maxConnections"], title["ef"], title["dynamicEfMin"], title["distance"]) == (8, 40, 50, "cosine")
        assert (body["distance"], title["bq"]["enabled"], body["bq"]["enabled"]) == ("l2-squared", True, True)
        actual = actual_of(connector)
        assert index_changes(connector.options.complete(declared, actual), actual) == []
        assert {each.name: asdict(each)["index"].type for each in actual.vectors} == {"title": "hnsw", "body": "flat"}


def test_a_setting_that_the_server_leaves_as_it_was_is_an_error_and_no_change_that_is_planned_for_ever(
    made: WeaviateConnector,
) -> None:
    """Replicas are mended in the background where there are several, whatever one asks for (since 1.38)."""
    options, declared = changed(made, {"async_replication": True}, Index())
    assert index_changes(declared, actual_of(made)) == ["async_replication false -> true"]
    made.options = options
    with pytest.raises(ConnectorError, match="Weaviate leaves `async_replication` at false, though true was asked for"):
        list(made.build_index(declared))
