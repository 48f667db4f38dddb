"""Records that PostgreSQL cannot hold: each is named with its reason, and the others are stored."""

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import PLAIN, batch, read_all
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.errors import ConnectorError
from vecmig.model.batch import Key, RecordBatch, schema_of, vector_column
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.digest import digest_of

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"vector:": [1, np.nan, 1]}, "NaN or infinity"),
    "infinity": ({"vector:": [1, np.inf, -np.inf]}, "NaN or infinity"),
    "empty id": ({"id": ""}, "id is empty"),
    "NUL in the id": ({"id": "a\0b"}, "id holds a NUL"),
    "NUL in the namespace": ({"namespace": "a\0b"}, "namespace holds a NUL"),
    "long id": ({"id": "é" * 5_000}, "10,000 bytes"),
    "long id and namespace": ({"id": "a" * 1_400, "namespace": "b" * 1_400}, "2,800 bytes"),
    "NUL in a value": ({"metadata": '{"a": ["x\\u0000y"]}'}, "NUL"),
    "NUL in a key": ({"metadata": '{"a\\u0000": 1}'}, "NUL"),
    "NUL after a backslash": ({"metadata": '{"a": "\\\\\\u0000"}'}, "NUL"),
    "half of a pair": ({"metadata": '{"a": "\\ud800"}'}, "surrogate"),
    "a pair turned around": ({"metadata": '{"a": "\\udc00\\ud800"}'}, "surrogate"),
    "two high halves": ({"metadata": '{"a": "\\ud800\\ud800\\udc00"}'}, "surrogate"),
    "no object": ({"metadata": "[1]"}, "no JSON object"),
    "no JSON": ({"metadata": '{"a": nope}'}, "invalid text representation"),
    "a number beyond numeric": ({"metadata": '{"a": 1e200000}'}, "out of range|overflow"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_record_is_named_and_the_rest_is_stored(docs: PgvectorConnector, what: str) -> None:
    row, reason = BAD[what]
    docs.create(PLAIN)
    sent = batch([{"id": f"good {n}"} for n in range(9)] + [row] + [{"id": f"last {n}"} for n in range(9)])
    (rejected,) = docs.upsert("docs", sent)
    assert rejected.key == sent.keys[9]
    assert re.search(reason, rejected.reason), rejected.reason
    assert docs.count("docs") == {"": 18}


def test_many_bad_records_of_many_kinds_are_all_named(docs: PgvectorConnector) -> None:
    docs.create(PLAIN)
    rows = [row if n % 2 else {} for n, (row, _) in enumerate(pair for pair in BAD.values() for _ in range(2))]
    rows = [{"id": f"r{n}"} | row for n, row in enumerate(rows)]
    rejected = docs.upsert("docs", batch(rows))
    assert len(rejected) == len(BAD)
    assert sum(docs.count("docs").values()) == len(rows) - len(BAD)


GOOD: dict[str, dict[str, Any]] = {
    "zero vector": {"vector:": [0, 0, 0]},
    "missing vector": {"vector:": None},
    "largest floats": {"vector:": [3.4028235e38, -3.4028235e38, 1e-45]},
    "long id": {"id": "x" * 2_600},
    "nested 100 deep": {"metadata": '{"a":' * 100 + "1" + "}" * 100},
    "10 MB": {"metadata": json.dumps({"a": "x" * 10_000_000})},
    "integers over 2^63": {"metadata": {"a": 2**63, "b": -(2**70)}},
    "a backslash before u0000": {"metadata": '{"a": "\\\\u0000"}'},
    "a pair": {"metadata": '{"a": "\\ud83d\\ude00"}'},
    "an empty key": {"metadata": {"": 1}},
}


@pytest.mark.parametrize("what", GOOD)
def test_what_is_unusual_but_can_be_held_is_held(docs: PgvectorConnector, what: str) -> None:
    docs.create(PLAIN)
    sent = batch([GOOD[what]])
    assert not docs.upsert("docs", sent)
    assert digest_of(docs.fetch("docs", sent.keys)) == digest_of(sent)


def test_vectors_of_other_dimensions_are_rejected_and_records_without_one_are_stored(docs: PgvectorConnector) -> None:
    docs.create(PLAIN)
    shape = replace(PLAIN, vectors=(VectorField("", 4, "cosine"),))
    rejected = docs.upsert("docs", batch([{}, {"vector:": None}], shape))
    assert [(each.key.id, each.reason) for each in rejected] == [("r0", "its vector has 4 dimensions, the table's 3")]
    assert docs.count("docs") == {"": 1}


def test_a_vector_that_the_table_does_not_have_is_never_dropped_in_silence(docs: PgvectorConnector) -> None:
    docs.create(PLAIN)
    shape = replace(PLAIN, vectors=(*PLAIN.vectors, VectorField("more", 2, "l2")))
    (rejected,) = docs.upsert("docs", batch([{}], shape))
    assert "vector `more`" in rejected.reason


def test_values_over_the_range_of_16_bits_are_rejected(docs: PgvectorConnector) -> None:
    shape = Collection("docs", (VectorField("", 2, "l2", "float16"),), mark="vecmig:test")
    docs.create(shape)
    vectors = np.array([[65_504, -65_519], [65_520, 0], [0, -1e9]], np.float32)
    sent = batch([{}, {}, {}], shape).replace("vector:", vector_column(vectors))
    assert [each.key.id for each in docs.upsert("docs", sent)] == ["r1", "r2"]


def test_sparse_vectors_beyond_the_limits_are_rejected(docs: PgvectorConnector) -> None:
    shape = (VectorField("", 20_000, "dot", "sparse"),)
    docs.create(Collection("docs", shape, mark="vecmig:test"))
    vectors: list[dict[str, Any]] = [
        {"indices": [19_999], "values": [1.0]},
        {"indices": [20_000], "values": [1.0]},
        {"indices": [1], "values": [float("nan")]},
        {"indices": list(range(16_001)), "values": [1.0] * 16_001},
        {"indices": list(range(16_000)), "values": [1.0] * 16_000},
    ]
    rows = [{"id": f"r{n}", "namespace": "", "metadata": "{}", "sparse:": v} for n, v in enumerate(vectors)]
    rejected = docs.upsert("docs", RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(shape))))
    reasons = {each.key.id: each.reason for each in rejected}
    assert reasons.keys() == {"r1", "r2", "r3"}
    assert "20,000 dimensions" in reasons["r1"]
    assert "NaN" in reasons["r2"]
    assert "16,000" in reasons["r3"]


