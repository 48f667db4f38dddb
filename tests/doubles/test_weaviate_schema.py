import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    Reconfigure,
    Tokenization,
    VectorDistances,
    VectorFilterStrategy,
)
from weaviate.classes.data import DataObject
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateQueryError

from tests.doubles.conftest import MakeCollection, numbered
from tests.doubles.weaviate.indexes import DEFAULTS
from tests.weaviate_server import WeaviateServer

Json = dict[str, Any]
Change = Callable[[Json], object]


@pytest.fixture
def http(weaviate_server: WeaviateServer) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {weaviate_server.key}"} if weaviate_server.key else {}
    with httpx.Client(base_url=f"{weaviate_server.url}/v1", headers=headers, timeout=30) as http:
        yield http


@pytest.fixture
def name(http: httpx.Client) -> Iterator[str]:
    """A name that no collection and no alias has, nor will have when the test is over."""
    name = f"Vecmig_{secrets.token_hex(6)}"
    yield name
    http.delete(f"/aliases/{name}")
    http.delete(f"/schema/{name}")


def message(answer: httpx.Response, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    return str(body["error"][0]["message"] if "error" in body else body["message"])


def test_what_is_left_out_is_filled_in(http: httpx.Client, name: str) -> None:
    properties = [
        {"name": "Title", "dataType": ["text"]},
        {"name": "o", "dataType": ["object"], "nestedProperties": [{"name": "K", "dataType": ["int"]}]},
    ]
    body = {"class": name, "properties": properties, "vectorConfig": {"default": {"vectorizer": {"none": {}}}}}
    assert http.post("/schema", json=body).status_code == 200
    found = http.get(f"/schema/{name}").json()
    vector = found["vectorConfig"]["default"]
    assert [found["properties"][0][key] for key in ("name", "tokenization")] == ["title", "word"]
    assert found["properties"][1]["nestedProperties"] == [
        {
            "name": "K",
            "dataType": ["int"],
            "indexFilterable": True,
            "indexRangeFilters": False,
            "indexSearchable": False,
        }
    ]
    assert (vector["vectorIndexType"], vector["vectorIndexConfig"]["distance"]) == ("hnsw", "cosine")
    assert [vector["vectorIndexConfig"][key] for key in ("ef", "efConstruction", "maxConnections")] == [-1, 128, 32]
    assert found["shardingConfig"]["desiredCount"] == found["replicationConfig"]["factor"] == 1
    assert found["invertedIndexConfig"]["stopwords"] == {"preset": "en", "additions": None, "removals": None}
    assert found["multiTenancyConfig"]["enabled"] is False
    assert "vectorIndexType" not in found


def test_one_parameter_of_bm25_given_alone_makes_the_other_zero(http: httpx.Client, name: str) -> None:
    http.post("/schema", json={"class": name, "invertedIndexConfig": {"bm25": {"b": 0.5}}})
    assert http.get(f"/schema/{name}").json()["invertedIndexConfig"]["bm25"] == {"b": 0.5, "k1": 0}


@pytest.mark.parametrize("given", [True, False])
def test_replicas_are_mended_in_the_background_where_there_are_several_whatever_is_asked_for(
    http: httpx.Client, name: str, given: bool
) -> None:
    http.post("/schema", json={"class": name, "replicationConfig": {"asyncEnabled": given}})
    assert http.get(f"/schema/{name}").json()["replicationConfig"]["asyncEnabled"] is False


@pytest.mark.parametrize("kind", ["hnsw", "flat", "hfresh"])
def test_each_index_has_its_own_defaults(http: httpx.Client, name: str, kind: str) -> None:
    vector = {"vectorizer": {"none": {}}, "vectorIndexType": kind}
    http.post("/schema", json={"class": name, "vectorConfig": {"v": vector}})
    assert http.get(f"/schema/{name}").json()["vectorConfig"]["v"]["vectorIndexConfig"] == DEFAULTS[kind]


def test_without_any_vector_configured_there_is_the_legacy_one(http: httpx.Client, name: str) -> None:
    http.post("/schema", json={"class": name})
    found = http.get(f"/schema/{name}").json()
    assert (found["vectorizer"], found["vectorIndexType"], found["properties"]) == ("none", "hnsw", None)
    assert "vectorConfig" not in found


def test_the_client_reads_what_it_asked_for(make_collection: MakeCollection) -> None:
    config = make_collection(
        description="of films",
        properties=[Property(name="title", data_type=DataType.TEXT, tokenization=Tokenization.FIELD)],
        vector_config=[
            Configure.Vectors.self_provided(
                name="a",
                quantizer=Configure.VectorIndex.Quantizer.rq(bits=8),
                vector_index_config=Configure.VectorIndex.hnsw(
                    distance_metric=VectorDistances.DOT, ef_construction=64, max_connections=16
                ),
            ),
            Configure.Vectors.self_provided(
                name="b",
                vector_index_config=Configure.VectorIndex.flat(distance_metric=VectorDistances.L2_SQUARED),
            ),
            Configure.MultiVectors.self_provided(name="late"),
        ],
        inverted_index_config=Configure.inverted_index(index_null_state=True, index_timestamps=True),
        sharding_config=Configure.sharding(desired_count=2),
    ).config.get()
    assert (config.description, config.sharding_config.actual_count) == ("of films", 2)
    assert config.properties[0].tokenization is Tokenization.FIELD
    index = config.vector_config["a"].vector_index_config
    assert (index.distance_metric, index.ef_construction, index.max_connections) == (VectorDistances.DOT, 64, 16)
    assert index.quantizer.bits == 8
    assert config.vector_config["b"].vector_index_config.distance_metric is VectorDistances.L2_SQUARED
    assert config.vector_config["late"].vector_index_config.multi_vector.aggregation == "maxSim"
    assert (config.inverted_index_config.index_null_state, config.inverted_index_config.index_property_length) == (
        True,
        False,
    )


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"class": "Bad-name"}, "not a valid class name"),
        ({"properties": [{"name": "id", "dataType": ["text"]}]}, "reserved property name"),
        ({"properties": [{"name": "a-b", "dataType": ["text"]}]}, "not a valid property name"),
        ({"properties": [{"name": "a_temp", "dataType": ["text"]}]}, "'a_temp' is not a valid property name"),
        ({"properties": [{"name": "a", "dataType": ["foo"]}]}, "unknown primitive data type 'foo'"),
        ({"properties": [{"name": "a", "dataType": ["int"], "tokenization": "word"}]}, "tokenization is not allowed"),
        ({"properties": [{"name": "a", "dataType": ["text"], "tokenization": "zz"}]}, "should be one of"),
        ({"properties": [{"name": "a", "dataType": ["int"], "indexSearchable": True}]}, "`indexSearchable` is allowed"),
        ({"properties": [{"name": "a", "dataType": ["text"], "indexRangeFilters": True}]}, "`indexRangeFilters`"),
        ({"properties": [{"name": "a", "dataType": ["int"]}, {"name": "A", "dataType": ["int"]}]}, "conflict for prop"),
        ({"properties": [{"name": "a", "dataType": ["object"]}]}, "At least one nested property"),
        ({"vectorIndexType": "zz"}, 'unsupported vectorIndexType "zz"'),
        ({"vectorIndexType": "dynamic"}, "async indexing is enabled"),
        ({"vectorizer": "zz"}, 'no module with name "zz"'),
        ({"replicationConfig": {"factor": 3}}, "could not find enough weaviate nodes"),
        ({"vectorConfig": {"a b": {"vectorizer": {"none": {}}}}}, "target vector name"),
        ({"vectorizer": "none", "vectorConfig": {"a": {"vectorizer": {"none": {}}}}}, "is forbidden"),
        ({"multiTenancyConfig": {"enabled": True}, "shardingConfig": {"desiredCount": 2}}, "cannot have both"),
    ],
)
def test_a_collection_that_cannot_be_is_refused(http: httpx.Client, name: str, body: Json, part: str) -> None:
    assert part in message(http.post("/schema", json={"class": name, **body}))
    assert http.get(f"/schema/{body.get('class', name)}").status_code == 404


