from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecmig.errors import SpecError
from vecmig.model.collection import Collection, Field, FieldType, Index, Metric, VectorField
from vecmig.model.secret import Secret
from vecmig.spec.load import load
from vecmig.spec.options import read_options
from vecmig.spec.write import scaffold, write

from .conftest import Load

COLLECTION = Collection(
    "search.items",
    (VectorField("", 384, "l2", index=Index(m=32, ef_construction=100)),),
    (Field("year", "int", filter=True), Field("1e5", "text", search=True)),
    model="sentence-transformers/all-MiniLM-L6-v2",
)
OPTIONS = {"dsn": "{{ env.SEARCH_DSN }}", "table": "search.items", "columns": {"id": "key", "metadata": ["a", "b"]}}


@pytest.mark.parametrize("name", ["support-kb", "support kb", "2024", "true", "", "../x", "ü", "a" * 500])
def test_a_first_spec_loads(loaded: Load, name: str) -> None:
    project = loaded(scaffold(name))
    assert [each.target.type for each in project.migrations] == ["pgvector"]
    assert project.notes == ()


def test_what_inspect_writes_of_a_target_loads_as_one_that_is_adopted(loaded: Load) -> None:
    text = write("search.items", "pgvector", OPTIONS, COLLECTION, as_source=False)
    assert text.startswith("# yaml-language-server: ")
    project = loaded(text)
    assert (project.name, project.migrations) == ("search-items", ())
    assert "adopt: true" in text
    assert 'dsn: "{{ env.SEARCH_DSN }}"' in text
    moved = text + (
        "sources: {kb: {type: snapshot, path: kb}}\nmigrations: [{name: fill, source: kb, target: search-items}]\n"
    )
    (migration,) = loaded(moved).migrations
    assert migration.target.adopt
    assert migration.target.embedding.dimensions == 384
    assert migration.target.embedding.model == COLLECTION.model
    assert (migration.index, migration.metric, migration.fields) == (
        COLLECTION.vectors[0].index,
        "l2",
        COLLECTION.fields,
    )


def test_what_inspect_writes_of_a_source_loads(loaded: Load) -> None:
    text = write("items", "pgvector", OPTIONS, COLLECTION, as_source=True)
    assert "adopt" not in text
    assert loaded(text).migrations == ()


def test_a_credential_is_written_as_an_expression() -> None:
    for dsn in ("postgresql://app:hunter2@db/kb", Secret("postgresql://app:hunter2@db/kb")):
        text = write("items", "pgvector", OPTIONS | {"dsn": dsn}, COLLECTION, as_source=False)
        assert "hunter2" not in text
        assert 'dsn: "{{ env.DATABASE_URL }}"' in text


def test_several_vectors_are_told_in_a_comment(loaded: Load) -> None:
    vectors = (VectorField("a", 3, "l2", index=Index()), VectorField("b", 4, "dot", "sparse"))
    text = write("items", "pgvector", OPTIONS, Collection("items", vectors), as_source=False)
    assert "#   a: 3 dimensions, float32, type: hnsw, metric: l2\n#   b: 4 dimensions, sparse, metric: dot" in text
    assert loaded(text).migrations == ()


FIELDS = st.builds(
    Field,
    st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text),
    st.sampled_from(get_args(FieldType)),
    filter=st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(min_size=1, max_size=20).filter(lambda text: "://" not in text and "\0" not in text),
    st.lists(FIELDS, max_size=3, unique_by=lambda field: field.name),
    st.integers(1, 2000),
    st.sampled_from(get_args(Metric)),
)
def test_any_name_survives_being_written_and_read(
    tmp_path: Path, name: str, fields: list[Field], dimensions: int, metric: Metric
) -> None:
    collection = Collection(name, (VectorField("", dimensions, metric),), tuple(fields))
    path = tmp_path / "vecmig.yaml"
    text = write(name, "memory", {"collection": name}, collection, as_source=False)
    target = next(line for line in text.splitlines() if line.startswith("name: ")).removeprefix("name: ")
    text += (
        f"sources: {{kb: {{type: memory, collection: kb}}}}\nmigrations: [{{name: a, source: kb, target: {target}}}]\n"
    )
    path.write_text(text, encoding="utf-8")
    (migration,) = load(str(path)).migrations
    assert migration.target.options.collection == name
    assert migration.fields == tuple(fields)


def test_options_are_read_from_the_command_line() -> None:
    options = read_options("pgvector", {"dsn": "embedded:pg", "table": "2024", "columns.id": "key"}, "/srv")
    assert options.collection == "2024"
    assert "/srv/pg" in repr(options)


def test_wrong_options_are_all_told() -> None:
    with pytest.raises(SpecError) as caught:
        read_options("pgvector", {"dsn": "postgresql://app:hunter2@db", "tabel": "x", "vector_type": "half"}, "/srv")
    assert {problem.hint for problem in caught.value.problems} == {"did you mean `table`?", "did you mean `halfvec`?"}
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SpecError, match="no connector 'pgvektor'"):
        read_options("pgvektor", {}, "/srv")
