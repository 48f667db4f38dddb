"""Tables that vecmig did not make: read whatever they hold, written only where that is safe."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import batch, read_all, vectors_of
from vecmig.errors import CollectionConflict, ConnectorError, UnsupportedError
from vecmig.model.batch import Key
from vecmig.model.collection import Collection, Field, Index, VectorField
from vecmig.model.filter import parse
from vecmig.protocols import Search

UUIDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(4)]


def test_langchain_s_table_is_read(connect: Connect, sql: Any) -> None:
    sql.execute(
        "CREATE TABLE langchain_pg_embedding (id uuid PRIMARY KEY, collection_id uuid, embedding vector, document text,"
        " cmetadata jsonb)"
    )
    for n, id in enumerate(UUIDS):
        sql.execute(
            "INSERT INTO langchain_pg_embedding VALUES (%s, %s, %s, %s, %s)",
            [id, UUIDS[0] if n < 2 else None, f"[{n},1]", f"text {n}", json.dumps({"source": "a.md", "page": n})],
        )
    connector = connect(
        "langchain_pg_embedding", page_rows=1, id="id", vector="embedding", namespace="collection_id",
        metadata=["document", "cmetadata.*"],
    )  # fmt: skip
    assert connector.count("langchain_pg_embedding") == {UUIDS[0]: 2, "": 2}
    assert read_all(connector, "langchain_pg_embedding", at_most=2) == {
        id: {"document": f"text {n}", "source": "a.md", "page": n} for n, id in enumerate(UUIDS)
    }
    assert vectors_of(connector, "langchain_pg_embedding").tolist() == [[n, 1] for n in range(4)]
    declared = connector.describe("langchain_pg_embedding")
    assert declared
    assert declared.vectors == (VectorField("", 2, "cosine", index=Index("flat")),)
    assert declared.mark is None
    got = connector.fetch("langchain_pg_embedding", [Key("", UUIDS[3]), Key("", "no uuid"), Key(UUIDS[0], UUIDS[1])])
    assert [key.id for key in got.keys] == [UUIDS[3], UUIDS[1]]


def test_llamaindex_s_table_is_read_without_a_mapping(connect: Connect, sql: Any) -> None:
    sql.execute(
        "CREATE TABLE data_llamaindex (id bigserial PRIMARY KEY, text varchar NOT NULL, metadata_ json, node_id varchar,"
        " embedding vector(2))"
    )
    metadata = '{"_node_type": "TextNode",  "doc_id": "d", "ratio": 0.10}'
    sql.execute(
        "INSERT INTO data_llamaindex (text, metadata_, node_id, embedding) VALUES ('hello', %s, 'n1', '[1,2]'),"
        " ('again', NULL, NULL, NULL)",
        [metadata],
    )
    connector = connect("data_llamaindex")
    assert read_all(connector, "data_llamaindex") == {
        "1": {"text": "hello", "node_id": "n1", "_node_type": "TextNode", "doc_id": "d", "ratio": 0.1},
        "2": {"text": "again"},
    }


TYPES = {
    "numeric": ("123456789012345678901234567890.123", Decimal("123456789012345678901234567890.123")),
    "integer": ("7", 7),
    "smallint": ("-7", -7),
    "bigint": ("9223372036854775807", 2**63 - 1),
    "real": ("0.1", 0.1),
    "double precision": ("0.1", 0.1),
    "boolean": ("true", True),
    "text": ('é "quoted" \\ \n', 'é "quoted" \\ \n'),
    "varchar(9)": ("x", "x"),
    "char(3)": ("x", "x  "),
    "date": ("2026-01-31", "2026-01-31"),
    "timestamptz": ("2026-01-01 01:00+01", "2026-01-01T00:00:00Z"),
    "timestamptz ": ("2026-01-01 00:00:00.5+00", "2026-01-01T00:00:00.500000Z"),
    "timestamp": ("2026-01-01 00:00:00", "2026-01-01T00:00:00"),
    "time": ("12:00", "12:00:00"),
    "interval": ("1 day", "P1D"),
    "uuid": (UUIDS[1], UUIDS[1]),
    "text[]": ("{a,NULL,\"b,c\"}", ["a", None, "b,c"]),
    "text[] ": ("{}", []),
    "int[]": ("{{1,2},{3,4}}", [[1, 2], [3, 4]]),
    "numeric[]": ("{1.50,2}", [1.5, 2]),
    "timestamptz[]": ("{2026-01-01 00:00+00,NULL}", ["2026-01-01T00:00:00Z", None]),
    "jsonb": ('{"a": [1, null]}', {"a": [1, None]}),
    "json": ("[1, {}]", [1, {}]),
    "inet": ("10.0.0.1", "10.0.0.1"),
    "bytea": ("\\x00ff", "\\x00ff"),
    "int4range": ("[1,5)", "[1,5)"),
    "timestamptz  ": ("infinity", "infinity"),
}  # fmt: skip


def test_a_hand_made_table_of_every_type_is_read(connect: Connect, sql: Any) -> None:
    columns = {f"c{n}": type_ for n, type_ in enumerate(TYPES)}
    sql.execute("CREATE TABLE odd (key text PRIMARY KEY, emb vector(2) NOT NULL)")
    for column, type_ in columns.items():
        sql.execute(f"ALTER TABLE odd ADD COLUMN {column} {type_}")
    names = ", ".join(columns)
    slots = ", ".join(f"%s::{type_}" for type_ in columns.values())
    sql.execute(
        f"INSERT INTO odd (key, emb, {names}) VALUES ('a', '[1,2]', {slots})", [text for text, _ in TYPES.values()]
    )
    sql.execute("INSERT INTO odd (key, emb) VALUES ('b', '[1,2]')")
    found = read_all(connect("odd", id="key", vector="emb"), "odd")
    assert {columns[name]: value for name, value in found["a"].items()} == {
        type_: value for type_, (_, value) in TYPES.items()
    }
    assert found["b"] == dict.fromkeys(columns), "NULL is null"


def test_a_composite_key_is_a_json_array_and_finds_its_record_again(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE parts (tenant uuid, n integer, name text, emb vector(2), PRIMARY KEY (tenant, n, name))")
    rows = [(UUIDS[n % 2], n, f'"{n}",') for n in range(10)]
    for row in rows:
        sql.execute("INSERT INTO parts VALUES (%s, %s, %s, '[1,2]')", row)
    connector = connect("parts", page_rows=3, id=["tenant", "n", "name"])
    parts = connector.partitions("parts", 3)
    pages = [(part, page, cursor) for part in parts for page, cursor in connector.read(part, None)]
    keys = [key for _, page, _ in pages for key in page.keys]
    assert sorted(json.loads(key.id) for key in keys) == sorted(map(list, rows))
    assert connector.fetch("parts", keys[::-1]).keys == keys[::-1]
    for part, page, cursor in pages:
        rest = [key for again, _ in connector.read(part, cursor) for key in again.keys]
        within = [key for other, each, _ in pages if other == part for key in each.keys]
        assert rest == within[within.index(page.keys[-1]) + 1 :]


@pytest.mark.parametrize("type_", ["integer", "bigint", "numeric", "timestamptz", "text", 'text COLLATE "en-x-icu"'])
def test_keys_are_compared_as_their_type_is_and_pages_leave_nothing_out(connect: Connect, sql: Any, type_: str) -> None:
    try:
        sql.execute(f"CREATE TABLE keyed (k {type_} PRIMARY KEY, emb vector(1))")
    except psycopg.errors.UndefinedObject as error:
        pytest.skip(f"this server has no such type: {error}")
    value = "timestamptz '2026-01-01Z' + n * interval '7 hours'" if type_ == "timestamptz" else "n"
    sql.execute(f"INSERT INTO keyed SELECT ({value})::{type_.split()[0]}, '[1]' FROM generate_series(-7, 1200) n")
    connector = connect("keyed", page_rows=100)
    for at_most in (1, 5, 8):
        assert len(read_all(connector, "keyed", at_most)) == 1208
    (part,) = connector.partitions("keyed", 1)
    pages = list(connector.read(part, None))
    keys = [key for page, _ in pages for key in page.keys]
    for number, (_, cursor) in enumerate(pages, start=1):
        rest = [key for page, _ in connector.read(part, cursor) for key in page.keys]
        assert rest == keys[100 * number :]


def test_a_table_whose_id_is_not_unique_is_refused_with_the_way_out(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE loose (doc text, emb vector(2))")
    with pytest.raises(ConnectorError, match=r"unique.*`columns: \{id"):
        connect("loose", id="doc").partitions("loose", 1)
    sql.execute("CREATE UNIQUE INDEX ON loose (doc) WHERE doc <> ''")
    with pytest.raises(ConnectorError, match="unique"):
        connect("loose", id="doc").partitions("loose", 1)
    sql.execute("CREATE UNIQUE INDEX ON loose (doc)")
    assert connect("loose", id="doc").partitions("loose", 1)
    sql.execute("INSERT INTO loose VALUES (NULL, '[1,2]')")
    with pytest.raises(ConnectorError, match="`doc` is NULL"):
        connect("loose", id="doc").partitions("loose", 1)


def test_namespaces_that_are_null_are_empty_and_must_not_meet_others(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE spaced (space text, id text NOT NULL, emb vector(1), UNIQUE (space, id))")
    sql.execute("INSERT INTO spaced VALUES (NULL, 'a', '[1]'), ('x', 'a', '[1]'), ('', 'b', '[1]')")
    connector = connect("spaced", page_rows=1, id="id", namespace="space")
    assert connector.count("spaced") == {"": 2, "x": 1}
    pages = [page.keys for part in connector.partitions("spaced", 2) for page, _ in connector.read(part, None)]
    assert pages == [[Key("", "a")], [Key("", "b")], [Key("x", "a")]]
    assert connector.fetch("spaced", [Key("x", "a"), Key("", "a")]).keys == [Key("x", "a"), Key("", "a")]
    sql.execute("INSERT INTO spaced VALUES ('', 'a', '[1]')")
    with pytest.raises(ConnectorError, match="same key"):
        connector.partitions("spaced", 1)


@pytest.mark.parametrize("key", ["UNIQUE (space, id)", "UNIQUE NULLS NOT DISTINCT (space, id)"])
def test_a_table_whose_key_may_be_null_is_read_but_not_written(connect: Connect, sql: Any, key: str) -> None:
    sql.execute(f"CREATE TABLE spaced (space text, id text NOT NULL, emb vector(3), {key})")
    sql.execute("INSERT INTO spaced VALUES (NULL, 'r0', '[1,2,3]')")
    connector = connect("spaced", id="id", namespace="space")
    assert connector.count("spaced") == {"": 1}
    with pytest.raises(UnsupportedError, match=r"`space`.*spaced.*NULL.*SET NOT NULL"):
        connector.upsert("spaced", batch([{"id": "r0"}]))
    assert connector.count("spaced") == {"": 1}, "not doubled: '' never meets NULL"
    sql.execute("UPDATE spaced SET space = '' WHERE space IS NULL")
    sql.execute("ALTER TABLE spaced ALTER COLUMN space SET NOT NULL")
    assert connect("spaced", id="id", namespace="space").upsert("spaced", batch([{"id": "r0"}])) == []
    assert connector.count("spaced") == {"": 1}


def test_views_and_partitioned_tables_are_read(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE split (id int PRIMARY KEY, emb vector(1), at text) PARTITION BY RANGE (id)")
    sql.execute("CREATE TABLE split_a PARTITION OF split FOR VALUES FROM (0) TO (5)")
    sql.execute("CREATE TABLE split_b PARTITION OF split FOR VALUES FROM (5) TO (99)")
    sql.execute("INSERT INTO split SELECT n, '[1]', 'x' FROM generate_series(0, 9) n")
    sql.execute("CREATE VIEW seen AS SELECT * FROM split WHERE id < 8")
    sql.execute("CREATE MATERIALIZED VIEW kept AS SELECT * FROM split")
    sql.execute("CREATE UNIQUE INDEX ON kept (id)")
    for name, rows, strength in (("split", 10, "exact"), ("seen", 8, "counts"), ("kept", 10, "exact")):
        connector = connect(name, page_rows=3, id="id", vector="emb")
        assert len(read_all(connector, name, at_most=2)) == rows
        assert connector.fingerprint(name).strength == strength


def test_a_vector_of_other_dimensions_is_a_problem_of_its_record(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE mixed (id int PRIMARY KEY, emb vector)")
    sql.execute("INSERT INTO mixed VALUES (1, '[1,2]'), (2, '[1,2,3]'), (3, NULL), (4, '[3,4]')")
    found = read_all(connect("mixed"), "mixed")
    assert "2 dimensions" in found.pop("2")["problem"]
    assert found == {"1": {}, "3": {}, "4": {}}


def test_a_field_that_stands_twice_is_a_problem_of_its_record(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE twice (id int PRIMARY KEY, emb vector(1), title text, metadata jsonb)")
    sql.execute("""INSERT INTO twice VALUES (1, '[1]', 'a', '{"title": "b"}'), (2, '[1]', NULL, '{"title": "b"}')""")
    sql.execute("INSERT INTO twice VALUES (3, '[1]', 'a', '[1]'), (4, '[1]', 'a', NULL)")
    found = read_all(connect("twice"), "twice")
    assert "own column" in found.pop("1")["problem"]
    assert "no JSON object" in found.pop("3")["problem"]
    assert found == {"2": {"title": "b"}, "4": {"title": "a"}}


@pytest.mark.parametrize("type_", ["float4", "float8", "numeric", "float8[]", "numeric[]"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_cannot_hold_is_a_problem_of_its_record(
    connect: Connect, sql: Any, type_: str, value: str
) -> None:
    several = type_.endswith("[]")
    sql.execute(f"CREATE TABLE odd (id int PRIMARY KEY, emb vector(1), score {type_}, note text, rest jsonb)")
    odd, good = (f"{{1,{value}}}", "{1,2.5}") if several else (value, "2.5")
    sql.execute("INSERT INTO odd VALUES (1, '[1]', %s, 'NaN', '{}'), (2, '[1]', %s, 'NaN', '{}')", (odd, good))
    sql.execute("INSERT INTO odd VALUES (3, '[1]', NULL, '[\"NaN\"]', '{\"a\": \"NaN\"}')")
    for columns in (["score", "note"], ["score", "note", "rest.*"]):
        found = read_all(connect("odd", metadata=columns), "odd")
        problem = found.pop("1")["problem"]
        assert "`score`" in problem
        assert "NaN or infinity" in problem
        number = [1, 2.5] if several else 2.5
        assert found.pop("2") == {"score": number, "note": "NaN"}
        assert found["3"]["note"] == '["NaN"]'
    (fetched,) = (connect("odd", metadata=["score"]).fetch("odd", [Key("", id)]) for id in ("1",))
    assert "NaN or infinity" in fetched.strings("problem")[0]


def test_arrays_of_numbers_are_vectors_where_the_spec_says_so(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE arrays (id int PRIMARY KEY, emb real[])")
    sql.execute("INSERT INTO arrays VALUES (1, '{1.5,0.1}')")
    connector = connect("arrays", id="id", vector="emb")
    assert vectors_of(connector, "arrays").tolist() == np.array([[1.5, 0.1]], np.float32).tolist()
    (hits,) = connector.search("arrays", Search(np.array([[1, 0]], np.float32), k=1))
    assert hits.keys == [Key("", "1")]


def test_vectors_are_chosen_and_named_by_the_mapping(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE two (id int PRIMARY KEY, t vector(1), b halfvec(2), s sparsevec(9), note text)")
    sql.execute("INSERT INTO two VALUES (1, '[1]', '[1,2]', '{1:1,9:2}/9', 'x')")
    described = connect("two").describe("two")
    assert described
    assert [(v.name, v.dimensions, v.kind) for v in described.vectors] == [
        ("t", 1, "float32"), ("b", 2, "float16"), ("s", 9, "sparse"),
    ]  # fmt: skip
    connector = connect("two", vector={"title": "t"}, metadata=["note"])
    described = connector.describe("two")
    assert described
    assert [v.name for v in described.vectors] == ["title"]
    assert read_all(connector, "two") == {"1": {"note": "x"}}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": "nope"}, "no column `nope`; it has id, emb"),
        ({"vector": "note"}, "`note` is no vector"),
        ({"metadata": ["note.*"]}, "json"),
    ],
)
def test_a_mapping_that_is_wrong_says_what_there_is(
    connect: Connect, sql: Any, columns: dict[str, Any], message: str
) -> None:
    sql.execute("CREATE TABLE mapped (id int PRIMARY KEY, emb vector(1), note text)")
    with pytest.raises(ConnectorError, match=message):
        connect("mapped", **columns).describe("mapped")


def test_index_options_and_operator_classes_are_read_back(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE indexed (id int PRIMARY KEY, a vector(3), b halfvec(3), c vector(3), lang text)")
    sql.execute("CREATE INDEX ON indexed USING hnsw (a vector_l2_ops) WITH (m = 24)")
    sql.execute("CREATE INDEX ON indexed USING ivfflat (b halfvec_ip_ops) WITH (lists = 7)")
    sql.execute("CREATE INDEX ON indexed USING hnsw (c vector_l1_ops) WHERE id > 5")
    sql.execute("CREATE INDEX ON indexed (lang)")
    declared = connect("indexed").describe("indexed")
    assert declared
    assert declared.vectors == (
        VectorField("a", 3, "l2", index=Index("hnsw", m=24, ef_construction=64)),
        VectorField("b", 3, "dot", "float16", Index("ivfflat", lists=7)),
        VectorField("c", 3, "cosine", index=Index("flat")),  # a partial index does not serve every search
    )
    assert declared.fields == (Field("lang", "text", filter=True),)


def test_an_adopted_table_is_written_in_its_own_columns(connect: Connect, sql: Any) -> None:
    sql.execute(
        "CREATE TABLE adopted (doc_id uuid PRIMARY KEY, emb vector(3), title varchar(5), n smallint, tags text[],"
        " rest jsonb, seen timestamptz DEFAULT now())"
    )
    connector = connect("adopted", id="doc_id", vector="emb", metadata=["title", "n", "tags", "rest.*"])
    declared = connector.describe("adopted")
    assert declared
    connector.create(declared)
    good = {"title": "t", "n": 3, "tags": ["a"], "more": 1.5}
    rows = [{"id": UUIDS[0], "metadata": good}, {"id": UUIDS[1], "metadata": {"title": "too long"}}]
    rows += [{"id": "x"}, {"id": UUIDS[2], "namespace": "n"}, {"id": UUIDS[3], "metadata": {"n": 2**15}}]
    rejected = {each.key.id: each.reason for each in connector.upsert("adopted", batch(rows))}
    assert rejected.keys() == {UUIDS[1], "x", UUIDS[2], UUIDS[3]}
    assert "string data right truncation (SQLSTATE 22001)" in rejected[UUIDS[1]]
    assert "`doc_id` uuid" in rejected["x"]
    assert "namespace" in rejected[UUIDS[2]]
    assert "`n`" in rejected[UUIDS[3]]
    assert read_all(connector, "adopted") == {UUIDS[0]: good}
    assert sql.execute("SELECT title, n, tags, rest FROM adopted").fetchall() == [("t", 3, ["a"], {"more": 1.5})]
    with pytest.raises(CollectionConflict, match="vecmig"):
        connector.drop("adopted")


def test_what_vecmig_did_not_make_and_cannot_write_is_refused(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE priced (id int PRIMARY KEY, emb vector(3), price numeric)")
    connector = connect("priced")
    with pytest.raises(UnsupportedError, match=r"`price`.*numeric"):
        connector.upsert("priced", batch([{"id": "1"}]))
    marked = Collection("priced", (VectorField("", 3, "cosine"),), mark="vecmig:x")
    with pytest.raises(CollectionConflict, match="adopt"):
        connector.create(marked)


def test_a_document_column_alone_and_filters_over_columns(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE meta (id int PRIMARY KEY, emb vector(2), m jsonb, price numeric)")
    sql.execute("""INSERT INTO meta SELECT n, '[1,2]', jsonb_build_object('n', n), n FROM generate_series(1, 5) n""")
    only = connect("meta", metadata="m")
    assert read_all(only, "meta")["3"] == {"n": 3}
    query = Search(np.array([[1, 2]], np.float32), k=9, filter=parse({"n": {"gte": 4}}))
    assert {key.id for key in only.search("meta", query)[0].keys} == {"4", "5"}
    every = connect("meta")
    assert read_all(every, "meta")["3"] == {"m": {"n": 3}, "price": 3}
    query = Search(query.queries, k=9, filter=parse({"price": {"lt": 2.5}}))
    assert {key.id for key in every.search("meta", query)[0].keys} == {"1", "2"}


def test_a_column_that_is_not_read_is_named(connect: Connect, sql: Any) -> None:
    sql.execute(
        "CREATE TABLE odd (key text PRIMARY KEY, emb vector(2), body text, more vector(2)[],"
        " fts tsvector GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED)"
    )
    sql.execute("INSERT INTO odd (key, emb, body) VALUES ('a', '[1,2]', 'cats')")
    connector = connect("odd")
    assert read_all(connector, "odd") == {"a": {"body": "cats"}}
    found = connector.describe("odd")
    assert found
    assert found.left_out == (("more", "vector[]"), ("fts", "tsvector"))
    assert found.findings == (
        "column `more` (vector[]) is left out: `columns.metadata` takes what it names",
        "column `fts` (generated of others) is left out: `columns.metadata` takes what it names",
    )
    chosen = connect("odd", vector="emb", metadata=["body", "fts"])
    assert read_all(chosen, "odd") == {"a": {"body": "cats", "fts": "'cats':1"}}
    named = chosen.describe("odd")
    assert named
    assert named.left_out == (), "the spec says which to take"
