"""What a decision to copy rests on: enough records, from all over the source, of those that the migration takes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedders.python.models import DIMENSIONS, hashed
from tests.end_to_end.conftest import batch_of
from vecmig.connectors.memory import MemoryOptions
from vecmig.embedders.python.options import PythonOptions
from vecmig.embedding.cache import Cache
from vecmig.embedding.evidence import Evidence, evidence_of
from vecmig.errors import SpecError
from vecmig.migration import Embedding, Endpoint, Migration, Provider
from vecmig.model.collection import Collection, VectorField
from vecmig.model.filter import Filter
from vecmig.model.filter import parse as parsed
from vecmig.model.plan import Decision
from vecmig.model.record import Key

OLD, NEW = "mine/old", "mine/new"
MINE = Provider("mine", "python", PythonOptions("tests.embedders.python.models:hashed"))
VECTORS = (VectorField("", DIMENSIONS, "cosine"),)
PAGE = 100
Decides = Callable[..., Decision]


def record(n: int, text: bool = True, same: bool = True, zero: bool = False) -> dict[str, Any]:
    """Return one whose vector is the model's, or another; without a text nobody can tell."""
    vector = np.zeros(DIMENSIONS) if zero else hashed([f"text {n}" if same else f"another {n}"])[0]
    metadata = {"n": n} | ({"text": f"text {n}"} if text else {})
    return {"id": f"r{n:05}", "metadata": metadata, "vector:": vector.astype(np.float32).tolist()}


@pytest.fixture
def evidence(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Evidence]]:
    """Return what is decided for these records; the plan's sample is the first page of the source."""
    options = MemoryOptions("docs", request.node.name, page_rows=PAGE)
    collection = Collection("docs", VECTORS)
    with closing(options.open()) as source, closing(Cache(tmp_path / "c.sqlite")) as cache:
        source.create(collection)

        def decide(
            records: Sequence[dict[str, Any]],
            given: str | None = OLD,
            where: Filter | None = None,
            text: str = "{{ text }}",
            trust: bool = False,
        ) -> Evidence:
            source.upsert("docs", batch_of(records, VECTORS))
            migration = Migration(
                "m",
                Endpoint("s", "memory", options, Embedding(given)),
                Endpoint("t", "memory", MemoryOptions("kb")),
                Embedding(NEW, provider=MINE, text=text, trust_labels=trust),
                where=where,
            )
            sample = source.fetch("docs", [Key("", each["id"]) for each in records[:PAGE]])
            return evidence_of(migration, collection, sample, cache)

        yield decide


@pytest.fixture
def decides(evidence: Callable[..., Evidence]) -> Decides:
    return lambda *given, **named: evidence(*given, **named).decisions[""]


def test_a_few_texts_do_not_make_one_model_of_two_names(decides: Decides) -> None:
    found = decides([record(n, text=n < 3) for n in range(PAGE)])
    assert (found.how, found.why) == ("reembed", "different models")
    assert "probe: 3 texts" in found.evidence
    assert "too few" in found.evidence


@pytest.mark.parametrize("given", [NEW, None])
def test_a_copy_that_rests_on_a_few_texts_says_that_the_names_were_trusted(decides: Decides, given: str | None) -> None:
    found = decides([record(n, text=n < 3) for n in range(PAGE)], given)
    assert (found.how, found.stopped) == ("copy", "")
    assert "a probe of 3 texts is too small to show it" in found.unchecked


def test_a_few_texts_that_differ_speak_against_the_label_all_the_same(decides: Decides) -> None:
    found = decides([record(n, text=n < 3, same=False) for n in range(PAGE)], NEW)
    assert "not shown to be the same" in found.stopped


def test_texts_are_looked_for_in_all_of_the_source_where_the_sample_has_few(decides: Decides) -> None:
    found = decides([record(n, text=n % 50 == 1) for n in range(20 * PAGE)])
    assert found.why == f"the same model as {OLD}, whatever the labels say"
    assert "probe: 32 texts" in found.evidence


def test_records_of_the_whole_sample_are_probed_not_those_of_its_beginning(decides: Decides) -> None:
    found = decides([record(n, same=n < 40) for n in range(PAGE)], NEW)
    assert "not shown to be the same" in found.stopped, "most of them are not"


def test_a_small_source_that_was_probed_whole_is_shown(decides: Decides) -> None:
    found = decides([record(n) for n in range(3)])
    assert (found.how, found.why) == ("copy", f"the same model as {OLD}, whatever the labels say")
    assert found.unchecked == ""


def test_a_vector_of_zeros_is_no_evidence(decides: Decides) -> None:
    found = decides([record(n, zero=n % 4 != 0) for n in range(PAGE)], NEW)
    assert (found.how, found.stopped) == ("copy", "")
    assert "probe: 25 texts" in found.evidence


def test_records_that_are_not_taken_are_no_evidence(decides: Decides) -> None:
    others = parsed({"n": {"gte": 50}})
    found = decides([record(n, same=n < 50) for n in range(PAGE)], NEW, others)
    assert "not shown to be the same" in found.stopped


@pytest.mark.parametrize("given", [None, OLD])
def test_a_template_of_fields_that_no_record_has_is_an_error_of_the_spec(decides: Decides, given: str | None) -> None:
    with pytest.raises(SpecError, match="reads `txet`, which no sampled record has") as refused:
        decides([record(n) for n in range(PAGE)], given, text="{{ txet }}")
    assert "did you mean `text`?" in str(refused.value)


@pytest.mark.parametrize(("given", "trust"), [(NEW, False), (None, True)])
def test_who_copies_by_the_label_needs_no_text_and_is_warned_of_the_field(
    evidence: Callable[..., Evidence], given: str | None, trust: bool
) -> None:
    found = evidence([record(n) for n in range(PAGE)], given, text="{{ txet }}", trust=trust)
    assert found.decisions[""].how == "copy"
    assert found.risks == ("`embedding.text` reads `txet`, which no sampled record has: did you mean `text`?",)


def test_a_field_that_no_record_has_beside_one_that_they_have_is_a_warning(
    evidence: Callable[..., Evidence],
) -> None:
    found = evidence([record(n) for n in range(PAGE)], text="{{ txet or '' }}, {{ text }}")
    assert found.decisions[""].how == "reembed"
    assert found.risks == ("`embedding.text` reads `txet`, which no sampled record has: did you mean `text`?",)
    same = evidence([record(n) for n in range(PAGE)], text="{{ txet or text }}")
    assert (same.decisions[""].how, same.risks) == ("copy", ()), "it is shown to be the right text"
