"""What cannot be read is named, and the rest is read; hostile input costs seconds and no memory."""

import json
import os
import re
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import fpdf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.connectors.documents.data import problems, read, source, written
from tests.connectors.documents.test_kinds import made_pdf
from vecmig.errors import CollectionNotFound, ConnectorError
from vecmig.model.record import Key


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("latin.txt", "Käse".encode("latin-1"), r"not UTF-8: byte 0xe4 at 1"),
        ("utf16.md", "text".encode("utf-16"), r"binary, or UTF-16"),
        ("image.txt", b"\x89PNG\r\n\x1a\n\0\0", r"binary"),
        ("empty.md", b"", r"holds no text"),
        ("blank.txt", b" \n\t\r\n", r"holds no text"),
        ("empty.html", b"<html><script>x</script></html>", r"holds no text"),
        ("charset.html", b"<meta charset='nonsense'>\xff", r"neither UTF-8 nor the nonsense"),
        ("charset.htm", b"<meta charset='shift_jis'>\xff\xff", r"neither UTF-8 nor the shift_jis"),
        ("front.md", b"---\ntitle: only\n---\n", r"holds no text"),
        ("empty.pdf", b"", r"no PDF, or a damaged one"),
        ("broken.pdf", made_pdf(["text"])[:400], r"no PDF, or a damaged one"),
        ("renamed.pdf", b"just text", r"no PDF, or a damaged one"),
        ("scan.pdf", made_pdf(["", ""]), r"none of its 2 pages has a text"),
        ("field.md", b"---\ntext: mine\n---\nWords", r"its field `text`"),
    ],
)
def test_a_bad_file_is_a_record_with_its_reason_and_the_others_are_read(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    connector = source(written(tmp_path, {name: content, "a-good.md": "good", "z-good.md": "good"}))
    found = {each["id"]: each["problem"] for each in read(connector)}
    assert found.keys() == {"a-good.md#0", name, "z-good.md#0"}
    assert found["a-good.md#0"] is None
    assert found["z-good.md#0"] is None
    assert re.search(reason, found[name])
    assert connector.count(str(tmp_path)) == {"": 3}


def test_an_encrypted_pdf_is_told(tmp_path: Path) -> None:
    pdf = fpdf.FPDF()
    pdf.set_encryption(owner_password="owner", user_password="user")
    pdf.add_page()
    assert "encrypted" in problems(written(tmp_path, {"a.pdf": bytes(pdf.output())}))["a.pdf"]


@pytest.mark.parametrize(
    ("line", "id", "reason"),
    [
        ("no json", "rows.jsonl:byte 23", "no JSON object"),
        ("[1]", "rows.jsonl:byte 23", "no JSON object"),
        ('{"id": "x", "text": NaN}', "rows.jsonl:byte 23", "no JSON object"),
        ("[" * 100_000, "rows.jsonl:byte 23", "no JSON object"),
        ('{"text": "t"}', "rows.jsonl:byte 23", "no `id`"),
        ('{"id": "", "text": "t"}', "rows.jsonl:byte 23", "no `id`"),
        ('{"id": 1.5, "text": "t"}', "rows.jsonl:byte 23", "its `id` is float"),
        ('{"id": true, "text": "t"}', "rows.jsonl:byte 23", "its `id` is bool"),
        ('{"id": "x"}', "x", "no `text`"),
        ('{"id": "x", "text": ["t"]}', "x", "its `text` is list"),
        ('{"id": "x", "text": "  "}', "x", "no text"),
        ('{"id": "x", "text": "\\ud800"}', "rows.jsonl:byte 23", "surrogate"),
    ],
)
def test_a_bad_line_of_jsonl_is_named_by_its_id_or_its_place(tmp_path: Path, line: str, id: str, reason: str) -> None:
    good = '{"id": 1, "text": "t"}\n'
    found = read(source(written(tmp_path, {"rows.jsonl": f"{good}{line}\n{good.replace('1', '2')}"})))
    assert [(each["id"], each["problem"] is None) for each in found] == [("1#0", True), (id, False), ("2#0", True)]
    assert reason in found[1]["problem"]


def test_bytes_that_are_no_utf8_spoil_one_line_only(tmp_path: Path) -> None:
    good = b'{"id": 1, "text": "t"}\n'
    found = problems(
        written(tmp_path, {"rows.jsonl": good + b'{"id": 2, "text": "\xff"}\n' + good.replace(b"1", b"3")})
    )
    assert list(found) == ["rows.jsonl:byte 23"]


@pytest.mark.parametrize(
    ("rows", "bad"),
    [
        (b"1,a\n2,\xff\n3,c\n", {"rows.csv:row 2": "not UTF-8"}),
        (b"1,a\n2,b,c\n3,c\n", {"rows.csv:row 2": "3 fields, and the header 2"}),
        (b'1,a\n2,"b"x\n3,c\n', {"rows.csv:row 2": "is no CSV"}),
        (b'1,a\n3,c\n2,"never closed\nand on', {"rows.csv:row 3": "is no CSV"}),
        (b"1,a\n,b\n3,c\n", {"rows.csv:row 2": "no `id`"}),
        (b"1,a\n2,\n3,c\n", {"2": "no text"}),
    ],
)
def test_a_bad_row_of_csv_is_named_and_the_others_are_read(tmp_path: Path, rows: bytes, bad: dict[str, str]) -> None:
    folder = written(tmp_path, {"rows.csv": b"id,text\n" + rows})
    found = problems(folder)
    assert found.keys() == bad.keys()
    assert all(reason in found[id] for id, reason in bad.items())
    assert {"1#0", "3#0"} <= {each["id"] for each in read(source(folder))}


@pytest.mark.parametrize("damage", [slice(None, 300), slice(40, None)], ids=["end", "beginning"])
def test_a_damaged_parquet_file_is_named(tmp_path: Path, damage: slice) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": ["t" * 1000]}), tmp_path / "rows.parquet")
    data = (tmp_path / "rows.parquet").read_bytes()
    written(tmp_path, {"rows.parquet": data[damage], "z.md": "good"})
    found = read(source(tmp_path))
    assert found[-1]["id"] == "z.md#0"
    assert [each["id"] for each in found if each["problem"]] == ["rows.parquet:row 1"]
    assert len(source(tmp_path).partitions(str(tmp_path), 4)) >= 1


def test_what_is_too_large_is_told_and_not_held(tmp_path: Path) -> None:
    row = '{"id": "big", "text": "%s"}\n' % ("x" * (3 << 20))
    good = '{"id": "good", "text": "t"}\n'
    written(tmp_path, {"a.md": "x" * (3 << 20), "b.jsonl": row + good, "d.pdf": b"%PDF" + b"x" * (2 << 20)})
    written(tmp_path, {"c.csv": "id,text\nbig," + "x" * (3 << 20) + "\ngood,t\n"})
    found = read(source(tmp_path, max_document_mib=1))
    assert [each["id"] for each in found] == ["a.md", "b.jsonl:byte 0", "good#0", "c.csv:row 1", "good#0", "d.pdf"]
    assert all("MiB" in each["problem"] for each in found if each["problem"])


def test_memory_does_not_grow_with_the_number_of_documents(tmp_path: Path) -> None:
    folder = written(tmp_path, {f"{n}.md": f"# {n}\n\n" + "some words of text. " * 5_000 for n in range(20)})
    rows = "".join(json.dumps({"id": n, "text": "word " * 200}) + "\n" for n in range(10_000))
    written(tmp_path, {"rows.jsonl": rows})
    connector = source(folder, page_rows=100)
    (part,) = connector.partitions(str(folder), 1)
    list(connector.read(part, None))  # what is loaded once
    tracemalloc.start()
    try:
        assert sum(len(batch) for batch, _ in connector.read(part, None)) > 10_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20, "12 MB were read"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", "<div>" * 200_000 + "deep"),
        ("a.html", "<a " * 100_000 + "text"),
        ("a.html", "<!--" * 100_000 + "text"),
        ("a.html", "text <svg>" + "<b>" * 100_000),
        ("a.html", "text &" + "#" * 500_000),
        ("a.html", "text " + "</pre>" * 100_000),
        ("a.md", "> " * 50_000 + "deep"),
        ("a.md", "[[" * 100_000),
        ("a.md", "".join(" " * n + "- a\n" for n in range(800))),
        ("a.md", "# h\n" * 100_000),
        ("a.md", "```\n" * 100_001),
        ("a.md", "---\na: " + "{a: " * 10_000 + "\n---\ntext"),
        ("a.txt", "\u202e\u0000".replace("\0", "") + "e\u0301" * 200_000),
        ("a.csv", "id,text\n" + '"' * 1_000_001),
        ("a.jsonl", '{"id": 1, "text": "t", "x": ' + "[" * 500_000),
    ],
    ids=lambda value: ascii(value[:12]),
)
def test_hostile_content_ends(tmp_path: Path, name: str, content: str) -> None:
    connector = source(written(tmp_path, {name: content}))
    assert connector.count(str(tmp_path))[""] >= 1


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path, {"a.md": "text", "real/b.md": "linked"})
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "broken.md").symlink_to(tmp_path / "nothing.md")
    (tmp_path / "link.md").symlink_to(tmp_path / "real" / "b.md")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.md").mkdir()
    assert [each["id"] for each in read(source(tmp_path))] == ["a.md#0", "link.md#0", "real/b.md#0"]


