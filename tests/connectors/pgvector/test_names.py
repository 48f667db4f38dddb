"""Names go into statements as identifiers, whatever they hold."""

from typing import Any

import numpy as np
import pytest

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import batch, read_all
from vecmig.connectors.pgvector.schema.names import TableName, index_name, is_own_index, parse_table
from vecmig.model.batch import Key
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.filter import parse
from vecmig.protocols import Search

EVIL = ['a"; drop table docs; --', "Docs", "für élise", "select", "100%", "%s", "a b", "it's", "{0}", "x" * 63]


@pytest.mark.parametrize("name", EVIL)
def test_any_name_is_only_a_name(connect: Connect, sql: Any, name: str) -> None:
    sql.execute("CREATE TABLE docs (id int)")
    connector = connect(name)
    fields = (Field(name[:40], "text", filter=True, search=True), Field(f"{name[:40]} list", "int[]", filter=True))
    shape = Collection(name, (VectorField("", 2, "l2"), VectorField(name[:30], 2, "dot")), fields, "vecmig:'x\"")
    metadata = {name[:40]: "hello world", f"{name[:40]} list": [1], "rest": name}
    for _ in range(2):
        connector.create(shape)
    for _ in range(2):
        assert not connector.upsert(name, batch([{"id": name, "namespace": name, "metadata": metadata}], shape))
    assert read_all(connector, name) == {name: metadata}
    for _ in range(2):
        list(connector.build_index(shape))
    actual = connector.describe(name)
    assert actual
    assert shape.agrees_with(actual)
    assert actual.fields == fields
    assert [v.index and v.index.type for v in actual.vectors] == ["hnsw", "hnsw"]
    assert connector.count(name) == {name: 1}
    key = Key(name, name)
    assert connector.fetch(name, [key]).keys == [key]
    near = Search(np.ones((1, 2), np.float32), 1, name[:30], name, parse({name[:40]: "hello world", "rest": name}))
    assert connector.search(name, near)[0].keys == [key]
    connector.delete(name, [key])
    assert connector.count(name) == {}
    connector.drop(name)
    assert sql.execute("SELECT to_regclass('docs')").fetchone() != (None,)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("docs", TableName(None, "docs")),
        ("Search.Docs", TableName("Search", "Docs")),
        ('"a.b"', TableName(None, "a.b")),
        ('"a.b"."c""d"', TableName("a.b", 'c"d')),
        ('a"; drop', TableName(None, 'a"; drop')),
    ],
)
def test_a_table_s_name_is_taken_letter_by_letter(text: str, parsed: TableName) -> None:
    assert parse_table(text) == parsed


@pytest.mark.parametrize("text", ["", "a.b.c", ".a", "a.", "a..b", "x" * 64, "é" * 32, "s." + "x" * 64, "a\0"])
def test_what_names_no_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no table|PostgreSQL"):
        parse_table(text)


def test_names_of_indexes_fit_differ_and_are_known_again() -> None:
    definitions = [f"embedding vector_{metric}_ops hnsw m={m}" for metric in ("l2", "ip") for m in (16, 32)]
    tables = ["docs", "é" * 31, "x" * 63, "x" * 62 + "y"]
    names = {index_name(table, definition): definition for table in tables for definition in definitions}
    assert len(names) == len(tables) * len(definitions)
    assert all(len(name.encode()) <= 63 for name in names)
    assert all(is_own_index(name, definition) for name, definition in names.items())
    assert not is_own_index(index_name("docs", definitions[0]), definitions[1])


def test_a_table_in_a_schema_is_made_and_found_there(connect: Connect, sql: Any) -> None:
    schema = sql.execute("SELECT current_schema()").fetchone()[0]
    qualified = connect(f"{schema}.docs")
    shape = Collection(f"{schema}.docs", (VectorField("", 3, "l2"),), mark="vecmig:x")
    qualified.create(shape)
    actual = connect("docs").describe("docs")
    assert actual
    assert actual.mark == "vecmig:x"
    qualified.drop(f"{schema}.docs")
    assert connect("docs").describe("docs") is None
