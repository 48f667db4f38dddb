"""Texts over the model's limit, texts that are kept, and the cache, from the spec to the table."""

import json
import re

import numpy as np
import pytest

from tests.doubles.openai import Double, Fault
from tests.doubles.openai.model import embedded, tokens
from tests.end_to_end.conftest import Site
from tests.end_to_end.reembed import NEW, documents, prepared, text_of, vectors_of
from tests.openai_server import openai_double as openai_double

LONG = " ".join(f"word{n}" for n in range(200))


@pytest.fixture
def retired(site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> Site:
    prepared(site, openai_double, monkeypatch, count=40)
    return site


@pytest.fixture
def long(retired: Site, openai_double: Double) -> Site:
    """One of the records has a text far over the limit of the provider's entry."""
    records = documents(openai_double, [500])
    records[0]["metadata"] = {"title": "Long", "text": LONG}
    retired.store(records, vectors_of(records))
    retired.edit("max_items: 64}", "max_items: 64, max_text_tokens: 50}")
    return retired


def stored(site: Site, id: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    ((text,),) = site.sql("select embedding::text from kb where id = %s", id)
    return np.asarray(json.loads(text), np.float32)


def of_the_model(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return embedded(NEW, text, 1536, 64)


def test_a_long_text_is_cut_and_its_vector_is_that_of_its_beginning(long: Site, openai_double: Double) -> None:
    assert long.apply()["reports"][0]["verdict"] == "passed"
    (sent,) = [text for text in openai_double.ledger.charged if text.startswith("Long")]
    assert f"Long\n\n{LONG}".startswith(sent)
    assert len(sent) < 300
    assert stored(long, "d500") == pytest.approx(of_the_model(sent), abs=1e-6)
    long.settled()


def test_a_long_text_is_split_and_its_vector_is_the_mean_of_its_pieces(long: Site, openai_double: Double) -> None:
    long.edit('{{ text }}"', '{{ text }}", too_long: split_and_average')
    assert long.apply()["reports"][0]["verdict"] == "passed"
    pieces = [text for text in openai_double.ledger.charged if "word" in text]
    assert len(pieces) > 5
    assert sum(map(len, pieces)) == len(f"Long\n\n{LONG}")
    mean = np.sum([tokens(piece) * of_the_model(piece) for piece in pieces], axis=0)  # longer ones weigh more
    assert stored(long, "d500") @ mean / np.linalg.norm(mean) > 0.99999
    assert np.linalg.norm(stored(long, "d500")) == pytest.approx(1, abs=1e-5)
    long.settled()


def test_a_long_text_is_put_aside_or_stops_the_run(long: Site, openai_double: Double) -> None:
    long.edit('{{ text }}"', '{{ text }}", too_long: quarantine')
    failed = long.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "'d500' cannot be moved: its text is over the limit of openai/text-embedding-3-small" in failed.err
    long.edit("target: t}", "target: t, on_bad_record: quarantine}")
    assert long.apply()["quarantined"] == 1
    assert long.sql("select count(*) from kb") == [(40,)]
    assert not any("word" in text for text in openai_double.ledger.charged)


def test_the_text_is_kept_in_a_field_of_the_target(retired: Site) -> None:
    retired.edit('{{ text }}"', '{{ text }}", keep_text: chunk_text')
    assert retired.apply()["reports"][0]["records"]["matching"] == 40
    (row,) = retired.sql("select metadata from kb where id = 'd7'")
    assert row[0] == {"n": 7, "title": "Nr. 7", "text": text_of(7), "chunk_text": f"Nr. 7\n\n{text_of(7)}"}
    retired.settled()


def test_a_field_that_holds_something_else_is_not_overwritten_by_the_text(retired: Site) -> None:
    retired.edit('{{ text }}"', '{{ text }}", keep_text: title')
    failed = retired.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "field 'title' is to keep the text that is embedded, and holds something else" in failed.err


def test_prefixes_and_input_types_of_the_spec_reach_the_provider(retired: Site, openai_double: Double) -> None:
    retired.edit("max_items: 64}", 'max_items: 64, passage_prefix: "passage: ", input_type: {passage: document}}')
    retired.apply()
    assert all(text.startswith("passage: Nr. ") for text in openai_double.ledger.charged)
    assert {each.input_type for each in openai_double.requests if each.status == 200} == {None, "document"}
    assert {each.input_type for each in openai_double.requests[1:]} == {"document"}, "but of what stood there before"


def test_status_and_cache_show_how_much_is_kept_and_what_may_go(retired: Site, openai_double: Double) -> None:
    assert retired.run("cache", "show").out == "Nothing was embedded yet.\n"
    assert "in the cache" not in retired.run("status").out
    retired.apply()
    assert not list((retired.directory / ".vecmig").glob("embeddings.sqlite.*.lock")), "nothing is left of who paid"
    assert "40 embeddings, " in retired.run("status").out
    assert "in the cache (`vecmig cache show`)" in retired.run("status").out
    shown = json.loads(retired.run("cache", "show", "--json").out)
    assert (shown["entries"], shown["kept"], shown["unfinished"]) == (40, 0, [])
    assert shown["bytes"] > 40 * 64 * 4
    assert retired.run("cache", "clear").out == "Removed 40 embeddings.\n"
    assert retired.run("cache", "show").out.startswith("0 embeddings, ")


def test_what_an_unfinished_migration_paid_for_is_not_cleared_and_not_paid_again(
    retired: Site, openai_double: Double
) -> None:
    more = documents(openai_double, range(40, 120))
    retired.store(more, vectors_of(more))
    openai_double.faults.add(Fault.quota(), skip=3)  # two requests of the probe, and one of the load
    retired.edit("max_items: 64}", "max_items: 20}")
    failed = retired.run("apply", "--auto-approve")
    assert failed.code == 1
    assert "the quota of key 1 of `api_keys` (OPENAI_API_KEY) is spent" in failed.err
    assert re.search(r"\(spent so far: [\d,]+ tokens, USD 0\.00\)", failed.err)
    assert "sk-secret-of-the-test" not in failed.err + failed.out
    shown = json.loads(retired.run("cache", "show", "--json").out)
    assert (shown["entries"], shown["kept"], len(shown["unfinished"])) == (52, 20, 1)
    assert retired.run("cache", "clear").out == "Removed 32 embeddings.\n"
    openai_double.faults.clear()
    retired.apply()
    assert len(openai_double.ledger.charged) == 120
    assert len(openai_double.ledger.twice) == 32, "those of the probe, which were cleared, and no other"
    assert json.loads(retired.run("cache", "show", "--json").out)["unfinished"] == []


def test_a_bound_of_the_cache_lets_a_migration_finish_and_holds_afterwards(retired: Site) -> None:
    retired.edit("execution:", "limits: {max_cache_gb: 0.0001}\nexecution:")
    assert retired.apply()["reports"][0]["verdict"] == "passed", "nothing goes while it is needed"
    assert json.loads(retired.run("cache", "show", "--json").out)["entries"] == 0