def test_a_distance_that_is_none_is_refused(http: httpx.Client, name: str) -> None:
    body = {"class": name, "vectorIndexConfig": {"distance": "zz"}}
    # a real server keeps such a collection all the same, and the double does not
    assert 'unrecognized distance metric "zz"' in message(http.post("/schema", json=body))


def test_names_begin_with_a_capital_and_are_taken_whatever_their_case(http: httpx.Client, name: str) -> None:
    http.post("/schema", json={"class": name[0].lower() + name[1:]})
    assert http.get(f"/schema/{name[0].lower()}{name[1:]}").json()["class"] == name
    assert "already exists" in message(http.post("/schema", json={"class": name}))
    assert name in [item["class"] for item in http.get("/schema").json()["classes"]]


def test_to_delete_what_is_not_there_is_no_error(http: httpx.Client, name: str) -> None:
    http.post("/schema", json={"class": name})
    assert [http.delete(f"/schema/{name}").status_code for _ in range(2)] == [200, 200]
    assert http.get(f"/schema/{name}").status_code == 404


def test_a_property_is_added(http: httpx.Client, name: str) -> None:
    http.post("/schema", json={"class": name, "properties": [{"name": "a", "dataType": ["int"]}]})
    answer = http.post(f"/schema/{name}/properties", json={"name": "New", "dataType": ["text[]"]})
    assert (answer.json()["name"], answer.json()["tokenization"]) == ("new", "word")
    assert "conflict for property" in message(
        http.post(f"/schema/{name}/properties", json={"name": "new", "dataType": ["int"]})
    )
    assert "not found" in message(http.post("/schema/Missing/properties", json={"name": "a", "dataType": ["int"]}))


