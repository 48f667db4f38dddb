"""Queries of the user's own, as a command: each side is asked with its own model, and what is relevant decides."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.doubles.openai import Double
from tests.end_to_end.conftest import Site, rows
from tests.end_to_end.reembed import NEW, OLD, SPEC, prepared, text_of
from tests.openai_server import openai_double as openai_double

GOLDEN = SPEC.replace("{sample: 5}, top_k: 3", "{file: golden.jsonl}, top_k: 5").replace("64,", "1024,")
ASKED = [12, 57, 101, 160]


def ask(site: Site, *queries: dict[str, Any]) -> None:
    lines = [json.dumps(query) + "\n" for query in queries]
    (site.directory / "golden.jsonl").write_text("".join(lines))


def labelled(numbers: Sequence[int] = ASKED) -> list[dict[str, Any]]:
    return [{"text": text_of(n), "relevant": [f"d{n}"]} for n in numbers]


@pytest.fixture
def asked(site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A model is retired, and four queries say what is relevant to them."""
    prepared(site, openai_double, monkeypatch, GOLDEN)
    ask(site, *labelled())
    return site


def test_texts_are_embedded_with_each_sides_own_model_and_both_sides_are_measured(
    asked: Site, openai_double: Double
) -> None:
    (report,) = asked.apply()["reports"]
    assert report["verdict"] == "passed"
    (check,) = report["labelled"]
    assert (check["queries"], check["top_k"], check["note"]) == (4, 5, "")
    for side in ("source", "target"):
        for measure in ("ndcg", "mrr", "recall"):
            assert check[side][measure]["mean"] == 1, "the query is the text of its record"
    (search,) = report["search"]
    assert search["reembedded"]
    assert search["overlap"]["mean"] > 0
    assert search["perfect"] is not None
    assert search["recall"]["mean"] == 1
    bought = openai_double.ledger.charged
    assert {bought[text_of(n)] for n in ASKED} == {2}, "once with the old model and once with the new one"
    before = bought.total()
    assert asked.run("verify").code == 0
    assert openai_double.ledger.charged.total() == before, "queries are kept, too"


def test_a_query_is_told_from_a_passage(asked: Site, openai_double: Double) -> None:
    asked.edit("max_items: 64}", 'max_items: 64, query_prefix: "query: ", passage_prefix: "passage: "}')
    asked.apply()
    bought = openai_double.ledger.charged
    assert bought[f"query: {text_of(12)}"] == 2
    assert bought[f"passage: Nr. 12\n\n{text_of(12)}"] == 1
    assert not any(text.startswith("Nr.") for text in bought)


def test_the_measures_of_both_sides_stand_in_every_form_of_the_report(asked: Site) -> None:
    applied = asked.run("apply", "--auto-approve", "--html", "report.html")
    assert applied.code == 0, applied.err
    said = " ".join(applied.out.split())
    assert "4 queries, top 5 · overlap " in said
    assert " identical · recall 1.000" in said
    one = "1.000 (1.000-1.000)"
    assert "relevance 4 queries with relevant ids, top 5" in said
    assert f"- source nDCG {one} · MRR {one} · recall {one} - target nDCG {one} · MRR {one} · recall {one}" in said
    markdown = asked.run("verify", "--format", "markdown").out
    assert f"| source | {one} | {one} | {one} |\n| target | {one} | {one} | {one} |\n" in markdown
    page = (asked.directory / "report.html").read_text()
    assert "4 queries with relevant ids, top 5" in page
    assert "nDCG of the source" in page
    assert "nDCG of the target" in page


def test_a_reembedding_that_finds_less_of_what_is_relevant_is_stopped_and_the_target_kept(asked: Site) -> None:
    # of the titles alone, `Nr. 12`, nothing is known of cats and rain: every vector is as it should be, and search is bad
    asked.edit('text: "{{ title }}\\n\\n{{ text }}"', 'text: "{{ title }}"')
    asked.edit("top_k: 5}}", "top_k: 5}, thresholds: {ndcg: 0.9, mrr: 0.9, labelled_recall: 0.9}}")
    failed = asked.run("apply", "--auto-approve", "--json")
    assert failed.code == 7
    (report,) = json.loads(failed.out)["reports"]
    assert report["records"]["matching"] == 200
    assert [each["measure"] for each in report["breaches"]] == ["ndcg", "mrr", "labelled_recall"]
    assert all("the source has 1.000" in each["hint"] for each in report["breaches"])
    assert report["labelled"][0]["source"]["ndcg"]["mean"] == 1 > report["labelled"][0]["target"]["ndcg"]["mean"]
    assert asked.sql("select count(*) from kb") == [(200,)]
    again = asked.run("verify")
    assert again.code == 7
    assert "! ndcg 0." in again.out
    assert ", at least 0.900 asked: the source has 1.000" in again.out
    assert "verification FAILED" in asked.run("status").out
    asked.edit("{ndcg: 0.9, mrr: 0.9, labelled_recall: 0.9}", "{ndcg: 0}")
    assert asked.run("verify").code == 0, "nothing else was wrong"


