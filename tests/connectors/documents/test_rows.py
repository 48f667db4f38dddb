"""Rows of files as documents."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.connectors.documents.data import problems, read, source, written
from vecmig.connectors.documents.options import Chunk, Columns
from vecmig.errors import ConnectorError


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def parquet(path: Path, columns: dict[str, Any], group_rows: int = 3) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=group_rows)
    return path


def test_each_chunk_of_a_row_has_the_fields_of_its_row(tmp_path: Path) -> None:
    row = {"id": 7, "text": "first part\n\nsecond part", "tags": ["a"], "price": 1.5, "none": None}
    found = read(source(written(tmp_path, {"rows.jsonl": lines(row)}), chunk=Chunk(12)))
    assert [each["id"] for each in found] == ["7#0", "7#1"]
    assert [each["text"] for each in found] == ["first part", "second part"]
    for each in found:
        assert (each["tags"], each["price"], each["none"], each["source"]) == (["a"], 1.5, None, "rows.jsonl")
        assert row["text"][each["start"] : each["end"]] == each["text"]  # type: ignore[index]


def test_columns_say_what_holds_what(tmp_path: Path) -> None:
    columns = Columns(id="key", text="body", metadata=("title", "rare"), namespace="tenant")
    rows = lines(
        {"key": "a", "body": "A", "title": "T", "tenant": "acme", "secret": 1},
        {"key": "b", "body": "B", "title": "T", "tenant": None, "rare": 2},
        {"key": "c", "body": "C", "title": "T", "tenant": 3},
    )
    connector = source(written(tmp_path, {"rows.jsonl": rows}), columns=columns)
    found = read(connector)
    assert [(each["namespace"], each["id"]) for each in found] == [("acme", "a#0"), ("", "b#0"), ("3", "c#0")]
    assert all("secret" not in each and "tenant" not in each and each["title"] == "T" for each in found)
    assert found[1]["rare"] == 2
    assert connector.count(str(tmp_path)) == {"acme": 1, "": 1, "3": 1}
    described = connector.describe(str(tmp_path))
    assert described
    assert described.namespaced
    assert described.vectors == ()


def test_a_row_that_has_a_field_of_ours_keeps_its_own(tmp_path: Path) -> None:
    row = {"id": "a", "text": "T", "source": "the web", "chunk": "x", "title": "mine"}
    (found,) = read(source(written(tmp_path, {"rows.jsonl": lines(row)})))
    assert (found["source"], found["chunk"], found["title"], found["start"]) == ("the web", "x", "mine", 0)


def test_a_field_that_the_chunk_would_cover_is_told(tmp_path: Path) -> None:
    rows = written(tmp_path, {"rows.jsonl": lines({"id": "a", "body": "B", "text": "other"})})
    assert "field `text` stands where" in problems(rows, columns=Columns(text="body"))["a"]
    (found,) = read(source(rows, columns=Columns(text="body", metadata=())))
    assert found["text"] == "B"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_csv_may_hold_line_ends_quotes_and_a_byte_order_mark(tmp_path: Path, ends: str) -> None:
    text = ends.join(["id,text,note", '1,"two', 'lines, ""quoted""",é', "2,plain,", "", "3,last,x"])
    found = read(source(written(tmp_path, {"rows.csv": b"\xef\xbb\xbf" + text.encode()})))
    assert [each["text"] for each in found] == [f'two{ends}lines, "quoted"', "plain", "last"]
    assert [each["note"] for each in found] == ["é", "", "x"]


def test_tsv_is_split_at_tabs(tmp_path: Path) -> None:
    (found,) = read(source(written(tmp_path, {"rows.tsv": "id\ttext\na\tone, two\n"})))
    assert found["text"] == "one, two"


