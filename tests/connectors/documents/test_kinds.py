"""Each kind of file: what becomes text, and what is known of it."""

from pathlib import Path

import fpdf
import pytest

from tests.connectors.documents.data import read, source, written
from vecmig.connectors.documents.options import Chunk

GUIDE = """\
# The *guide*

Welcome.

## Install

Use the package.

```sh
# no heading
pip install it
```

Setext
------

### Deep

Deeper words.

## Run

Start it.
"""


def made_pdf(pages: list[str], title: str = "") -> bytes:
    pdf = fpdf.FPDF()
    pdf.set_title(title)
    pdf.set_font("helvetica", size=12)
    for page in pages:
        pdf.add_page()
        pdf.multi_cell(0, 8, page)
    return bytes(pdf.output())


def test_markdown_knows_the_headings_above_each_chunk_and_its_title(tmp_path: Path) -> None:
    found = read(source(written(tmp_path, {"docs/guide.md": GUIDE}), chunk=Chunk(25)))
    assert {each["title"] for each in found} == {"The *guide*"}
    assert {each["source"] for each in found} == {"docs/guide.md"}
    headings = {each["text"].split("\n")[0]: each["heading"] for each in found}
    assert headings["# The *guide*"] == "The *guide*"
    assert headings["## Install"] == "The *guide* > Install"
    assert headings["### Deep"] == "The *guide* > Setext > Deep"
    assert headings["## Run"] == "The *guide* > Run"
    assert not any("no heading" in each["heading"] for each in found)


def test_what_stands_before_the_first_heading_has_none(tmp_path: Path) -> None:
    found = read(source(written(tmp_path, {"a.md": "Before.\n\n## Later\n\nAfter."}), chunk=Chunk(20)))
    assert [each.get("heading") for each in found] == [None, "Later"]
    assert "title" not in found[0]


def test_front_matter_is_metadata_and_no_text(tmp_path: Path) -> None:
    text = "---\ntitle: Setup\ntags: [a, b]\ndate: 2026-01-02\ndraft: false\n---\n# Heading\n\nWords."
    (found,) = read(source(written(tmp_path, {"a.md": text})))
    assert found["text"] == "# Heading\n\nWords."
    assert text[found["start"] : found["end"]] == found["text"]
    assert (found["title"], found["tags"], found["date"], found["draft"]) == ("Setup", ["a", "b"], "2026-01-02", False)


@pytest.mark.parametrize(
    "text",
    [
        "---\nA line between two rules: that is no YAML: at all\n---\nWords.",
        "---\n- a list\n---\nWords.",
        "---\na: &x [1]\nb: *x\n---\nWords.",
        "---\nopen: and never closed\n\nWords.",
        "---\nwhen: 2026-99-99\n---\nWords.",
        "---\na: " + "[" * 5000 + "\n---\nWords.",
    ],
)
def test_what_is_no_front_matter_stays_text(tmp_path: Path, text: str) -> None:
    found = read(source(written(tmp_path, {"a.md": text})))
    assert found[0]["text"].startswith("---")
    assert found[-1]["text"].endswith("Words.")


def test_html_becomes_its_visible_text_under_its_headings(tmp_path: Path) -> None:
    page = """<!DOCTYPE html><html><head><title>The &amp; page</title><style>p {color: red}</style></head>
    <body><h1>Top</h1><p>Some <b>bold</b>
      and <a href="x">linked</a> words.<ul><li>one<li>two</ul><h2>Code</h2><pre>
a = 1
  b</pre><table><tr><th>k<th>v<tr><td>1<td>2</table><script>alert("no")</script><!-- no -->end<br>line</body></html>"""
    found = read(source(written(tmp_path, {"a.html": page}), chunk=Chunk(40)))
    assert {each["title"] for each in found} == {"The & page"}
    together = "\n\n".join(each["text"] for each in found)
    assert "Some bold and linked words." in together
    assert "- one\n- two" in together
    assert "a = 1\n  b" in together
    assert "k | v\n1 | 2" in together
    assert "end\nline" in together
    assert not any(word in together for word in ("color", "alert", "no", "href"))
    assert {each["heading"] for each in found if "a = 1" in each["text"]} == {"Top > Code"}


def test_html_in_the_charset_that_it_declares_is_read(tmp_path: Path) -> None:
    page = '<meta charset="iso-8859-1"><p>Käse</p>'
    (found,) = read(source(written(tmp_path, {"a.html": page.encode("latin-1")})))
    assert found["text"] == "Käse"


def test_pdf_tells_the_page_that_a_chunk_begins_on(tmp_path: Path) -> None:
    data = made_pdf([f"Page number {n} holds these few words of text." for n in (1, 2, 3)], "A report")
    found = read(source(written(tmp_path, {"a.pdf": data}), chunk=Chunk(60)))
    assert [(each["page"], each["title"]) for each in found] == [(1, "A report"), (2, "A report"), (3, "A report")]
    assert found[1]["text"] == "Page number 2 holds these few words of text."


def test_a_directory_gives_what_has_a_known_ending_and_a_pattern_what_it_matches(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        {"a.md": "a", "sub/b.TXT": "b", "c.py": "c", "d.png": b"\x89PNG\0", ".git/e.md": "e", "sub/.f.md": "f"},
    )
    assert [each["source"] for each in read(source(folder))] == ["a.md", "sub/b.TXT"]
    assert [each["source"] for each in read(source(f"{folder}/**/*.py"))] == ["c.py"]
    assert [each["source"] for each in read(source(f"{folder}/sub/*"))] == ["b.TXT"]
    assert [each["source"] for each in read(source(f"{folder}/a.md"))] == ["a.md"]
    chosen = source(folder, include=("**/*.py", "sub/*.TXT", "*.py"))
    assert [each["source"] for each in read(chosen)] == ["c.py", "sub/b.TXT"]
    assert [each["source"] for each in read(source(f"{folder}/**/.f.md"))] == ["sub/.f.md"]


def test_files_of_an_object_store_are_read_likewise() -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe({"/documents-test/a.md": b"# One\n\ntext", "/documents-test/sub/b.jsonl": b'{"id": 7, "text": "seven"}\n'})
    connector = source("memory://documents-test")
    assert [each["id"] for each in read(connector)] == ["a.md#0", "7#0"]
    assert connector.fingerprint("memory://documents-test").strength == "counters"
    assert [each["id"] for each in read(source("memory://documents-test/**/*.md"))] == ["a.md#0"]
