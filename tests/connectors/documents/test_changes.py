"""What stays as it is when documents are edited, and what shows that they were."""

import os
import shutil
from pathlib import Path

import pytest

from tests.connectors.documents.data import read, source, unpacked, written
from vecmig.connectors.documents.options import Chunk
from vecmig.errors import ConnectorError
from vecmig.model.batch import RecordBatch
from vecmig.model.digest import digest_of
from vecmig.model.record import Key
from vecmig.protocols import Source

PARTS = [f"Paragraph number {n} has just so many words." for n in range(6)]
FILES: dict[str, str | bytes] = {f"{name}.md": "\n\n".join(PARTS) for name in "abc"}
CHUNK = Chunk(50)


def digests(connector: Source, path: Path) -> dict[Key, str]:
    """Return what tells each record from another version of it."""
    (part,) = connector.partitions(str(path), 1)
    pages = [batch for batch, _ in connector.read(part, None)]
    return {key: digest_of(page.slice(n, 1)).hex for page in pages for n, key in enumerate(page.keys)}


def test_an_edit_of_one_document_changes_no_record_of_another(tmp_path: Path) -> None:
    connector = source(written(tmp_path, FILES), chunk=CHUNK)
    before = digests(connector, tmp_path)
    written(tmp_path, {"b.md": "All is new here.", "aa.md": "One more document.", "c/d.md": "And one more."})
    after = digests(connector, tmp_path)
    for key in before:
        if not key.id.startswith("b.md"):
            assert after[key] == before[key]
    assert {key.id for key in after.keys() - before.keys()} == {"aa.md#0", "c/d.md#0"}
    assert {key.id for key in before.keys() - after.keys()} == {f"b.md#{n}" for n in range(1, 6)}


def test_an_edit_within_a_chunk_changes_its_record_alone(tmp_path: Path) -> None:
    connector = source(written(tmp_path, FILES), chunk=CHUNK)
    before = digests(connector, tmp_path)
    edited = [*PARTS[:3], PARTS[3].replace("just so many", "now as many!"), *PARTS[4:]]
    assert len(edited[3]) == len(PARTS[3])
    written(tmp_path, {"b.md": "\n\n".join(edited)})
    after = digests(connector, tmp_path)
    assert {key.id for key in before if after[key] != before[key]} == {"b.md#3"}
    assert after.keys() == before.keys()


def test_the_same_files_elsewhere_are_the_same_records_and_the_same_fingerprint(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one", FILES), tmp_path / "deeper" / "other"
    shutil.copytree(one, other)
    for name in FILES:
        os.utime(other / name, (1, 1))
    here, there = source(one, chunk=CHUNK), source(f"{other}/**/*.md", chunk=CHUNK)
    assert read(here) == read(there)
    assert here.fingerprint(str(one)) == there.fingerprint(there.options.collection)
    assert here.fingerprint(str(one)).strength == "exact"


def test_a_fingerprint_shows_any_change(tmp_path: Path) -> None:
    connector = source(written(tmp_path, FILES), chunk=CHUNK)
    seen = [connector.fingerprint(str(tmp_path))]
    times = (tmp_path / "b.md").stat()

    written(tmp_path, {"b.md": str(FILES["b.md"]).replace("just", "such")})
    os.utime(tmp_path / "b.md", ns=(times.st_atime_ns, times.st_mtime_ns))  # of the same size and time
    seen.append(connector.fingerprint(str(tmp_path)))
    (tmp_path / "c.md").rename(tmp_path / "d.md")
    seen.append(connector.fingerprint(str(tmp_path)))
    written(tmp_path, {"e.md": ""})
    seen.append(connector.fingerprint(str(tmp_path)))
    seen.append(source(tmp_path, chunk=Chunk(51)).fingerprint(str(tmp_path)))
    assert len(set(seen)) == 5


def test_what_is_no_document_is_not_in_the_fingerprint(tmp_path: Path) -> None:
    connector = source(written(tmp_path, FILES))
    before = connector.fingerprint(str(tmp_path))
    written(tmp_path, {"image.png": b"\0", ".git/index": b"x"})
    assert connector.fingerprint(str(tmp_path)) == before


def test_a_cursor_goes_on_within_a_document_and_over_new_and_removed_ones(tmp_path: Path) -> None:
    connector = source(written(tmp_path, FILES), chunk=CHUNK, page_rows=4)
    (part,) = connector.partitions(str(tmp_path), 1)
    pages = connector.read(part, None)
    next(pages)
    _, cursor = next(pages)  # eight of 18 records: two of b.md
    pages.close()
    written(tmp_path, {"bb.md": "New."})
    (tmp_path / "c.md").unlink()
    rest = [key.id for batch, _ in connector.read(part, cursor) for key in batch.keys]
    assert rest == [*(f"b.md#{n}" for n in range(2, 6)), "bb.md#0"]


@pytest.mark.parametrize("how", ["edited", "removed"])
def test_a_document_that_changed_while_it_was_read_stops_the_read_and_is_named(tmp_path: Path, how: str) -> None:
    connector = source(written(tmp_path, FILES), chunk=CHUNK, page_rows=4)
    (part,) = connector.partitions(str(tmp_path), 1)
    _, cursor = next(connector.read(part, None))
    if how == "edited":
        written(tmp_path, {"a.md": "Other words.\n\n" + "\n\n".join(PARTS)})
    else:
        (tmp_path / "a.md").unlink()
    with pytest.raises(ConnectorError, match=r"a\.md was changed since it was read: run again"):
        next(connector.read(part, cursor))


def test_a_row_in_front_of_the_cursor_that_changed_is_seen(tmp_path: Path) -> None:
    rows = "".join(f'{{"id": {n}, "text": "text {n}"}}\n' for n in range(9))
    connector = source(written(tmp_path, {"rows.jsonl": rows}), page_rows=4)
    (part,) = connector.partitions(str(tmp_path), 1)
    _, cursor = next(connector.read(part, None))
    written(tmp_path, {"rows.jsonl": rows.replace("text 0", "a longer text")})
    with pytest.raises(ConnectorError, match=r"rows\.jsonl was changed"):
        list(connector.read(part, cursor))


def test_neither_cursor_nor_partition_holds_a_text(tmp_path: Path) -> None:
    connector = source(written(tmp_path, FILES), chunk=CHUNK, page_rows=4)
    (part,) = connector.partitions(str(tmp_path), 1)
    kept = [part.token, *(cursor for _, cursor in connector.read(part, None))]
    assert not any("Paragraph" in each for each in kept)


def test_fetch_reads_only_the_documents_that_are_asked_for(tmp_path: Path) -> None:
    connector = source(written(tmp_path, {**FILES, "bad.md": b"\xff", "c.pdf": b"no pdf"}), chunk=CHUNK)
    asked = [Key("", each) for each in ("b.md#2", "a.md#0", "b.md#99", "b.md#02", "x.md#0", "bad.md", "../c.md#0")]
    got: RecordBatch = connector.fetch(str(tmp_path), asked)
    assert [each["id"] for each in unpacked([got])] == ["b.md#2", "a.md#0"]
    assert "problem" not in got.names
