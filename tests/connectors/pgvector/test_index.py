"""Indexes: what is declared is there after the build, once, and what it replaces is gone."""

from typing import Any

import numpy as np
import psycopg
import pytest
from msgspec.structs import replace

from tests.connectors.pgvector.conftest import Connect
from tests.connectors.pgvector.data import PLAIN, batch, with_fields
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.errors import ConnectorError
from vecmig.model.collection import Collection, Field, Index, IndexType, Metric, VectorField, VectorKind
from vecmig.model.secret import Secret
from vecmig.protocols import IndexProgress


def filled(connector: PgvectorConnector, shape: Collection, rows: int = 50) -> None:
    connector.create(shape)
    random = np.random.default_rng(0)
    assert not connector.upsert(
        shape.name,
        batch(
            [{"id": str(n), "vector:": random.normal(size=3).tolist(), "metadata": {"lang": "en"}} for n in range(rows)]
        ),
    )


def indexes(sql: Any) -> dict[str, bool]:
    found = sql.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE NOT i.indisprimary AND i.indrelid = to_regclass('docs')"
    )
    return dict(found.fetchall())


def with_index(index: Index | None, metric: Metric = "cosine", kind: VectorKind = "float32") -> Collection:
    return replace(PLAIN, vectors=(VectorField("", 3, metric, kind, index),))


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("type_", ["hnsw", "ivfflat"])
@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_every_metric_of_every_index_is_built_and_read_back(
    docs: PgvectorConnector, sql: Any, metric: Metric, type_: IndexType, kind: VectorKind
) -> None:
    index = Index("hnsw", m=8, ef_construction=32) if type_ == "hnsw" else Index("ivfflat", lists=3)
    shape = with_index(index, metric, kind)
    if metric == "l1" and type_ == "ivfflat":
        assert any("hnsw" in reason for reason in docs.options.refusals(shape))
        return
    assert not docs.options.refusals(shape)
    filled(docs, shape)
    list(docs.build_index(shape))
    actual = docs.describe("docs")
    assert actual
    assert actual.vectors == shape.vectors
    assert len(indexes(sql)) == 1


def test_a_default_index_is_what_complete_says(docs: PgvectorConnector) -> None:
    shape = with_index(None)
    filled(docs, shape)
    before = docs.describe("docs")
    assert before
    assert before.vectors[0].index == Index("flat")
    list(docs.build_index(shape))
    actual = docs.describe("docs")
    assert actual
    assert actual == docs.options.complete(shape)


def test_other_parameters_build_a_new_index_and_then_drop_the_old(docs: PgvectorConnector, sql: Any) -> None:
    filled(docs, with_index(Index(m=8, ef_construction=32)))
    list(docs.build_index(with_index(Index(m=8, ef_construction=32))))
    (old,) = indexes(sql)
    seen: list[int] = []
    for progress in docs.build_index(with_index(Index(m=16, ef_construction=32))):
        assert isinstance(progress, IndexProgress)
        seen.append(old in indexes(sql))
    assert seen
    assert all(seen), "the old index serves until the new one is there"
    (new,) = indexes(sql)
    assert new != old
    list(docs.build_index(with_index(Index("flat"))))
    assert not indexes(sql)


def test_an_index_that_is_right_stays_and_those_of_others_stay_always(docs: PgvectorConnector, sql: Any) -> None:
    filled(docs, with_index(None))
    sql.execute("CREATE INDEX by_hand ON docs USING hnsw (embedding vector_cosine_ops) WITH (m = 16)")
    sql.execute("CREATE INDEX other_metric ON docs USING hnsw (embedding vector_l2_ops)")
    list(docs.build_index(with_index(None)))
    assert set(indexes(sql)) == {"by_hand", "other_metric"}, "one with these settings was there"
    list(docs.build_index(with_index(Index(m=4, ef_construction=16))))
    assert {"by_hand", "other_metric"} < set(indexes(sql))
    assert len(indexes(sql)) == 3


def test_a_renamed_table_keeps_its_indexes_as_vecmig_s(docs: PgvectorConnector, connect: Connect, sql: Any) -> None:
    filled(docs, with_index(None))
    list(docs.build_index(with_index(None)))
    sql.execute("ALTER TABLE docs RENAME TO renamed")
    other = replace(with_index(Index(m=4, ef_construction=16)), name="renamed")
    list(connect("renamed").build_index(other))
    actual = connect("renamed").describe("renamed")
    assert actual
    assert actual.vectors == other.vectors


def test_what_a_broken_build_left_behind_is_built_anew(docs: PgvectorConnector, sql: Any) -> None:
    filled(docs, with_index(None))
    list(docs.build_index(with_index(None)))
    (name,) = indexes(sql)
    sql.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(quote_ident(%s))", [name])
    actual = docs.describe("docs")
    assert actual
    assert actual.vectors[0].index == Index("flat")
    list(docs.build_index(with_index(None)))
    assert indexes(sql) == {name: True}


