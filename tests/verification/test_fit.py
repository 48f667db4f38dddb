"""What is wrong with queries of the user's own, seen before anything is moved."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.verification.golden import circle, documents, golden, stored, text, vector
from vecmig.connectors.memory import MemoryOptions
from vecmig.embedders.python.options import PythonOptions
from vecmig.errors import Problem
from vecmig.migration import Embedding, Endpoint, Migration, Provider
from vecmig.model.filter import parse
from vecmig.model.plan import Decision
from vecmig.model.query import Golden
from vecmig.verification.fit import SHOWN, unfit_queries

IDS = [f"d{n}" for n in range(5)]
PLAIN = documents(IDS, {"": circle(5)})
OWN = Provider("own", "python", PythonOptions("module:function"))
OLD = Embedding("own/old", provider=OWN)
EMBEDDING = Embedding("own/new", provider=OWN, text="{{ n }}", dimensions=3)
REEMBED = {"": Decision("", "reembed", 3, "own/new", before="old")}


def problems(
    queries: Golden,
    source: MemoryOptions,
    decisions: Mapping[str, Decision] = {},
    made_by: Embedding = OLD,
    **more: Any,
) -> list[Problem]:
    target = MemoryOptions("kb", database="not there")
    ends = Endpoint("s", "memory", source, made_by), Endpoint("t", "memory", target)
    migration = Migration("m", *ends, golden=queries, **more)
    store = source.open()
    schema = store.describe("docs")
    assert schema
    return unfit_queries(migration, schema, store.count("docs"), decisions)


def told(found: list[Problem]) -> list[tuple[int, str]]:
    assert all(each.position and each.position.file == "golden.jsonl" for each in found)
    return [(each.position.line if each.position else 0, each.message) for each in found]


def test_queries_that_fit_have_no_problem() -> None:
    assert not problems(golden(text("a", "d1", "d3"), vector([1, 0]), text("b")), stored(PLAIN))


def test_relevant_ids_that_the_source_does_not_hold_are_named_with_their_line() -> None:
    found = problems(golden(text("a", "d1"), text("b", "d1", "x", "y"), text("c")), stored(PLAIN))
    assert told(found) == [(2, "`relevant` names 'x' and 1 more, which the source does not hold")]


def test_an_id_that_is_known_not_to_be_relevant_may_be_gone() -> None:
    query = text("a", "d1")
    query.relevant["gone"] = 0
    assert not problems(golden(query), stored(PLAIN))


def test_relevant_ids_that_the_migration_leaves_out_are_told() -> None:
    (found,) = problems(golden(text("a", "d1", "d4")), stored(PLAIN), where=parse({"n": {"lt": 3}}))
    assert found.message == "`relevant` names 'd4', which `where` leaves out of the migration"


def test_a_vector_of_another_length_is_told() -> None:
    (found,) = problems(golden(vector([1, 0]), vector([1, 0, 0])), stored(PLAIN))
    assert found.position
    assert found.position.line == 2
    assert found.message == "a vector of 3 numbers, and those of the source have 2"


def test_for_a_shortened_vector_one_of_the_sources_length_is_given() -> None:
    wide = documents(IDS, {"": np.concatenate([circle(5), circle(5)], axis=1)})
    cut = {"": Decision("", "truncate", 2)}
    assert not problems(golden(vector([1, 0, 0, 0])), stored(wide), cut)
    assert problems(golden(vector([1, 0])), stored(wide), cut)


def test_a_vector_is_no_query_to_two_models() -> None:
    (found,) = problems(golden(text("a"), vector([1, 0])), stored(PLAIN), embedding=EMBEDDING, decisions=REEMBED)
    assert "of another model" in found.message
    assert "`text`" in found.hint


def test_texts_that_nothing_embeds_are_told_once() -> None:
    queries = golden(vector([1, 0]), text("a"), text("b"))
    (found,) = problems(queries, stored(PLAIN), made_by=Embedding())
    assert told([found]) == [(2, "queries are texts, and nothing says which model made the vectors")]
    assert "`embedding: {model: provider/model}` of the source" in found.hint
    (found,) = problems(queries, stored(PLAIN), made_by=Embedding("gone/ada"))
    assert found.message == "queries are texts, and nothing here embeds with gone/ada"
    assert "`gone: {type: openai, base_url: …}`" in found.hint


def test_where_vectors_are_copied_the_model_of_one_side_is_enough() -> None:
    copied = {"": Decision("", "copy", 2, "own/same", before="gone/ada")}
    same = Embedding("own/same", provider=OWN)
    assert not problems(golden(text("a")), stored(PLAIN), copied, Embedding("gone/ada"), embedding=same)


def test_of_a_model_that_is_retired_only_the_target_must_be_asked() -> None:
    assert not problems(golden(text("a")), stored(PLAIN), REEMBED, Embedding("gone/ada"), embedding=EMBEDDING)


class TestNames:
    TWO = documents(IDS, {"title": circle(5), "body": circle(5)})

    def test_of_vectors_are_those_of_the_target(self) -> None:
        (found,) = problems(golden(vector([1, 0], name="titel"), vector([1, 0], name="title")), stored(self.TWO))
        assert found.message == "the target has no vector 'titel'"
        assert "'body', 'title'" in found.hint

    def test_are_needed_where_there_are_several_vectors(self) -> None:
        (found,) = problems(golden(vector([1, 0])), stored(self.TWO))
        assert "several vectors" in found.message
        assert '{"vector": {"title": […]}}' in found.hint

    def test_of_vectors_that_do_not_fit_are_told_whichever_it_is(self) -> None:
        (found,) = problems(golden(vector([1, 0, 0], name="body")), stored(self.TWO))
        assert "3 numbers" in found.message

    def test_of_namespaces_are_those_of_the_source(self) -> None:
        both = stored(documents(IDS, {"": circle(5)}, "en"), documents(IDS, {"": circle(5)}, "de"))
        queries = golden(text("a", "d1", namespace="en"), text("b", "d1", namespace="fr"), text("c"))
        assert told(problems(queries, both)) == [
            (2, "the source has no namespace 'fr'"),
            (3, "the source has several namespaces: 'de', 'en'"),
        ]

    def test_of_the_only_namespace_are_not_needed(self) -> None:
        assert not problems(golden(text("a", "d1")), stored(documents(IDS, {"": circle(5)}, "en")))

    def test_of_namespaces_that_come_from_a_field_are_not_looked_at(self) -> None:
        assert not problems(golden(text("a", "x", namespace="acme")), stored(PLAIN), namespace_from="tenant")


def test_of_many_problems_the_first_are_told() -> None:
    found = problems(golden(*[vector([1.0] * 7)] * 100), stored(PLAIN))
    assert len(found) == SHOWN + 1
    assert "only the first" in found[-1].message


@pytest.mark.parametrize("queries", [None, golden(text("a", "x"))])
def test_without_queries_or_records_there_is_nothing_to_tell(queries: Golden) -> None:
    source = stored(PLAIN)
    if queries is not None:
        source.open().delete("docs", PLAIN.keys)
    assert not problems(queries, source)