def test_of_a_model_that_is_gone_nothing_is_known_and_the_new_one_decides(asked: Site, openai_double: Double) -> None:
    del openai_double.models[OLD]
    asked.edit("top_k: 5}}", "top_k: 5}, thresholds: {ndcg: 0.9}}")
    (report,) = asked.apply()["reports"]
    (check,) = report["labelled"]
    assert check["source"] is None
    assert "the source is not measured: the model of the source did not embed the queries" in check["note"]
    assert check["target"]["ndcg"]["mean"] == 1
    assert report["search"][0]["overlap"] is None


def test_without_the_new_model_nothing_is_decided(asked: Site, openai_double: Double) -> None:
    asked.edit("top_k: 5}}", "top_k: 5}, thresholds: {ndcg: 0.9}}")
    asked.apply()
    ask(asked, *labelled([33]))
    del openai_double.models[NEW]
    undecided = asked.run("verify", "--json")
    assert undecided.code == 7
    (report,) = json.loads(undecided.out)["reports"]
    assert report["verdict"] == "unknown"
    assert [(each["measure"], each["actual"]) for each in report["breaches"]] == [("recall", None), ("ndcg", None)]


def test_queries_are_paid_for_within_the_budget(asked: Site, openai_double: Double) -> None:
    asked.apply()
    ask(asked, *labelled([33]))
    asked.edit("max_items: 64}", "max_items: 64, usd_per_million_tokens: {text-embedding-3-small: 1000000}}")
    asked.edit("execution:", "limits: {max_usd: 0.5}\nexecution:")
    before = openai_double.ledger.charged.total()
    stopped = asked.run("verify")
    assert stopped.code == 6, stopped.err
    assert "limits.max_usd" in stopped.err
    assert openai_double.ledger.charged.total() == before


def test_what_queries_cost_is_in_what_the_apply_says_it_spent(asked: Site, openai_double: Double) -> None:
    asked.edit('{{ text }}"', '{{ text }}", trust_labels: true')  # no probe, whose tokens are told by the plan
    openai_double.ledger.tokens = 0
    assert asked.apply()["tokens"] == openai_double.ledger.tokens > 0


def test_ids_that_are_not_relevant_to_anything_there_stop_the_plan(asked: Site) -> None:
    ask(asked, *labelled(), {"text": "cats", "relevant": ["d1", "d9999"]})
    refused = asked.run("plan")
    assert refused.code == 3
    assert "golden.jsonl:5:1: `relevant` names 'd9999', which the source does not hold" in refused.err


def test_texts_that_nothing_embeds_stop_the_plan(site: Site) -> None:
    site.store(rows(range(20)))
    site.edit("{sample: 5}", "{file: golden.jsonl}")
    ask(site, {"text": "cats", "namespace": "de"})
    refused = site.run("plan")
    assert refused.code == 3
    assert "golden.jsonl:1:1: queries are texts, and nothing says which model made the vectors" in refused.err


def test_copied_vectors_are_asked_with_texts_by_the_model_that_made_them(asked: Site, openai_double: Double) -> None:
    asked.edit("embedding: {model: openai/text-embedding-3-small, dimensions: 1024, text:", "embedding: {text:")
    openai_double.ledger.charged.clear()
    (report,) = asked.apply()["reports"]
    assert report["search"][0]["overlap"]["mean"] == 1
    assert report["labelled"][0]["target"] == report["labelled"][0]["source"]
    assert report["labelled"][0]["target"]["mrr"]["mean"] == 1
    assert openai_double.ledger.charged == {text_of(n): 1 for n in ASKED}


def test_shortened_vectors_are_asked_with_shortened_queries(
    site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = GOLDEN.replace(f"openai/{OLD}", f"openai/{NEW}").replace(
        "top_k: 5}}", "top_k: 5}, thresholds: {overlap: 0.5}}"
    )
    prepared(site, openai_double, monkeypatch, spec, model=NEW)
    ask(site, *labelled())
    assert "cut to 1,024 dimensions" in " ".join(site.run("plan").out.split())
    openai_double.ledger.charged.clear()
    (report,) = site.apply()["reports"]
    assert report["labelled"][0]["source"]["mrr"]["mean"] == report["labelled"][0]["target"]["mrr"]["mean"] == 1
    assert {openai_double.ledger.charged[text_of(n)] for n in ASKED} == {1}, "the whole vector serves both sides"


def test_vectors_with_filters_and_relevant_ids_are_asked_on_both_sides(site: Site) -> None:
    records = rows(range(60))
    site.store(records)
    site.edit("{sample: 5}", "{file: golden.jsonl}")
    near = records[6]["vector:"]
    ask(
        site,
        {"vector": near, "namespace": "", "relevant": {"r6": 3, "r9": 0}},
        {"vector": near, "namespace": "", "filter": {"n": {"gte": 30}, "version": 0}, "relevant": ["r6"]},
        {"vector": records[7]["vector:"], "namespace": "de"},
    )
    (report,) = site.apply()["reports"]
    assert report["verdict"] == "passed"
    assert [(each["namespace"], each["queries"], each["perfect"]) for each in report["search"]] == [
        ("", 2, 2),
        ("de", 1, 1),
    ]
    (check,) = report["labelled"]
    assert check["source"] == check["target"]
    assert check["target"]["reciprocal_ranks"] == [1, 0], "the filter leaves r6 out"
    assert check["target"]["recalls"] == [1, 0]
