"""Documents become a table, as a command: chunked, embedded, loaded; and again after some were edited."""

import json
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.connectors.documents.data import written
from tests.connectors.documents.test_kinds import made_pdf
from tests.doubles.openai import Double, Fault
from tests.doubles.openai.api import Model
from tests.end_to_end.conftest import Site
from tests.openai_server import openai_double as openai_double

SPEC = """\
version: 1
name: kb
providers:
  openai: {type: openai, base_url: "{{ vars.openai }}", api_keys: ["{{ env.OPENAI_API_KEY }}"], max_items: 8}
sources:
  docs: {type: documents, path: docs, chunk: {size: 60}}
targets:
  t: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}
embedding: {model: openai/text-embedding-3-small, dimensions: 64, text: "{{ text }}"}
verification: {search: {queries: {sample: 5}, top_k: 3}}
migrations:
  - {name: m, source: docs, target: t}
execution: {workers: 2}
"""


def section(number: int, words: str = "one section among several") -> str:
    """Return a part of Markdown that is a chunk of its own."""
    return f"## Part {number}\n\nHere is {words}, number {number}.\n"


def document(name: str, parts: int = 4) -> str:
    return f"# Document {name}\n\nIts parts stand below.\n\n" + "\n".join(
        section(n, f"a part of {name}") for n in range(parts)
    )


