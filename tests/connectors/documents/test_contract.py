"""The source's part of the contract, for each kind of place that documents come from."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.connectors.documents.data import written
from vecmig.connectors.documents.options import Chunk, Columns, DocumentsOptions
from vecmig.model.collection import Collection
from vecmig.model.record import Key
from vecmig.model.secret import Secret
from vecmig.protocols import Source
from vecmig.testing.contract import SourceContract

COLUMNS = Columns(namespace="tenant")
ROWS = [
    {"id": id, "tenant": tenant, "text": f"{id} of {tenant}", "n": n}
    for tenant in ("one", "two")
    for n, id in enumerate("abcde")
]
KEYS = [Key(str(row["tenant"]), f"{row['id']}#0") for row in ROWS]


class DocumentsContract(SourceContract):
    @pytest.fixture
    def source(self, options: DocumentsOptions) -> Iterator[Source]:
        with closing(options.open()) as source:
            yield source

    @pytest.fixture
    def empty(self, tmp_path: Path) -> Source:
        return DocumentsOptions(str(tmp_path / "nothing" / "*.md")).open()

    @pytest.fixture
    def collection(self, request: pytest.FixtureRequest) -> Collection:
        empty = "empty" in request.fixturenames
        options = request.getfixturevalue("empty").options if empty else request.getfixturevalue("options")
        return Collection(options.collection, ())

    @pytest.fixture
    def keys(self) -> list[Key]:
        return KEYS


class TestFolder(DocumentsContract):
    @pytest.fixture
    def options(self, tmp_path: Path) -> DocumentsOptions:
        long = "first words here\n\nsecond words here\n\nthird words here"
        files: dict[str, str | bytes] = {"a.md": long, "b/c.txt": "short", "b/d.html": f"<p>{long}", "e.md": long}
        return DocumentsOptions(str(written(tmp_path, files)), chunk=Chunk(20), page_rows=2)

    @pytest.fixture
    def keys(self) -> list[Key]:
        chunks = {"a.md": 3, "b/c.txt": 1, "b/d.html": 3, "e.md": 3}
        return [Key("", f"{name}#{n}") for name, count in chunks.items() for n in range(count)]


class TestJsonl(DocumentsContract):
    @pytest.fixture
    def options(self, tmp_path: Path) -> DocumentsOptions:
        lines = [json.dumps(row) + "\n" for row in ROWS]
        folder = written(tmp_path, {"a.jsonl": "".join(lines[:7]), "b.jsonl": "".join(lines[7:])})
        return DocumentsOptions(f"{folder}/*.jsonl", columns=COLUMNS, page_rows=2)


class TestCsv(DocumentsContract):
    @pytest.fixture
    def options(self, tmp_path: Path) -> DocumentsOptions:
        lines = [f'{row["id"]},{row["tenant"]},"{row["text"]}",{row["n"]}\n' for row in ROWS]
        head = "id,tenant,text,n\n"
        folder = written(tmp_path, {"a.csv": head + "".join(lines[:7]), "b.csv": head + "".join(lines[7:])})
        return DocumentsOptions(str(folder), columns=COLUMNS, page_rows=2)


class TestParquet(DocumentsContract):
    @pytest.fixture
    def options(self, tmp_path: Path) -> DocumentsOptions:
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet", row_group_size=3)
        return DocumentsOptions(str(tmp_path / "rows.parquet"), columns=COLUMNS, page_rows=2)


class TestQuery(DocumentsContract):
    @pytest.fixture
    def options(self, database: str) -> DocumentsOptions:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE articles (tenant text, id text, body text, n int, PRIMARY KEY (tenant, id))"
            )
            rows = [(row["tenant"], row["id"], row["text"], row["n"]) for row in ROWS]
            connection.cursor().executemany("INSERT INTO articles VALUES (%s, %s, %s, %s)", rows)
        query = "SELECT tenant, id, body AS text, n FROM articles"
        return DocumentsOptions(query=query, dsn=Secret(database), columns=COLUMNS, page_rows=2)