def index_of(body: Json) -> Json:
    index: Json = body["vectorConfig"]["default"]["vectorIndexConfig"]
    return index


CHANGES: dict[str, tuple[Change, str | None]] = {
    "nothing": (lambda body: None, None),
    "ef": (lambda body: index_of(body).update(ef=77), None),
    "search": (lambda body: index_of(body).update(flatSearchCutoff=5, dynamicEfMin=1, filterStrategy="sweeping"), None),
    "quantizer": (lambda body: index_of(body)["rq"].update(enabled=True), None),
    "bm25": (lambda body: body["invertedIndexConfig"].update(bm25={"k1": 2, "b": 0.5}), None),
    "stopwords": (lambda body: body["invertedIndexConfig"].update(stopwords={"preset": "none"}), None),
    "description": (lambda body: body.update(description="d"), None),
    "of_property": (lambda body: body["properties"][0].update(description="d"), None),
    "async": (lambda body: body["replicationConfig"].update(asyncEnabled=True), None),
    "vector": (lambda body: body["vectorConfig"].update(second={"vectorizer": {"none": {}}}), None),
    "distance": (lambda body: index_of(body).update(distance="dot"), "distance is immutable"),
    "efConstruction": (lambda body: index_of(body).update(efConstruction=64), "efConstruction is immutable"),
    "maxConnections": (lambda body: index_of(body).update(maxConnections=64), "maxConnections is immutable"),
    "cleanup": (lambda body: index_of(body).update(cleanupIntervalSeconds=1), "cleanupIntervalSeconds is immutable"),
    "multi": (lambda body: index_of(body)["multivector"].update(enabled=True), "multivector enabled is immutable"),
    "no_vector": (lambda body: body["vectorConfig"].pop("default"), 'missing config for vector "default"'),
    "nulls": (lambda body: body["invertedIndexConfig"].update(indexNullState=True), '"indexNullState" setting is imm'),
    "times": (lambda body: body["invertedIndexConfig"].update(indexTimestamps=True), "setting is immutable"),
    "lengths": (lambda body: body["invertedIndexConfig"].update(indexPropertyLength=True), "setting is immutable"),
    "bad_bm25": (lambda body: body["invertedIndexConfig"].update(bm25={"k1": 2, "b": 5}), "BM25.b must be"),
    "name": (lambda body: body.update({"class": "Other"}), "class name is immutable"),
    "tenancy": (lambda body: body["multiTenancyConfig"].update(enabled=True), "enabling multi-tenancy"),
    "tenants": (lambda body: body["multiTenancyConfig"].update(autoTenantCreation=True), "can't enable autoTenantCr"),
    "shards": (lambda body: body["shardingConfig"].update(desiredCount=3), "shard count is immutable"),
    "virtual": (lambda body: body["shardingConfig"].update(virtualPerPhysical=3), "is immutable"),
    "factor": (lambda body: body["replicationConfig"].update(factor=3), "not enough replicas"),
    "tokenization": (lambda body: body["properties"][0].update(tokenization="field"), "other than description"),
    "filterable": (lambda body: body["properties"][0].update(indexFilterable=False), "other than description"),
    "more": (lambda body: body["properties"].append({"name": "z", "dataType": ["int"]}), "other than description"),
    "fewer": (lambda body: body["properties"].pop(), "other than description"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_some_of_a_collection_can_change_and_some_cannot(http: httpx.Client, name: str, what: str) -> None:
    change, refused = CHANGES[what]
    properties = [{"name": "b", "dataType": ["text"]}, {"name": "a", "dataType": ["int"]}]
    http.post(
        "/schema",
        json={"class": name, "properties": properties, "vectorConfig": {"default": {"vectorizer": {"none": {}}}}},
    )
    body = http.get(f"/schema/{name}").json()
    body["properties"].sort(key=lambda item: item["name"] == "a")
    change(body)
    answer = http.put(f"/schema/{name}", json=body)
    if refused:
        assert refused in message(answer)
    else:
        assert answer.status_code == 200
        assert [item["name"] for item in http.get(f"/schema/{name}").json()["properties"]] == ["a", "b"]


def test_the_client_changes_what_can_change(make_collection: MakeCollection) -> None:
    films = make_collection()
    films.config.update(
        description="new",
        vector_config=Reconfigure.Vectors.update(
            name="default",
            vector_index_config=Reconfigure.VectorIndex.hnsw(
                dynamic_ef_max=42, filter_strategy=VectorFilterStrategy.SWEEPING
            ),
        ),
    )
    config = films.config.get()
    assert (config.description, config.vector_config["default"].vector_index_config.dynamic_ef_max) == ("new", 42)
    films.config.add_vector(vector_config=Configure.Vectors.self_provided(name="second"))
    assert set(films.config.get().vector_config) == {"default", "second"}


def test_a_legacy_vector_may_be_joined_by_named_ones_but_not_by_one_named_default(
    http: httpx.Client, name: str
) -> None:
    http.post("/schema", json={"class": name})
    body = http.get(f"/schema/{name}").json()
    vector = {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}
    assert "named default cannot" in message(
        http.put(f"/schema/{name}", json={**body, "vectorConfig": {"default": vector}})
    )
    assert http.put(f"/schema/{name}", json={**body, "vectorConfig": {"two": vector}}).status_code == 200
    both = {**body, "vectorConfig": {"two": vector}, "vectorIndexType": "flat"}
    assert "vector index type is immutable" in message(http.put(f"/schema/{name}", json=both))


def test_what_is_not_there_cannot_be_updated(http: httpx.Client) -> None:
    assert http.put("/schema/Missing", json={"class": "Missing"}).status_code == 404


# Aliases


def test_an_alias_is_created_moved_and_deleted(http: httpx.Client, name: str, make_collection: MakeCollection) -> None:
    first, second = make_collection().name, make_collection().name
    made = http.post("/aliases", json={"alias": name[0].lower() + name[1:], "class": first})
    assert made.json() == {"alias": name, "class": first}
    assert http.get(f"/aliases/{name}").json() == {"alias": name, "class": first}
    assert http.get(f"/aliases?class={first}").json() == {"aliases": [{"alias": name, "class": first}]}
    assert http.put(f"/aliases/{name}", json={"class": second}).json() == {"alias": name, "class": second}
    assert http.get(f"/aliases?class={first}").json() == {"aliases": []}
    assert [http.delete(f"/aliases/{name}").status_code for _ in range(2)] == [204, 404]
    assert http.get(f"/aliases/{name}").status_code == 404
    assert http.put(f"/aliases/{name}", json={"class": first}).status_code == 404


def test_names_of_aliases_and_collections_exclude_each_other(
    http: httpx.Client, name: str, make_collection: MakeCollection
) -> None:
    first, second = make_collection().name, make_collection().name
    assert "already exists" in message(http.post("/aliases", json={"alias": first, "class": second}), 500)
    http.post("/aliases", json={"alias": name, "class": first})
    assert "already exists" in message(http.post("/aliases", json={"alias": name, "class": second}))
    assert f"alias name {name} already exists" in message(http.post("/schema", json={"class": name}))
    assert "not a valid alias name" in message(http.post("/aliases", json={"alias": "a b", "class": first}))
    assert "does not exist" in message(http.post("/aliases", json={"alias": f"{name}x", "class": "Missing"}))
    assert "does not exist" in message(http.put(f"/aliases/{name}", json={"class": "Missing"}))


def test_an_alias_is_followed_by_data_but_changes_nothing_of_the_collection(
    weaviate_client: WeaviateClient, http: httpx.Client, name: str, make_collection: MakeCollection
) -> None:
    films = make_collection(properties=[Property(name="a", data_type=DataType.INT)])
    weaviate_client.alias.create(alias_name=name, target_collection=films.name)
    alias = weaviate_client.collections.use(name)
    assert not alias.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[1.0, 2.0])]).errors
    assert alias.query.fetch_object_by_id(numbered(1)).collection == films.name
    assert (len(alias), len(films)) == (1, 1)
    assert weaviate_client.collections.exists(name)
    assert alias.config.get().name == films.name
    assert http.get(f"/nodes/{name}?output=verbose").json()["nodes"][0]["shards"][0]["class"] == films.name
    with pytest.raises(UnexpectedStatusCodeError, match="422"):
        alias.config.add_property(Property(name="b", data_type=DataType.INT))
    with pytest.raises(UnexpectedStatusCodeError, match="404"):
        alias.config.update(description="x")
    weaviate_client.collections.delete(name)
    assert weaviate_client.collections.exists(films.name)


def test_a_collection_goes_and_its_alias_dangles(
    weaviate_client: WeaviateClient, name: str, make_collection: MakeCollection
) -> None:
    films = make_collection()
    weaviate_client.alias.create(alias_name=name, target_collection=films.name)
    weaviate_client.collections.delete(films.name)
    alias = weaviate_client.collections.use(name)
    with pytest.raises(WeaviateQueryError, match=f"could not find class {films.name}"):
        alias.query.fetch_objects()
    with pytest.raises(Exception, match="which does not exist"):
        alias.data.insert_many([DataObject(properties={}, uuid=numbered(1), vector=[1.0])])
    assert not weaviate_client.collections.exists(name)
    dangling = weaviate_client.alias.get(alias_name=name)
    assert dangling is not None
    assert dangling.collection == films.name