def test_records_that_were_there_and_a_bad_one_meet_in_a_batch(docs: PgvectorConnector) -> None:
    docs.create(PLAIN)
    docs.upsert("docs", batch([{"metadata": {"v": 1}} for _ in range(5)]))
    second = batch([{"metadata": '{"v": 1e200000}' if n == 3 else {"v": 2}} for n in range(10)])
    (rejected,) = docs.upsert("docs", second)
    assert rejected.key.id == "r3"
    found = {id: each["v"] for id, each in read_all(docs, "docs").items()}
    assert found == {f"r{n}": 1 if n == 3 else 2 for n in range(10)}


def test_a_constraint_of_an_adopted_table_rejects_the_record_that_breaks_it(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE ruled (id text PRIMARY KEY, emb vector(3), a int CHECK (a > 0), b text UNIQUE, m jsonb)")
    connector = connect("ruled", metadata=["a", "b", "m.*"])
    rows = [{"a": 1, "b": "x"}, {"a": -1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 3, "b": "z"}]
    rejected = connector.upsert("ruled", batch([{"metadata": each} for each in rows]))
    assert {each.key.id for each in rejected} == {"r1", "r2"}
    assert all("PostgreSQL refuses it" in each.reason for each in rejected)


def test_no_reason_shows_a_value_of_the_record(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE private (id text PRIMARY KEY, emb vector(3), day text, n text CHECK (n <> 'secret-n'))")
    sql.execute(
        "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.day = 'secret-raise' THEN RAISE check_violation USING MESSAGE = 'not ' || NEW.day; END IF;"
        " IF NEW.day IS NOT NULL THEN PERFORM NEW.day::int; END IF; RETURN NEW; END $$"
    )
    sql.execute("CREATE TRIGGER told BEFORE INSERT ON private FOR EACH ROW EXECUTE FUNCTION told()")
    rows = [{"day": "secret-cast"}, {"day": "secret-raise"}, {"n": "secret-n"}, {"day": "1"}]
    rejected = connect("private", metadata=["day", "n"]).upsert("private", batch([{"metadata": row} for row in rows]))
    reasons = {each.key.id: each.reason for each in rejected}
    assert reasons.keys() == {"r0", "r1", "r2"}
    assert not any("secret" in reason for reason in reasons.values())
    assert "invalid text representation (SQLSTATE 22P02)" in reasons["r0"]
    assert "check violation (SQLSTATE 23514) in function `told`" in reasons["r1"]
    assert "check violation (SQLSTATE 23514) of constraint `private_n_check`" in reasons["r2"]


def test_what_a_trigger_raises_is_the_records_own_reason_without_its_text(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE guarded (id text PRIMARY KEY, emb vector(3), day text)")
    sql.execute(
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.day LIKE 'secret%' THEN RAISE 'no % here', NEW.day; END IF; RETURN NEW; END $$"
    )
    sql.execute("CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard()")
    rows = [{"day": "secret-1"}, {"day": "monday"}, {"day": "secret-2"}]
    connector = connect("guarded", metadata=["day"])
    rejected = connector.upsert("guarded", batch([{"metadata": row} for row in rows]))
    assert {each.key.id: each.reason for each in rejected} == dict.fromkeys(
        ("r0", "r2"), "PostgreSQL refuses it: raise exception (SQLSTATE P0001) in function `guard`"
    )
    assert list(read_all(connector, "guarded")) == ["r1"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("RAISE 'not %', OLD.day", "raise exception (SQLSTATE P0001) in function `kept`, whose text is not shown"),
        (
            "RAISE 'not %', OLD.day USING ERRCODE = 'serialization_failure'",
            "serialization failure (SQLSTATE 40001) in function `kept`, whose text is not shown",
        ),
    ],
)
def test_an_error_holds_no_text_that_a_function_of_the_database_raised(
    connect: Connect, sql: Any, body: str, said: str
) -> None:
    sql.execute("CREATE TABLE keeping (id text PRIMARY KEY, emb vector(3), day text)")
    sql.execute(f"CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    sql.execute("CREATE TRIGGER kept BEFORE DELETE ON keeping FOR EACH ROW EXECUTE FUNCTION kept()")
    connector = connect("keeping", metadata=["day"])
    connector.upsert("keeping", batch([{"metadata": {"day": "secret-day"}}]))
    with pytest.raises(ConnectorError) as error:
        connector.delete("keeping", [Key("", "r0")])
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_an_error_of_a_view_shows_no_value_that_it_cannot_cast(connect: Connect, sql: Any) -> None:
    sql.execute("CREATE TABLE raw (id text PRIMARY KEY, emb vector(3), day text)")
    sql.execute("""INSERT INTO raw VALUES ('a', '[1,2,3]', 'a "secret" day')""")
    sql.execute("CREATE VIEW viewed AS SELECT id, emb, day::int AS day FROM raw")
    connector = connect("viewed", id="id", vector="emb")
    with pytest.raises(ConnectorError) as error:
        read_all(connector, "viewed")
    assert 'invalid input syntax for type integer: "…"' in str(error.value)


def test_a_text_too_long_to_search_whole_is_stored_whole(docs: PgvectorConnector) -> None:
    docs.create(replace(PLAIN, fields=(Field("text", "text", search=True),)))
    text = " ".join(f"word{n}" for n in range(300_000))
    assert not docs.upsert("docs", batch([{"metadata": {"text": text}}]))
    assert read_all(docs, "docs")["r0"]["text"] == text
