"""Parquet files that vecmig did not make."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecmig.connectors.snapshot.connector import SnapshotConnector
from vecmig.connectors.snapshot.options import Columns, SnapshotOptions
from vecmig.errors import CollectionNotFound, ConnectorError
from vecmig.model.batch import RecordBatch
from vecmig.model.filter import parse
from vecmig.model.metadata import loads
from vecmig.model.record import Key
from vecmig.protocols import Search

VECTORS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def source(
    tmp_path: Path,
    columns: dict[str, Any],
    mapping: Columns | None = None,
    page_rows: int | None = None,
    group_rows: int = 2,
) -> SnapshotConnector:
    pq.write_table(pa.table(columns), tmp_path / "part.parquet", row_group_size=group_rows)
    return SnapshotOptions(str(tmp_path), columns=mapping, page_rows=page_rows).open()


def read(connector: SnapshotConnector, tmp_path: Path, at_most: int = 1) -> list[RecordBatch]:
    parts = connector.partitions(str(tmp_path), at_most)
    return [page for part in parts for page, _ in connector.read(part, None)]


def only(connector: SnapshotConnector, tmp_path: Path) -> RecordBatch:
    (page,) = read(connector, tmp_path)
    return page


def metadata(batch: RecordBatch) -> list[dict[str, Any]]:
    return [loads(text) for text in batch.strings("metadata")]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(VECTORS, pa.list_(pa.float32())),
        pa.array(VECTORS, pa.list_(pa.float64())),
        pa.array(VECTORS, pa.large_list(pa.float32())),
        pa.array(VECTORS, pa.list_(pa.float32(), 2)),
        pa.array([[np.float16(x) for x in v] for v in VECTORS], pa.list_(pa.float16())),
        pa.array([np.array(v, "<f4").tobytes() for v in VECTORS], pa.binary()),
        pa.array([np.array(v, "<f4").tobytes() for v in VECTORS], pa.large_binary()),
    ],
    ids=["list", "double", "large_list", "fixed", "half", "binary", "large_binary"],
)
def test_vectors_are_read_whatever_type_they_have(tmp_path: Path, column: pa.Array) -> None:
    connector = source(tmp_path, {"doc": ["a", "b", "c"], "emb": column}, Columns("doc", "emb"), group_rows=9)
    batch = only(connector, tmp_path)
    assert batch.vectors("").tolist() == VECTORS
    found = connector.describe(str(tmp_path))
    assert found
    assert (found.vectors[0].dimensions, found.vectors[0].metric, found.mark) == (2, "cosine", None)


def test_the_only_column_of_vectors_needs_no_mapping_and_two_do(tmp_path: Path) -> None:
    assert len(only(source(tmp_path, {"id": ["a"], "emb": [[1.0]]}), tmp_path)) == 1
    two = source(tmp_path, {"id": ["a"], "emb": [[1.0]], "other": [[2.0]]})
    with pytest.raises(ConnectorError, match=r"2 columns that may hold vectors: emb, other"):
        two.describe(str(tmp_path))
    named = Columns(vector={"body": "emb", "title": "other"})
    batch = only(source(tmp_path, {"id": ["a"], "emb": [[1.0]], "other": [[2.0]]}, named), tmp_path)
    assert (batch.vectors("body")[0, 0], batch.vectors("title")[0, 0]) == (1, 2)
    assert metadata(batch) == [{}]


def test_other_columns_become_metadata_with_their_types(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 6, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    columns = {
        "id": ["a"],
        "emb": [[1.0]],
        "text": ["é"],
        "int": pa.array([2**63 - 1]),
        "unsigned": pa.array([2**64 - 1], pa.uint64()),
        "real": [0.1],
        "flag": [True],
        "none": pa.array([None], pa.string()),
        "price": pa.array([Decimal("12345678901234567890.10")], pa.decimal128(30, 2)),
        "at": pa.array([moment], pa.timestamp("us", "Europe/Berlin")),
        "naive": pa.array([datetime(2024, 5, 6)], pa.timestamp("us")),
        "nanos": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
        "day": [date(2024, 5, 6)],
        "tags": [["x", "y"]],
        "nested": [{"a": [1, None], "b": {"c": moment.astimezone(UTC)}}],
        "kind": pa.array(["k"]).dictionary_encode(),
        "raw": [b"\x00\xff"],
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
    }
    (found,) = metadata(only(source(tmp_path, columns, Columns(vector="emb")), tmp_path))
    assert found == {
        "text": "é",
        "int": 2**63 - 1,
        "unsigned": Decimal(2**64 - 1),
        "real": 0.1,
        "flag": True,
        "none": None,
        "price": Decimal("12345678901234567890.10"),
        "at": "2024-05-06T10:30:00+00:00",
        "naive": "2024-05-06T00:00:00+00:00",
        "nanos": "2023-11-14T22:13:20.123456789+00:00",
        "day": "2024-05-06",
        "tags": ["x", "y"],
        "nested": {"a": [1, None], "b": {"c": "2024-05-06T10:30:00+00:00"}},
        "kind": "k",
        "raw": "AP8=",
        "map": {"k": 1},
    }


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_time_reads_the_same_whatever_stands_beside_it(tmp_path: Path, zone: str | None) -> None:
    seconds = 1_700_000_000_000_000_000
    stored = [seconds, seconds + 1, None, seconds + 500_000_000, -1, seconds + 1000]
    at = pa.array(stored, pa.timestamp("ns", zone))
    columns = {"id": [str(n) for n in range(6)], "emb": [[1.0]] * 6, "at": at}
    wanted = ["2023-11-14T22:13:20+00:00", "2023-11-14T22:13:20.000000001+00:00", None, "2023-11-14T22:13:20.500000+00:00",
              "1969-12-31T23:59:59.999999999+00:00", "2023-11-14T22:13:20.000001+00:00"]  # fmt: skip
    for page_rows in (1, 2, 6):
        connector = source(tmp_path, columns, page_rows=page_rows, group_rows=6)
        found = [each["at"] for page in read(connector, tmp_path) for each in metadata(page)]
        assert found == wanted
        alone = [metadata(connector.fetch(str(tmp_path), [Key("", str(n))]))[0]["at"] for n in range(6)]
        assert alone == wanted


def test_only_the_columns_named_become_metadata(tmp_path: Path) -> None:
    columns = {"id": ["a"], "emb": [[1.0]], "title": ["t"], "secret": ["s"]}
    assert metadata(only(source(tmp_path, columns, Columns(metadata=("title",))), tmp_path)) == [{"title": "t"}]
    with pytest.raises(ConnectorError, match="no column 'gone'"):
        read(source(tmp_path, columns, Columns(metadata=("gone",))), tmp_path)


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        (pa.array([1, 2**63 - 1]), ["1", str(2**63 - 1)]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (
            pa.array([uuid.UUID(int=5).bytes, uuid.UUID(int=6).bytes], pa.binary(16)),
            [str(uuid.UUID(int=n)) for n in (5, 6)],
        ),
    ],
)
def test_ids_of_other_types_become_text(tmp_path: Path, ids: pa.Array, texts: list[str]) -> None:
    connector = source(tmp_path, {"id": ids, "emb": [[1.0], [2.0]]})
    assert only(connector, tmp_path).strings("id") == texts
    assert connector.fetch(str(tmp_path), [Key("", texts[1])]).strings("id") == [texts[1]]


def test_namespaces_come_from_their_column_and_are_counted(tmp_path: Path) -> None:
    columns = {"id": ["a", "a", "b"], "emb": VECTORS, "tenant": ["x", None, "x"]}
    connector = source(tmp_path, columns, Columns(namespace="tenant"))
    assert connector.count(str(tmp_path)) == {"x": 2, "": 1}
    assert {key for page in read(connector, tmp_path) for key in page.keys} == {
        Key("x", "a"),
        Key("", "a"),
        Key("x", "b"),
    }
    assert connector.fetch(str(tmp_path), [Key("", "a")]).vectors("").tolist() == [VECTORS[1]]
    search = Search(np.array([[0, 1]], np.float32), 5, namespace="x", filter=parse({"tenant": {"exists": False}}))
    assert len(connector.search(str(tmp_path), search)[0].keys) == 2


def test_what_is_wrong_with_a_row_is_said_beside_it(tmp_path: Path) -> None:
    columns = {
        "id": ["fine", "short", "nan", "hole", "none", "", None, "endless"],
        "emb": pa.array(
            [[1, 2], [1], [1, float("nan")], [1, None], None, [1, 2], [1, 2], [1, 2]], pa.list_(pa.float32())
        ),
        "score": [0.5] * 7 + [float("inf")],
    }
    connector = source(tmp_path, columns, Columns(vector="emb"), group_rows=9)
    batch = only(connector, tmp_path)
    assert batch.strings("problem") == [
        None,
        "vector 'emb' has 1 dimensions, not 2",
        "vector 'emb' holds NaN or infinity",
        "vector 'emb' has a component that is null",
        None,
        "the id is empty",
        "the id is empty",
        "field 'score' holds NaN or infinity, which JSON cannot hold",
    ]
    assert batch.strings("id")[4:7] == ["none", "row 6 of part.parquet", "row 7 of part.parquet"]
    assert batch.table.column("vector:").is_null().to_pylist() == [False, True, False, True, True, False, False, False]
    assert connector.fetch(str(tmp_path), [Key("", "short"), Key("", "fine")]).strings("id") == ["fine"]


def test_a_double_that_float32_cannot_hold_is_a_problem(tmp_path: Path) -> None:
    batch = only(source(tmp_path, {"id": ["a"], "emb": [[1e300]]}), tmp_path)
    assert batch.strings("problem") == ["vector 'emb' holds NaN or infinity"]


def test_rows_are_numbered_over_the_whole_file(tmp_path: Path) -> None:
    connector = source(tmp_path, {"id": ["a", "b", "c", "d", None], "emb": [[1.0]] * 5}, page_rows=1)
    assert read(connector, tmp_path)[-1].strings("id") == ["row 5 of part.parquet"]


@pytest.mark.parametrize("at_most", [1, 2, 3, 20])
def test_partitions_of_several_files_are_disjoint_and_can_be_resumed(tmp_path: Path, at_most: int) -> None:
    for n in range(3):
        rows = range(n * 10, n * 10 + 7)
        table = pa.table({"id": [f"{row:02d}" for row in rows], "emb": [[float(row)] for row in rows]})
        (tmp_path / "deep" / f"year={n}").mkdir(parents=True)
        pq.write_table(table, tmp_path / "deep" / f"year={n}" / "x.parquet", row_group_size=3)
    connector = SnapshotOptions(str(tmp_path), page_rows=2).open()
    everything = [f"{n * 10 + row:02d}" for n in range(3) for row in range(7)]
    parts = connector.partitions(str(tmp_path), at_most)
    assert len(parts) <= at_most
    assert [key.id for page in read(connector, tmp_path, at_most) for key in page.keys] == everything
    for part in parts:
        found = list(connector.read(part, None))
        for done, (_, cursor) in enumerate(found, start=1):
            rest = [key for page, _ in connector.read(part, cursor) for key in page.keys]
            assert rest == [key for page, _ in found[done:] for key in page.keys]


def test_a_file_and_a_pattern_are_collections_too(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b"):
        pq.write_table(pa.table({"id": [name], "emb": [[1.0]]}), tmp_path / f"{name}.parquet")
    for path, count in ((str(tmp_path / "b.parquet"), 1), (str(tmp_path / "a*.parquet"), 2)):
        options = SnapshotOptions(path)
        connector = options.open()
        assert connector.count(path) == {"": count}
        assert (
            sum(len(page) for part in connector.partitions(path, 2) for page, _ in connector.read(part, None)) == count
        )
        found = connector.describe(path)
        assert found
        assert options.refusals(found), "and no target"


def test_a_fingerprint_shows_a_rewritten_file(tmp_path: Path) -> None:
    connector = source(tmp_path, {"id": ["a"], "emb": [[1.0]]})
    before = connector.fingerprint(str(tmp_path))
    assert before.strength == "exact"
    assert connector.fingerprint(str(tmp_path)) == before
    source(tmp_path, {"id": ["a"], "emb": [[2.0]]})
    assert connector.fingerprint(str(tmp_path)) != before


def test_large_row_groups_are_read_in_pages(tmp_path: Path) -> None:
    rows = 40_000
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * 64, np.float32)), 64)
    connector = source(tmp_path, {"id": pa.array(np.arange(rows)), "emb": column}, group_rows=rows)
    sizes = [page.nbytes for page in read(connector, tmp_path)]
    assert len(sizes) > 1
    assert max(sizes) < 20_000_000


def test_what_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "part.parquet").write_bytes(b"no parquet at all, but long enough to be one")
    with pytest.raises(ConnectorError, match=r"part.parquet is damaged"):
        SnapshotOptions(str(tmp_path)).open().count(str(tmp_path))


def test_files_without_any_vector_are_told(tmp_path: Path) -> None:
    connector = source(tmp_path, {"id": ["a"], "emb": pa.array([None], pa.list_(pa.float32()))})
    with pytest.raises(ConnectorError, match="no vector at all"):
        connector.describe(str(tmp_path))
    with pytest.raises(CollectionNotFound):
        SnapshotOptions(str(tmp_path / "none")).open().count(str(tmp_path / "none"))


def test_the_parts_of_a_snapshot_without_its_manifest_can_be_read(tmp_path: Path) -> None:
    columns = {"id": ["a"], "namespace": ["n"], "metadata": ['{"x": 1}'], "vector:": [[1.0]]}
    batch = only(source(tmp_path, columns, Columns(namespace="namespace")), tmp_path)
    assert batch.keys == [Key("n", "a")]
    assert json.loads(metadata(batch)[0]["metadata"]) == {"x": 1}
