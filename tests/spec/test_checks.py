import pytest

from vecmig.migration import Embedding, VectorChoice
from vecmig.model.collection import Field, Index
from vecmig.model.filter import Compare
from vecmig.model.plan import FieldRule
from vecmig.model.settings import Thresholds

from .conftest import ENDS, HEAD, SPEC, Load, Problems

PGVECTOR = (
    HEAD
    + """\
sources: {kb: {type: snapshot, path: kb}}
targets: {shop: {type: pgvector, dsn: "{{ env.X }}", table: kb}}
migrations: [{name: move, source: kb, target: shop}]
"""
)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (SPEC.replace("source: kb", "source: kbs"), "there is no source `kbs`", "did you mean `kb`?"),
        (SPEC.replace("target: shop", "target: xyz"), "there is no target `xyz`", "there are `shop`"),
        (SPEC.replace("sources:\n  kb", "targets:\n  kb").replace("targets:\n  shop", "  shop"), "there is no source `kb`", "`sources` is empty: add one"),
        (SPEC + "  - {name: move, source: kb, target: shop}", "two migrations are called `move`", "must differ"),
        (SPEC.replace("new", "old"), "`move` reads and writes the same collection", "another target"),
        (SPEC + "index: {lists: 10}", "`lists` is a setting of `ivfflat`, and this index is `hnsw`", "type: ivfflat"),
        (SPEC + "index: {type: ivfflat, m: 10}", "`m` is a setting of `hnsw`, and this index is `ivfflat`", "remove it"),
        (SPEC + "index: {type: flat, ef_search: 10}", "`ef_search` is a setting of `hnsw`", "remove it"),
        (SPEC.replace("target: shop", "target: shop, index: {probes: 3}"), "`probes` is a setting of `ivfflat`", "remove it"),
        (SPEC.replace("target: shop", "target: shop, vectors: {a: {index: {lists: 3}}}"), "`lists` is a setting", "remove it"),
        (SPEC.replace("target: shop", "target: shop, where: {a: {gtee: 3}}"), "`gtee` is no comparison", ""),
        (SPEC.replace("target: shop", "target: shop, where: {all: 3}"), "`all` takes a list of filters", ""),
        (SPEC + "verification: {search: {filters: [{a: {in: 3}}]}}", "`a: {in: …}` takes a list", ""),
        (SPEC + "fields: {a: {filter: true}}", "`filter` needs the `type` of field `a`", "type: text"),
        (SPEC + "fields: {a: {type: int, drop: true}}", "field `a` is dropped, and yet has other settings", ""),
        (SPEC + "fields: {a: {from: c}, b: {from: c}}", "the source's `c` is already used by field `a`", "one place"),
        (SPEC + "fields: {a: {from: b}, b: {type: int}}", "the source's `b` is already used by field `a`", "one place"),
        (SPEC.replace("target: shop", "target: shop, where: {a: 1}") + "fields: {a: {from: b}}", "the source calls field `a` `b`", "write `b`"),
        (SPEC + "fields: {a: {drop: true}}\nverification: {search: {filters: [{a: 1}]}}", "filters by `a`, which `fields` drops", "remove"),
        (SPEC + "fields: {a: {from: b}}\nverification: {search: {filters: [{b: 1}]}}", "the target calls field `b` `a`", "write `a`"),
        (SPEC.replace("old}", "old, embedding: {dimensions: 4}}") + "embedding: {dimensions: 5, strategy: copy}", "have 5 dimensions, those of source `kb` have 4", "takes vectors as they are"),
    ],
)  # fmt: skip
def test_a_spec_whose_parts_do_not_fit_is_refused(problems: Problems, text: str, message: str, hint: str) -> None:
    (problem,) = problems(text)
    assert message in problem.message
    assert hint in problem.hint
    assert problem.position


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (PGVECTOR + "embedding: {dimensions: 3000}", 6, 25, "3,000 dimensions"),
        (PGVECTOR.replace("path: kb", "path: kb, embedding: {dimensions: 3000}"), 3, 66, "3,000 dimensions"),
        (PGVECTOR + "fields:\n  a: {type: text}\n  b: {type: int, search: true}", 8, 6, "full-text search"),
        (PGVECTOR.replace("path: kb", "path: kb").replace("table: kb", "table: kb, vector_type: halfvec") + "embedding:\n  dimensions: 5000", 7, 15, "5,000"),
    ],
)  # fmt: skip
def test_what_the_target_cannot_hold_is_told_where_it_is_asked_for(
    problems: Problems, text: str, line: int, column: int, message: str
) -> None:
    (problem,) = problems(text)
    assert message in problem.message
    assert problem.position
    assert (problem.position.line, problem.position.column) == (line, column)