def test_values_of_parquet_become_what_json_holds(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    columns = {
        "id": pa.array([1], pa.int64()),
        "text": pa.array(["T"]).dictionary_encode(),
        "at": pa.array([moment], pa.timestamp("us", "Europe/Berlin")),
        "fine": pa.array([1_000_000_001], pa.timestamp("ns")),
        "whole": pa.array([1_000_000_000], pa.timestamp("ns")),
        "day": pa.array([date(2026, 1, 2)]),
        "took": pa.array([timedelta(seconds=1.5)]),
        "price": pa.array([Decimal("12.50")]),
        "raw": pa.array([b"\xff\x00"]),
        "nested": pa.array([{"tags": ["a"], "n": None}]),
    }
    (found,) = read(source(parquet(tmp_path / "rows.parquet", columns)))
    assert found["at"] == "2026-01-02T03:04:05+00:00"
    assert found["fine"] == "1970-01-01T00:00:01.000000001+00:00"
    assert found["whole"] == "1970-01-01T00:00:01+00:00"
    assert (found["day"], found["took"], found["raw"]) == ("2026-01-02", 1.5, "/wA=")
    assert found["price"] == Decimal("12.50")
    assert found["nested"] == {"tags": ["a"], "n": None}


def test_nan_in_a_field_is_a_bad_record_and_the_others_are_not(tmp_path: Path) -> None:
    columns = {"id": ["a", "b"], "text": ["A", "B"], "score": [1.0, float("nan")]}
    found = read(source(parquet(tmp_path / "rows.parquet", columns)))
    assert [(each["id"], bool(each["problem"])) for each in found] == [("a#0", False), ("b", True)]


@pytest.mark.parametrize("at_most", [1, 2, 5, 16])
@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_one_large_file_is_shared_out_and_nothing_is_read_twice(tmp_path: Path, kind: str, at_most: int) -> None:
    rows = [{"id": str(n), "text": f"text {n} " + "é" * (n % 7)} for n in range(100)]
    if kind == "jsonl":
        written(tmp_path, {"rows.jsonl": lines(*rows)})
    elif kind == "csv":
        written(tmp_path, {"rows.csv": "id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in rows)})
    else:
        parquet(tmp_path / "rows.parquet", {name: [row[name] for row in rows] for name in ("id", "text")})
    connector = source(tmp_path, page_rows=7)
    parts = connector.partitions(str(tmp_path), at_most)
    assert len(parts) == (1 if kind == "csv" else at_most)
    sizes = [sum(len(batch) for batch, _ in connector.read(part, None)) for part in parts]
    assert max(sizes) <= 100 // len(parts) + 15
    assert [each["id"] for each in read(connector, at_most)] == [f"{row['id']}#0" for row in rows]


def test_partitions_of_a_file_hold_for_another_content(tmp_path: Path) -> None:
    written(tmp_path, {"rows.jsonl": lines(*({"id": n, "text": "x" * 20} for n in range(50)))})
    connector = source(tmp_path)
    parts = connector.partitions(str(tmp_path), 8)
    written(tmp_path, {"rows.jsonl": lines(*({"id": n, "text": "y" * (n % 90)} for n in range(1, 70)))})
    written(tmp_path, {"a.md": "new, before", "z.md": "new, behind"})
    found = [key.id for part in parts for batch, _ in connector.read(part, None) for key in batch.keys]
    assert found == ["a.md#0", *(f"{n}#0" for n in range(1, 70)), "z.md#0"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("rows.csv", "id;text\n1;x\n"), ("rows.csv", b"\x89PNG\r\n\xff\xfe"), ("rows.tsv", "id,text\n1,x\n")],
)
def test_a_missing_column_is_told_with_those_that_there_are(tmp_path: Path, name: str, content: str | bytes) -> None:
    connector = source(written(tmp_path, {name: content}))
    with pytest.raises(ConnectorError, match=rf"{name} has no column 'id'; it has .*`columns: .*`include: ") as caught:
        connector.count(str(tmp_path))
    str(caught.value).encode()


def test_columns_of_parquet_are_checked_before_rows_are_read(tmp_path: Path) -> None:
    path = parquet(tmp_path / "rows.parquet", {"id": [1], "text": [b"bytes"]})
    with pytest.raises(ConnectorError, match="column 'text' is binary, and must be text"):
        source(path).count(str(path))
    with pytest.raises(ConnectorError, match="has no column 'author'"):
        source(path, columns=Columns(metadata=("author",))).count(str(path))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="two columns are called 'a'"):
        read(source(written(tmp_path, {"rows.csv": "id,text,a,a\n"})))