def test_a_build_that_is_left_early_is_cancelled_and_works_the_next_time(docs: PgvectorConnector, sql: Any) -> None:
    filled(docs, with_index(None), rows=3_000)
    sql.execute("CREATE INDEX by_hand ON docs USING hnsw (embedding vector_l2_ops)")  # so that it is concurrent
    progress = docs.build_index(with_index(None))
    next(progress)
    progress.close()  # type: ignore[attr-defined]  # a generator
    active = sql.execute("SELECT count(*) FROM pg_stat_progress_create_index").fetchone()
    assert active == (0,)
    list(docs.build_index(with_index(None)))
    assert all(indexes(sql).values())
    assert len(indexes(sql)) == 2


def test_a_table_that_was_searched_before_is_indexed_concurrently(connect: Connect, bare_database: str) -> None:
    docs = connect("docs", dsn=bare_database)
    filled(docs, with_index(None))
    with psycopg.connect(bare_database, autocommit=True) as sql:
        sql.execute("CREATE TABLE statements (text text)")
        sql.execute(
            "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO statements VALUES (current_query()); END $$"
        )
        sql.execute(
            "CREATE EVENT TRIGGER noting ON ddl_command_start WHEN tag IN ('CREATE INDEX') EXECUTE FUNCTION note()"
        )
        list(docs.build_index(with_index(None)))
        list(docs.build_index(with_index(Index(m=8, ef_construction=32))))
        sql.execute("COMMENT ON TABLE docs IS NULL")
        names = sql.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%hnsw%'").fetchall()
        sql.execute("DROP INDEX " + ", ".join(f'"{name}"' for (name,) in names))
        list(docs.build_index(with_index(None)))
        said = ["CONCURRENTLY" in text for (text,) in sql.execute("SELECT text FROM statements").fetchall()]
    assert said == [False, True, True], "new; indexed; not made by vecmig"


def test_fields_get_the_indexes_that_filters_and_text_search_use(docs: PgvectorConnector, sql: Any) -> None:
    shape = with_fields(
        Field("lang", "text", filter=True), Field("tags", "text[]", filter=True), Field("body", "text", search=True),
        Field("plain", "int"),
    )  # fmt: skip
    docs.create(shape)
    metadata = {"lang": "en", "tags": ["a", "b"], "body": "Hello, wide world", "plain": 1}
    docs.upsert("docs", batch([{"metadata": metadata}]))
    for _ in range(2):
        list(docs.build_index(shape))
    actual = docs.describe("docs")
    assert actual
    assert actual.fields == shape.fields
    methods = sql.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'docs' ORDER BY 1").fetchall()
    assert [("gin (" in row[0], "btree (lang" in row[0], "hnsw" in row[0]) for row in methods].count(
        (True, False, False)
    ) == 2
    assert len(methods) == 5
    found = sql.execute("SELECT id FROM docs WHERE body_search @@ to_tsquery('simple', 'wide & world')").fetchall()
    assert found == [("r0",)]


def test_the_lists_of_an_ivfflat_index_follow_from_the_rows(docs: PgvectorConnector) -> None:
    shape = with_index(Index("ivfflat"))
    filled(docs, shape, rows=3_000)
    list(docs.build_index(shape))
    actual = docs.describe("docs")
    assert actual
    assert actual.vectors[0].index == Index("ivfflat", lists=3)
    for _ in range(2):  # and again: what is not declared is no difference
        list(docs.build_index(shape))
    assert docs.describe("docs") == actual


def test_progress_is_postgresql_s_own(docs: PgvectorConnector) -> None:
    filled(docs, with_index(None), rows=2_500)
    progress = list(docs.build_index(with_index(Index(m=48, ef_construction=400))))
    assert any(each.fraction is not None and 0 <= each.fraction <= 1 for each in progress), progress
    assert all("docs" in each.index for each in progress)


def test_a_sparse_index_with_too_many_values_says_what_to_do(docs: PgvectorConnector) -> None:
    shape = Collection("docs", (VectorField("", 2_000, "dot", "sparse"),), mark="vecmig:test")
    docs.create(shape)
    many = {"indices": list(range(1_500)), "values": [1.0] * 1_500}
    docs.upsert("docs", batch([{"sparse:": many}], shape))
    with pytest.raises(ConnectorError, match="1000 non-zero"):
        list(docs.build_index(shape))


def test_options_do_not_reach_the_connection_of_others(docs: PgvectorConnector, database: str) -> None:
    filled(docs, with_index(None))
    list(docs.build_index(with_index(None)))
    with docs.sessions.writing("docs") as session, psycopg.connect(database) as other:
        for name in ("maintenance_work_mem", "min_parallel_table_scan_size"):
            assert session.execute(f"SHOW {name}").fetchone() == other.execute(f"SHOW {name}").fetchone()


def test_an_option_for_text_search_is_used(database: str, sql: Any) -> None:
    connector = PgvectorOptions(Secret(database), "docs", text_search="english").open()
    connector.create(with_fields(Field("body", "text", search=True)))
    connector.upsert("docs", batch([{"metadata": {"body": "the runners were running"}}]))
    found = sql.execute("SELECT count(*) FROM docs WHERE body_search @@ to_tsquery('english', 'run')").fetchone()
    assert found == (1,)
    connector.close()
