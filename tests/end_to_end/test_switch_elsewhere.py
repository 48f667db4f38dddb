"""The switch in Weaviate, behind an alias; and in Pinecone, which has no names to switch."""

import threading
from contextlib import closing
from uuid import uuid4

import pytest

from tests.doubles.openai import Double as OpenAI
from tests.doubles.pinecone import Double as Pinecone
from tests.doubles.weaviate import Double as Weaviate
from tests.end_to_end.conftest import Site
from tests.end_to_end.pinecone import options as pinecone_index
from tests.end_to_end.reembed import SPEC, prepared
from tests.openai_server import openai_double as openai_double
from tests.weaviate_server import WeaviateServer, connected
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.errors import ConnectorError
from vecmig.model.record import Key

TARGET = '{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}'
RETIRED = 'embedding: {model: openai/text-embedding-3-small, dimensions: 64, text: "{{ title }}\\n\\n{{ text }}"}'


def fails(*_: object) -> None:
    raise ConnectorError("the search finds nothing")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_in_weaviate_an_alias_is_switched_there_and_back_and_no_search_fails(
    site: Site, openai_double: OpenAI, weaviate_server: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"Kb{uuid4().hex[:8]}"
    grpc = f"grpc://{weaviate_server.grpc_host}:{weaviate_server.grpc_port}"
    there = f'{{type: weaviate, url: "{weaviate_server.url}", grpc_url: "{grpc}", collection: {name}}}'
    prepared(site, openai_double, monkeypatch, SPEC.replace(TARGET, there).replace(RETIRED, ""), count=60)
    try:
        site.apply()
        site.edit("verification:", RETIRED + "\nverification:")
        site.apply()
        with pytest.MonkeyPatch.context() as meanwhile:  # interrupted while both names are the build's
            meanwhile.setattr("vecmig.connectors.weaviate.schema.aliases.remove", interrupted)
            assert site.run("cutover").code == 8
        refused = site.run("apply", "--auto-approve")
        assert refused.code == 6
        assert "a cutover was broken off" in refused.err
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(WeaviateConnector, "search", fails)
            assert "what served before serves again: the search finds nothing" in site.run("cutover").err
        with closing(WeaviateOptions(name, url=weaviate_server.url, grpc_url=grpc).open()) as store:
            old, new = store.describe(name), store.describe(f"{name}__v2")
        assert old
        assert new
        assert [each.vectors[0].dimensions for each in (old, new)] == [1536, 64]
        assert [site.run(command).code for command in ("cutover", "verify", "rollback")] == [0, 0, 0]
        with connected(weaviate_server) as client:
            config = client.collections.use(name).config.get()
            assert config.name.startswith(f"{name}_"), "what serves is an alias"
            stop, failed, found = threading.Event(), [], []

            (one,) = client.collections.use(name).query.fetch_objects(limit=1).objects

            def search() -> None:
                serving = client.collections.use(name)
                while not stop.is_set():
                    try:  # by the vector that the record has in what serves, for the models' dimensions differ
                        found.append(len(serving.query.near_object(one.uuid, limit=3).objects))
                    except Exception as error:  # whatever it is, a reader must not see it
                        failed.append(error)

            reader = threading.Thread(target=search)
            reader.start()
            for command in ("cutover", "rollback", "cutover"):
                ran = site.run(command)
                assert ran.code == 0, ran.err
                assert "! no write" in ran.out, "what the store does not show is not claimed"
            stop.set()
            reader.join()
        assert not failed
        assert found
        assert set(found) == {3}
        site.settled()
        with closing(WeaviateOptions(name, url=weaviate_server.url, grpc_url=grpc).open()) as store:
            serving, before = store.describe(name), store.describe(f"{name}__v1")
        assert serving
        assert before
        assert [each.vectors[0].dimensions for each in (serving, before)] == [64, 1536]
        assert site.run("drop", f"{name}__v1", "--allow-destroy").code == 0
        site.settled()
    finally:
        with closing(WeaviateOptions(name, url=weaviate_server.url, grpc_url=grpc).open()) as store:
            for each in (name, f"{name}__v1", f"{name}__v2"):
                store.drop(each)


def test_a_collection_of_weaviate_that_has_the_name_itself_is_told_by_the_plan_and_nothing_is_switched(
    site: Site, openai_double: OpenAI, weaviate_double: Weaviate, monkeypatch: pytest.MonkeyPatch
) -> None:
    weaviate_double.store.version = "1.31.0"  # which knows no aliases
    there = f'{{type: weaviate, url: "{weaviate_double.url}", grpc_url: "grpc://127.0.0.1:{weaviate_double.grpc_port}", collection: Kb}}'
    prepared(site, openai_double, monkeypatch, SPEC.replace(TARGET, there).replace(RETIRED, ""), count=20)
    site.apply()
    weaviate_double.store.version = "1.38.11"
    site.edit("verification:", RETIRED + "\nverification:")
    told = "'Kb' has this name itself, and only an alias can be given to another"
    plan = site.run("plan")
    assert told in " ".join(plan.out.split()), plan.out + plan.err
    assert "let the application read 'Kb__v2' instead of 'Kb'" in " ".join(plan.out.split())
    site.apply()
    refused = site.run("cutover")
    assert refused.code == 3
    assert told in refused.err
    site.settled()


def test_in_pinecone_the_switch_is_kept_in_the_state_and_the_application_is_told(
    site: Site, openai_double: OpenAI, double: Pinecone, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = pinecone_index(double, "kb")
    there = f'{{type: pinecone, api_key: "{{{{ env.PINECONE_API_KEY }}}}", host: "{options.host}", index: kb}}'
    prepared(site, openai_double, monkeypatch, SPEC.replace(TARGET, there).replace(RETIRED, ""), count=40)
    site.apply()
    site.edit("verification:", RETIRED + "\nverification:")
    plan = " ".join(site.run("plan").out.split())
    assert "! cutover: Pinecone has no name that could be given to another index: let the application read" in plan
    site.apply()
    assert {*double.store.indexes} >= {"kb", "kb-v2"}
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(PineconeConnector, "search", fails)
        assert site.run("cutover").code == 1
    assert site.run("drop").out == "Nothing is superseded.\n", "nothing was switched"
    with closing(options.beside(2).open()) as build:
        build.delete("kb-v2", [Key("", "d1")])
    refused = site.run("cutover")
    assert refused.code == 6
    assert "it was written after it was verified" in refused.err
    assert site.apply()["written"] == 1
    cut = site.run("cutover")
    assert cut.code == 0, cut.err
    assert "let the application read pinecone kb-v2 instead of pinecone kb" in cut.out
    site.settled()
    assert site.run("verify").code == 0
    back = site.run("rollback")
    assert "let the application read pinecone kb instead of pinecone kb-v2" in back.out
    assert site.run("plan").out.startswith("No changes.")
    assert site.run("cutover").code == 0
    assert site.run("drop").out.startswith("Superseded: kb\n")
    assert site.run("drop", "kb", "--allow-destroy").code == 0
    assert "kb" not in double.store.indexes
    site.settled()
