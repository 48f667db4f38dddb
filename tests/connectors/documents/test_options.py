"""What the spec may say of documents, and that it costs nothing to say it."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import ValidationError, convert

from tests.connectors.documents.data import source, written
from vecmig.connectors.documents.options import DocumentsOptions
from vecmig.errors import SpecError, UnsupportedError
from vecmig.model.collection import Collection
from vecmig.model.plan import Partition
from vecmig.model.secret import Secret
from vecmig.protocols import Search
from vecmig.spec.load import load
from vecmig.testing.contract import KEYS, records


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either `path`"),
        ({"path": "a", "query": "SELECT"}, "either `path`"),
        ({"query": "SELECT"}, "`query` and `dsn` go together"),
        ({"path": "a", "chunk": {"size": 100, "overlap": 100}}, r"`overlap` \(100\) must be smaller"),
        ({"path": "a/*.md", "include": ["*.md"]}, "`include` chooses files of a directory"),
        ({"path": "s3://me:secret@host/a"}, "`path` holds a password"),
        ({"path": "a", "chunk": {"unit": "words"}}, "words"),
    ],
)
def test_what_cannot_be_right_is_refused_without_a_look(options: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        convert(options, DocumentsOptions)


def test_options_are_read_without_a_parser() -> None:
    code = (
        "import sys; from vecmig.connectors.documents.options import DocumentsOptions as O; O('docs').refusals(None);"
        "print([m for m in ('pyarrow', 'psycopg', 'pypdfium2', 'markdown_it', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_paths_stand_beside_the_spec_and_urls_where_they_are(tmp_path: Path) -> None:
    assert DocumentsOptions("docs/*.md").anchored("/here").collection == "/here/docs/*.md"
    assert DocumentsOptions("s3://bucket/docs").anchored("/here").collection == "s3://bucket/docs"


def test_a_query_is_not_told_by_its_text() -> None:
    options = DocumentsOptions(query="SELECT * FROM a WHERE tenant = 'acme'", dsn=Secret("x"))
    assert options.label.startswith("query ")
    assert "acme" not in options.label


def test_documents_are_refused_as_a_target_by_the_spec(tmp_path: Path) -> None:
    (tmp_path / "vecmig.yaml").write_text(
        "version: 1\nname: x\nsources: {a: {type: snapshot, path: a}}\ntargets: {b: {type: documents, path: b}}\n"
        "migrations: [{name: m, source: a, target: b}]\n"
    )
    with pytest.raises(SpecError, match="`documents` can only be read"):
        load(str(tmp_path / "vecmig.yaml"), "default")


def test_nothing_can_be_searched_for(tmp_path: Path) -> None:
    connector = source(written(tmp_path, {"a.md": "text"}))
    with pytest.raises(UnsupportedError, match="no vectors"):
        connector.search(str(tmp_path), Search(records(KEYS[:1]).vectors(""), k=1))


def test_records_have_no_vectors(tmp_path: Path) -> None:
    connector = source(written(tmp_path, {"a.md": "text"}))
    assert connector.describe(str(tmp_path)) == Collection(str(tmp_path), (), namespaced=False)
    (part,) = connector.partitions(str(tmp_path), 1)
    assert isinstance(part, Partition)
    for batch, _ in connector.read(part, None, vectors=None):
        assert batch.names == ["id", "namespace", "metadata"]


def test_doctor_counts_the_files_of_each_kind(tmp_path: Path) -> None:
    written(tmp_path, {"a.md": "text", "b.md": "text", "c.pdf": "pdf"})
    assert list(DocumentsOptions(str(tmp_path)).diagnose()) == [("files", True, "2 markdown, 1 pdf")]
    ((_, well, detail),) = DocumentsOptions(str(tmp_path / "none")).diagnose()
    assert not well
    assert "is no file, and no directory" in detail