@pytest.mark.parametrize("name", ["ein Blatt – é.md", "a#1.md", "100%.md", "quo'te\".md", "new\nline.md"])
def test_any_name_of_a_file_makes_an_id(tmp_path: Path, name: str) -> None:
    connector = source(written(tmp_path, {name: "text"}))
    (found,) = read(connector)
    assert found["id"] == f"{name}#0"
    assert connector.fetch(str(tmp_path), [Key("", found["id"])]).keys == [Key("", found["id"])]


def test_a_name_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.md"), "wb") as file:
        file.write(b"text")
    with pytest.raises(ConnectorError, match=r"caf.*rename"):
        source(tmp_path).partitions(str(tmp_path), 1)


@pytest.mark.parametrize("path", ["nothing", "nothing/*.md", "*.md", "image.png/x"])
def test_what_matches_nothing_is_told_with_the_way_out(tmp_path: Path, path: str) -> None:
    connector = source(written(tmp_path, {"image.png": b"\0"}) / path)
    assert connector.describe(connector.options.collection) is None
    with pytest.raises(CollectionNotFound, match=r"matches no file: `\*\*/` stands|correct `path`, or say"):
        connector.count(connector.options.collection)


def test_patterns_that_match_nothing_are_told(tmp_path: Path) -> None:
    connector = source(written(tmp_path, {"a.md": "text"}), include=("**/*.rst",))
    with pytest.raises(CollectionNotFound, match=r"\*\*/\*\.rst matches no file in "):
        connector.count(str(tmp_path))


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A directory, looked at by a user who may only read what all may."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(before)


@pytest.mark.parametrize("locked", ["secret.md", "folder"])
def test_what_may_not_be_read_is_an_error_that_names_it(as_nobody: Path, locked: str) -> None:
    nobody = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    written(as_nobody, {"a.md": "text", "secret.md": "secret", "folder/b.md": "hidden"})
    (as_nobody / locked).chmod(0)
    os.seteuid(nobody)
    with pytest.raises(ConnectorError, match=rf"{locked}.*permission denied. Let this user read it"):
        source(as_nobody).count(str(as_nobody))
    ((what, well, detail),) = source(as_nobody).options.diagnose()
    assert (what, well) == ("files", False)
    assert locked in detail
    if os.getuid() == 0:
        os.seteuid(0)
    (as_nobody / locked).chmod(0o755)
    os.seteuid(nobody)
