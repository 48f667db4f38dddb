"""What the plan says of a collection in Weaviate is what an apply then does."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.command import Ran
from tests.connectors.weaviate.places import make, options, remove
from tests.doubles.weaviate import Double
from tests.end_to_end.conftest import PLAIN, batch_of, rows
from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.collection import Collection


@dataclass(frozen=True, slots=True)
class Kb:
    """A migration of thirty records into a collection, which is still to be made, and `vecmig` run as a command."""

    server: WeaviateServer
    name: str
    run: Callable[..., Ran]
    is_shared: bool

    def spec(self, target: str = "", more: str = "", migration: str = "") -> None:
        grpc = f"grpc://{self.server.grpc_host}:{self.server.grpc_port}"
        place = f'type: weaviate, url: "{self.server.url}", grpc_url: "{grpc}", collection: {self.name}'
        Path("vecmig.yaml").write_text(f"""\
version: 1
name: kb
sources: {{s: {{type: snapshot, path: source}}}}
targets: {{t: {{{place}{target}}}}}
verification: {{search: {{queries: {{sample: 5}}, top_k: 3}}}}
migrations: [{{name: m, source: s, target: t{migration}}}]
{more}
""")

    def plan(self) -> dict[str, Any]:
        planned = self.run("plan", "--json")
        assert planned.code == 0, planned.err
        (found,) = json.loads(planned.out)["migrations"]
        return dict(found)

    def apply(self) -> None:
        applied = self.run("apply", "--auto-approve")
        assert applied.code == 0, applied.err + applied.out

    def schema(self) -> dict[str, Any]:
        with connected(self.server) as client:
            return dict(client.collections.export_config(self.name).to_dict())


def stored(records: list[dict[str, Any]]) -> None:
    there = SnapshotOptions(str(Path("source").absolute()))
    with closing(there.open()) as snapshot:
        snapshot.create(Collection(there.collection, PLAIN, mark="vecmig:test"))
        assert not snapshot.upsert(there.collection, batch_of(records, PLAIN))


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vecmig: Callable[..., Ran]) -> Iterator[Callable[..., Kb]]:
    """Makes a migration into a collection of this server, which is removed again."""
    monkeypatch.chdir(tmp_path)
    made: list[Kb] = []

    def at(server: WeaviateServer, namespaces: bool = False, is_shared: bool = True) -> Kb:
        stored([each if namespaces else {**each, "namespace": ""} for each in rows(range(30))])
        made.append(Kb(server, f"Plan_{uuid4().hex[:12]}", vecmig, is_shared))
        made[-1].spec()
        return made[-1]

    yield at
    for kb in made:
        if kb.is_shared:
            for name in (kb.name, f"{kb.name}__v1", f"{kb.name}__v2"):
                remove(kb.server, name)


At = Callable[..., Kb]


def details(plan: dict[str, Any]) -> dict[str, str]:
    return dict(plan["details"])


def test_what_may_change_is_changed_in_place_by_an_action_of_its_own(at: At, weaviate_server: WeaviateServer) -> None:
    kb = at(weaviate_server, namespaces=True)
    kb.spec(more="index: {type: hnsw, m: 8, ef_search: 50}")
    kb.apply()
    kb.spec(more="index: {type: hnsw, m: 8, ef_search: 90}")
    plan = kb.plan()
    assert [each["type"] for each in plan["actions"]] == ["BuildIndex"]
    assert plan["changes"] == ["ef_search 50 -> 90"]
    kb.spec(", inverted_index: {bm25_b: 0.9}", more="index: {type: hnsw, m: 8, ef_search: 90}")
    plan = kb.plan()
    assert [each["type"] for each in plan["actions"]][-1] == "BuildIndex"
    assert plan["changes"] == ["ef_search 50 -> 90", "bm25_b 0.75 -> 0.9"]
    assert plan["beside"] == ""
    kb.apply()
    schema = kb.schema()
    assert schema["vectorConfig"]["default"]["vectorIndexConfig"]["ef"] == 90
    assert schema["invertedIndexConfig"]["bm25"]["b"] == 0.9
    assert kb.run("plan").out.startswith("No changes.")


def test_what_differs_is_planned_for_also_where_the_index_changes_and_the_fingerprints_do_not(
    at: At, weaviate_server: WeaviateServer
) -> None:
    kb = at(weaviate_server)
    kb.spec(more="index: {type: hnsw, m: 8, ef_search: 50}")
    kb.apply()
    with connected(weaviate_server) as client:
        records = client.collections.use(kb.name)
        one = records.query.fetch_objects(limit=1).objects[0]
        records.data.update(uuid=one.uuid, properties={"n": 99})
    kb.spec(more="index: {type: hnsw, m: 8, ef_search: 90}")
    assert [each["type"] for each in kb.plan()["actions"]] == ["BuildIndex"], "nothing else shows"
    planned = kb.run("plan", "--data", "--json")
    (found,) = json.loads(planned.out)["migrations"]
    assert found["data"]["mismatched"] == 1
    assert [each["type"] for each in found["actions"]] == ["ReconcileRecords", "BuildIndex"]


def test_what_may_not_is_built_beside_and_the_plan_says_why(at: At, weaviate_server: WeaviateServer) -> None:
    kb = at(weaviate_server)
    kb.spec(more="index: {type: hnsw, m: 8, ef_construction: 40}")
    kb.apply()
    before = kb.schema()
    kb.spec(", shards: 2", more="index: {type: hnsw, m: 12, ef_construction: 40}")
    plan = kb.plan()
    assert [each["type"] for each in plan["actions"]] == ["CreateCollection", "LoadRecords", "BuildIndex"]
    assert plan["beside"] == f"weaviate {kb.name}"
    assert plan["why"].startswith("index m 8 -> 12, shards 1 -> 2: built beside")
    kb.apply()
    assert kb.schema() == before, "what serves is untouched"
    assert kb.run("cutover").code == 0
    serving = kb.schema()
    assert serving["vectorConfig"]["default"]["vectorIndexConfig"]["maxConnections"] == 12
    assert serving["shardingConfig"]["desiredCount"] == 2
    assert kb.run("plan").out.startswith("No changes.")


def test_an_older_server_has_no_alias_and_the_plan_says_what_that_costs(at: At, weaviate_double: Double) -> None:
    weaviate_double.store.version = "1.31.0"
    kb = at(WeaviateServer.of(weaviate_double), is_shared=False)
    costs = "its own for good, as weaviate can give it to no other collection here"
    assert details(kb.plan())["name"].startswith(costs)
    assert costs in " ".join(kb.run("plan").out.split())
    kb.apply()
    assert list(weaviate_double.store.collections) == [kb.name]
    assert not weaviate_double.store.aliases
    kb.spec(more="index: {type: hnsw, m: 12}")
    assert details(kb.plan())["name"].startswith(costs)
    kb.apply()
    cut = kb.run("cutover")
    assert cut.code == 0
    assert f"let the application read weaviate {kb.name}__v2 instead of weaviate {kb.name}" in " ".join(cut.out.split())


def test_a_newer_one_has_and_there_is_nothing_to_say(at: At, weaviate_server: WeaviateServer) -> None:
    kb = at(weaviate_server)
    assert "name" not in details(kb.plan())
    kb.apply()
    assert kb.schema()["class"].startswith(f"{kb.name}_")


def test_an_adopted_collection_keeps_its_name_and_the_plan_says_what_that_costs(
    at: At, weaviate_server: WeaviateServer
) -> None:
    kb = at(weaviate_server)
    properties = [
        {"name": "n", "dataType": ["int"]},
        {"name": "version", "dataType": ["int"]},
        {"name": "title", "dataType": ["text"]},
        {"name": "tags", "dataType": ["text[]"]},
        {"name": "vecmig_id", "dataType": ["text"], "tokenization": "field"},
    ]
    vectors = {"default": {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw"}}
    make(weaviate_server, {"class": kb.name, "properties": properties, "vectorConfig": vectors})
    refused = kb.run("plan")
    assert refused.code == 5, refused.err
    assert "was not made by vecmig" in refused.err
    kb.spec(", adopt: true")
    assert details(kb.plan())["name"].startswith(
        "adopted, so it keeps its name: a change that needs a rebuild is refused"
    )
    kb.apply()
    schema = kb.schema()
    assert schema["class"] == kb.name
    assert not schema.get("description")
    with closing(options(weaviate_server, kb.name).open()) as connector:
        assert connector.count(kb.name) == {"": 30}
    kb.spec(", adopt: true", more="index: {type: hnsw, m: 12}")
    refused = kb.run("plan")
    assert refused.code == 3, refused.err
    assert "index m 32 -> 12" in refused.err
    assert "name another target" in refused.err


def test_the_plan_says_what_has_another_form(at: At, weaviate_server: WeaviateServer) -> None:
    kb = at(weaviate_server)
    odd = {"Title": "a", "big": 2**53 + 1, "mixed": [1, "x"], "none": None, "o": {"a": 1}, "at": "2026-01-01T00:00:00"}
    stored(
        [{**each, "namespace": ("", "acme corp")[n % 2], "metadata": odd} for n, each in enumerate(rows(range(30, 40)))]
    )
    kb.spec(migration=", fields: {at: {type: datetime, filter: true}}")
    plan = kb.plan()
    said = "\n".join(plan["risks"])
    for each in (
        "sampled ids are no UUIDs as Weaviate writes them",
        "namespace '' is the tenant `vecmig_`, namespace 'acme corp' is the tenant `vecmig-acme_20corp`",
        "`Title` is the property `title_2`",
        "an integer over 2**53, which Weaviate would round, (`big`) stands as JSON",
        "null, which Weaviate drops, (`none`) stands as JSON",
        "what is of several types in several records (`mixed`, `o`) stands as JSON",
    ):
        assert each in said
    (at_,) = (each for each in plan["fidelity"] if each["field"] == "at")
    assert (at_["target"], at_["note"]) == ("datetime", "10 sampled values are written in another form")
    kb.apply()
    by_name = {each["name"]: each for each in kb.schema()["properties"]}
    assert {name: each["dataType"] for name, each in by_name.items()} == {
        "n": ["int"],
        "version": ["int"],
        "title": ["text"],
        "tags": ["text[]"],
        "title_2": ["text"],
        "big": ["int"],
        "at": ["date"],
        "vecmig_id": ["text"],
        "vecmig_json": ["text"],
    }


def test_a_field_is_searched_or_filtered_by_and_the_words_of_it_are_found(
    at: At, weaviate_server: WeaviateServer
) -> None:
    kb = at(weaviate_server)
    kb.spec(migration=", fields: {title: {type: text, search: true, filter: true}}")
    refused = kb.run("plan")
    assert refused.code == 3
    assert "cuts a text into words to search it, and keeps it whole to filter by it" in refused.err
    kb.spec(migration=", fields: {title: {type: text, search: true}, version: {type: int, filter: true}}")
    kb.apply()
    with connected(weaviate_server) as client:
        found = client.collections.use(kb.name).query.bm25("7", query_properties=["title"]).objects
    assert [each.properties["title"] for each in found] == ["Nr. 7 ü"]


def test_times_of_one_collection_are_times_in_the_next_one(at: At, weaviate_server: WeaviateServer) -> None:
    kb = at(weaviate_server)
    stored([{**each, "namespace": "", "metadata": {"at": "2026-01-01T00:00:00Z"}} for each in rows(range(30))])
    kb.spec(migration=", fields: {at: {type: datetime, filter: true}}")
    kb.apply()
    again = Kb(weaviate_server, f"{kb.name}__v1", kb.run, is_shared=True)
    text = Path("vecmig.yaml").read_text()
    place = text.partition("targets: {t: ")[2].partition("}}")[0] + "}"
    again.spec()
    text = Path("vecmig.yaml").read_text().replace("{type: snapshot, path: source}", place)
    Path("vecmig.yaml").write_text(text.replace("name: kb", "name: kb2"))
    assert "at datetime" in details(again.plan())["fields"]
    again.apply()
    assert {each["name"]: each["dataType"] for each in again.schema()["properties"]}["at"] == ["date"]