@pytest.fixture
def docs(site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A directory `docs` beside the spec, with three documents of five chunks each."""
    monkeypatch.setenv("VECMIG_VAR_openai", openai_double.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    site.spec(SPEC)
    written(site.directory / "docs", {f"{name}.md": document(name) for name in "abc"})
    return site


def stored(site: Site) -> dict[str, dict[str, Any]]:
    """Return the metadata of each record in the table, with its namespace, by id."""
    rows = site.sql("select id, namespace, metadata from kb")
    return {id: {"namespace": namespace, **metadata} for id, namespace, metadata in rows}


def bought(double: Double) -> list[str]:
    """Return the texts that were paid for since the last look."""
    texts = sorted(double.ledger.charged.elements())
    double.ledger.charged.clear()
    return texts


def test_documents_are_chunked_embedded_and_loaded_by_one_spec(docs: Site, openai_double: Double) -> None:
    plan = docs.run("plan")
    assert plan.code == 0, plan.err
    said = " ".join(plan.out.split())
    assert "Plan: 1 to create, 15 records to embed, 0 to destroy" in said
    assert (
        "text-embedding-3-small (64) EMBED: the source has no vectors tried with 15 texts, 219 tokens, USD 0.000004; what it made is kept"
        in said
    )
    assert "tried with 15 texts, nothing paid" in docs.run("plan").out
    (report,) = docs.apply()["reports"]
    assert report["verdict"] == "passed"
    assert report["records"]["matching"] == 15
    assert report["search"][0]["recall"]["mean"] == 1
    found = stored(docs)
    assert found["a.md#2"] == {
        "namespace": "",
        "source": "a.md",
        "title": "Document a",
        "heading": "Document a > Part 1",
        "chunk": 2,
        "start": document("a").index("## Part 1"),
        "end": document("a").index("\n\n## Part 2"),
        "text": section(1, "a part of a").strip(),
    }
    assert bought(openai_double) == sorted(each["text"] for each in found.values()), "each chunk once"
    docs.settled()
    assert docs.run("verify").code == 0
    assert not bought(openai_double)


def test_a_model_that_nobody_knows_tells_its_dimensions_and_no_text_is_paid_for_twice(
    docs: Site, openai_double: Double
) -> None:
    openai_double.models["own-model"] = Model(48, shortens=False, ignores_dimensions=True)
    docs.edit("openai/text-embedding-3-small, dimensions: 64", "openai/own-model")
    openai_double.faults.add(Fault.status(500, retry_after_s=0.01), times=1)  # passes, and stops no plan
    assert "48 dimensions" in docs.run("plan").out
    (report,) = docs.apply()["reports"]
    assert report["records"]["matching"] == 15
    assert not openai_double.ledger.twice
    assert bought(openai_double) == sorted(["dimensions", *(each["text"] for each in stored(docs).values())])


def test_after_one_file_changed_its_changed_chunks_are_embedded_and_no_others(
    docs: Site, openai_double: Double
) -> None:
    docs.apply()
    before = stored(docs)
    bought(openai_double)
    text = document("b").replace("a part of b, number 2", "another part of b, number 2")
    written(docs.directory / "docs", {"b.md": text})
    outcome = docs.apply()
    assert bought(openai_double) == [section(2, "another part of b").strip()]
    after = stored(docs)
    assert {id for id in after if not id.startswith("b.md")} == {id for id in before if not id.startswith("b.md")}
    assert all(after[id] == before[id] for id in before if not id.startswith("b.md"))
    # those behind it begin elsewhere now: their records are written, their texts are not embedded
    assert {id for id in before if after[id] != before[id]} == {"b.md#3", "b.md#4"}
    assert after["b.md#4"]["start"] == before["b.md#4"]["start"] + len("nother")
    assert outcome["written"] == 2
    docs.settled()


def test_a_part_that_is_put_in_moves_the_others_without_embedding_them_again(docs: Site, openai_double: Double) -> None:
    docs.apply()
    bought(openai_double)
    text = document("b").replace("## Part 0", section(9, "all new") + "\n## Part 0")
    written(docs.directory / "docs", {"b.md": text})
    docs.apply()
    assert bought(openai_double) == [section(9, "all new").strip()]
    found = stored(docs)
    assert [found[f"b.md#{n}"]["heading"] for n in range(6)] == [
        "Document b",
        *(f"Document b > Part {n}" for n in (9, 0, 1, 2, 3)),
    ]
    docs.settled()


def test_another_document_changes_no_id_and_no_record_of_the_rest(docs: Site, openai_double: Double) -> None:
    docs.apply()
    before = stored(docs)
    bought(openai_double)
    written(docs.directory / "docs", {"0.md": document("zero", 1), "bb/c.md": document("other", 0)})
    outcome = docs.apply()
    after = stored(docs)
    assert after.keys() - before.keys() == {"0.md#0", "0.md#1", "bb/c.md#0"}
    assert {id: after[id] for id in before} == before
    assert outcome["written"] == 3
    assert len(bought(openai_double)) == 3


def test_chunks_that_are_gone_stay_and_fail_the_verification_until_prune_removes_them(
    docs: Site, openai_double: Double
) -> None:
    docs.apply()
    bought(openai_double)
    written(docs.directory / "docs", {"b.md": document("b", 2)})
    (docs.directory / "docs" / "c.md").unlink()
    kept = docs.run("apply", "--auto-approve")
    assert kept.code == 7
    assert "! extra 7, at most 0 asked: only the target has them: `prune: true` in the migration deletes them" in (
        " ".join(kept.out.split())
    )
    assert len(stored(docs)) == 15, "nothing is deleted unasked"
    docs.edit("target: t}", "target: t, prune: true}")
    plan = docs.run("plan", "--data")
    assert "7 to delete" in plan.out
    outcome = docs.apply()
    assert (outcome["deleted"], outcome["written"]) == (7, 0)
    assert stored(docs).keys() == {*(f"a.md#{n}" for n in range(5)), *(f"b.md#{n}" for n in range(3))}
    assert not bought(openai_double), "what stays is what it was"
    docs.settled()


def test_every_kind_of_file_in_one_directory_becomes_records(docs: Site) -> None:
    folder = written(
        docs.directory / "mixed",
        {
            "guide/a.md": "---\nauthor: Ada\n---\n# Guide\n\nSome words.",
            "b.txt": "Plain words.",
            "c.html": "<title>Page</title><h1>Top</h1><p>Shown words.</p><script>hidden()</script>",
            "d.pdf": made_pdf(["Words of the first page.", "Words of the second page."], "A report"),
            "e.jsonl": '{"id": 7, "text": "A row.", "tenant": "acme", "tags": ["x"], "price": 1.5}\n',
            "f.csv": "id,text,tenant,note\n8,Another row.,beta,n\n",
        },
    )
    rows = {"id": ["9"], "text": ["A third row."], "tenant": [None], "when": pa.array([0], pa.timestamp("us", "UTC"))}
    pq.write_table(pa.table(rows), folder / "g.parquet")
    docs.edit("path: docs, chunk: {size: 60}", "path: mixed, chunk: {size: 26}, columns: {namespace: tenant}")
    (report,) = docs.apply()["reports"]
    assert report["verdict"] == "passed"
    found = stored(docs)
    assert {id: (each["source"], each["text"]) for id, each in found.items()} == {
        "guide/a.md#0": ("guide/a.md", "# Guide\n\nSome words."),
        "b.txt#0": ("b.txt", "Plain words."),
        "c.html#0": ("c.html", "# Top\n\nShown words."),
        "d.pdf#0": ("d.pdf", "Words of the first page."),
        "d.pdf#1": ("d.pdf", "Words of the second page."),
        "7#0": ("e.jsonl", "A row."),
        "8#0": ("f.csv", "Another row."),
        "9#0": ("g.parquet", "A third row."),
    }
    assert (found["guide/a.md#0"]["author"], found["guide/a.md#0"]["heading"]) == ("Ada", "Guide")
    assert (found["d.pdf#1"]["page"], found["d.pdf#1"]["title"]) == (2, "A report")
    assert (found["7#0"]["namespace"], found["7#0"]["tags"], found["7#0"]["price"]) == ("acme", ["x"], 1.5)
    assert (found["8#0"]["namespace"], found["8#0"]["note"]) == ("beta", "n")
    assert (found["9#0"]["namespace"], found["9#0"]["when"]) == ("", "1970-01-01T00:00:00+00:00")
    docs.settled()


def test_rows_of_a_query_are_documents_and_only_the_row_that_changed_is_embedded(
    docs: Site, openai_double: Double
) -> None:
    docs.sql("create table articles (id int primary key, tenant text, title text, body text, at timestamptz)")
    docs.sql(
        "insert into articles select n, 'tenant ' || n % 2, 'Title ' || n, 'The words of article ' || n,"
        " '2026-01-02 03:04:05+00' from generate_series(1, 6) as n"
    )
    docs.edit(
        "path: docs, chunk: {size: 60}",
        'query: "SELECT id, tenant, title, body AS text, at FROM articles", dsn: "{{ env.DATABASE_URL }}",'
        " columns: {namespace: tenant}, chunk: {size: 200}",
    )
    docs.edit('text: "{{ text }}"', 'text: "{{ title }}: {{ text }}"')
    (report,) = docs.apply()["reports"]
    assert report["verdict"] == "passed"
    found = stored(docs)
    assert found.keys() == {f"{n}#0" for n in range(1, 7)}
    assert (found["3#0"]["namespace"], found["3#0"]["title"], found["3#0"]["chunk"]) == ("tenant 1", "Title 3", 0)
    bought(openai_double)
    docs.sql("update articles set body = 'Other words.' where id = 3")
    docs.apply()
    assert bought(openai_double) == ["Title 3: Other words."]
    docs.settled()


def test_a_file_that_cannot_be_read_stops_the_run_or_is_put_aside_and_comes_back(docs: Site) -> None:
    written(docs.directory / "docs", {"d.pdf": b"no pdf", "e.txt": b"\xff\xfe"})
    failed = docs.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "'d.pdf' cannot be moved: it is no PDF, or a damaged one" in failed.err
    docs.edit("target: t}", "target: t, on_bad_record: quarantine}")
    assert docs.apply()["quarantined"] == 2
    assert len(stored(docs)) == 15
    docs.settled()
    written(docs.directory / "docs", {"d.pdf": made_pdf(["Now it can be read."])})
    outcome = docs.apply()
    assert (outcome["written"], outcome["quarantined"]) == (1, 1)
    assert stored(docs)["d.pdf#0"]["page"] == 1


def test_chunks_that_are_longer_than_the_model_takes_are_told_by_the_plan(docs: Site) -> None:
    docs.edit("max_items: 8}", "max_items: 8, max_text_tokens: 20}")
    docs.edit("chunk: {size: 60}", "chunk: {size: 400}")
    for what, told in (
        ("truncate", "and are cut there, so that what stands behind is not found"),
        ("split_and_average", "and are embedded in pieces, whose mean is a vector of no passage of theirs"),
        ("quarantine", "and stop apply at the first (`too_long: quarantine`)"),
    ):
        docs.edit('text: "{{ text }}"', f'too_long: {what}, text: "{{{{ text }}}}"')
        plan = docs.run("plan")
        assert plan.code == 0, plan.err
        said = " ".join(plan.out.split())
        assert f"! 3 of 3 sampled texts are over the limit of openai (20 tokens), {told}" in said
        docs.edit(f"too_long: {what}, ", "")
    docs.edit("chunk: {size: 400}", "chunk: {size: 60}")
    assert "over the limit" not in docs.run("plan").out


def test_golden_queries_show_what_a_search_of_the_documents_finds(docs: Site, openai_double: Double) -> None:
    queries = [
        {"text": "a part of b, number 3", "relevant": ["b.md#4"]},
        {"text": "Document", "filter": {"source": "c.md"}, "relevant": ["c.md#0"]},
    ]
    (docs.directory / "golden.jsonl").write_text("".join(json.dumps(each) + "\n" for each in queries))
    docs.edit("{sample: 5}, top_k: 3}", "{file: golden.jsonl}, top_k: 3}, thresholds: {mrr: 0.9, ndcg: 0.9}")
    (report,) = docs.apply()["reports"]
    (check,) = report["labelled"]
    assert check["target"]["mrr"]["mean"] == check["target"]["ndcg"]["mean"] == check["target"]["recall"]["mean"] == 1
    assert check["source"] is None
    assert check["note"] == "the source is not measured: the source has no vectors"
    assert openai_double.ledger.charged["Document"] == 1
    # the answer to the first one goes from the documents, and with it what the query is about
    written(docs.directory / "docs", {"b.md": document("b", 3)})
    gone = docs.run("plan")
    assert gone.code == 3
    assert "golden.jsonl:1:1: `relevant` names 'b.md#4', which the source does not hold" in gone.err


def test_a_parser_that_is_not_installed_is_named_with_the_extra(docs: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("vecmig.connectors.documents.")]:
        if not name.endswith(".options"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert docs.run("validate").code == 0, "what a spec says needs no parser"
    failed = docs.run("plan")
    assert failed.code == 3
    assert "documents needs the module 'pypdfium2': pip install 'vecmig[documents]'" in failed.err


def test_the_tenant_of_a_file_is_what_its_front_matter_says(docs: Site) -> None:
    written(
        docs.directory / "docs",
        {
            f"{name}.md": f"---\ntenant: {tenant}\n---\n{document(name, 1)}"
            for name, tenant in (("a", "acme"), ("b", "beta"))
        },
    )
    (docs.directory / "docs" / "c.md").unlink()
    docs.edit("target: t}", "target: t, namespace_from: tenant}")
    docs.edit("{sample: 5}, top_k: 3}", "{sample: 5}, top_k: 3}, thresholds: {overlap: 0}")
    docs.apply()
    assert {id: each["namespace"] for id, each in stored(docs).items()} == {
        "a.md#0": "acme", "a.md#1": "acme", "b.md#0": "beta", "b.md#1": "beta",
    }  # fmt: skip
    docs.settled()


def test_a_file_that_is_edited_between_a_broken_run_and_the_next_is_read_as_it_is_then(
    docs: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecmig.workflow.run.EMBED_PAGE_ROWS", 2)
    docs.edit("workers: 2", "workers: 1")
    openai_double.poison.add("part of c, number 3")
    broken = docs.run("apply", "--auto-approve")
    assert broken.code == 1
    there = len(stored(docs))
    assert 0 < there < 15
    openai_double.poison.clear()
    bought(openai_double)
    for name in "abc":  # wherever it stopped
        written(docs.directory / "docs", {f"{name}.md": document(name).replace(f"part of {name}, number 0", "edit")})
    docs.apply()
    found = stored(docs)
    assert len(found) == 15
    assert [found[f"{name}.md#1"]["text"] for name in "abc"] == ["## Part 0\n\nHere is a edit."] * 3
    docs.settled()