def test_without_dimensions_nothing_is_said_of_them(loaded: Load) -> None:
    assert loaded(PGVECTOR).migrations


def test_fields_that_swap_their_names_are_allowed(loaded: Load) -> None:
    migration = loaded(SPEC + "fields: {a: {from: b}, b: {from: a, type: int, filter: true}}").migrations[0]
    assert migration.rules == (FieldRule("a", "b"), FieldRule("b", "a", "int"))
    assert migration.fields == (Field("b", "int", filter=True),)


def test_a_migration_takes_the_settings_of_the_spec_and_wins_over_them(loaded: Load) -> None:
    text = (
        HEAD + ENDS
        + "index: {m: 16, metric: l2, ef_construction: 100}\nembedding: {model: a/b, dimensions: 4}\nfields: {a: {type: int}}\n"
        + "verification: {thresholds: {overlap: 0.5, missing: 3}}\nmigrations:\n  - {name: one, source: kb, target: shop}\n"
        + "  - {name: two, source: kb, target: shop, index: {m: 32}, embedding: {model: c/d}, fields: {b: {drop: true}},\n"
        + "     verification: {thresholds: {overlap: 0.7}, records: none}, where: {x: 1}, vectors: {v: {from: w, index: {type: ivfflat, lists: 5}}, u: {}}}\n"
    )  # fmt: skip
    one, two = loaded(text).migrations
    assert (one.index, one.metric) == (Index(m=16, ef_construction=100), "l2")
    assert (two.index, two.metric) == (Index(m=32, ef_construction=100), "l2")
    assert (one.embedding, two.embedding) == (Embedding("a/b", 4), Embedding("c/d", 4))
    assert (one.fields, two.fields) == ((Field("a", "int"),), ())
    assert two.rules == (FieldRule("b", "b", drop=True),)
    assert two.verification.thresholds == Thresholds(missing=3, overlap=0.7)
    assert (one.verification.records, two.verification.records) == ("all", "none")
    assert two.where == Compare("x", "eq", 1)
    assert two.vectors == (
        VectorChoice("v", "w", index=Index("ivfflat", lists=5), metric="l2"),
        VectorChoice("u", "u"),
    )


def test_search_can_be_left_out_of_a_verification(loaded: Load) -> None:
    assert loaded(SPEC + "verification: {search: null}").migrations[0].verification.search is None


def test_a_spec_without_migrations_is_complete(loaded: Load) -> None:
    assert loaded(HEAD + ENDS).migrations == ()
    assert loaded(HEAD).migrations == ()


def test_migrations_that_prune_what_others_write_are_noted(loaded: Load) -> None:
    (note,) = loaded(
        SPEC.replace("target: shop", "target: shop, prune: true") + "  - {name: also, source: kb, target: shop}"
    ).notes
    assert "move prunes memory new, to which also writes" in note


def test_relative_paths_stand_beside_the_spec(loaded: Load) -> None:
    project = loaded(PGVECTOR)
    assert getattr(project.migrations[0].source.options, "path", "").startswith(project.directory)
