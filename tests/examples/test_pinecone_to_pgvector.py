"""The way from Pinecone into PostgreSQL and back as `make pinecone` runs it, in a directory of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers import stop_embedded

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "pinecone-to-pgvector"


def test_real_vectors_go_from_pinecone_into_postgresql_and_back_and_everything_is_proven(
    short_directory: Path,
) -> None:
    place = short_directory / "p"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".*"))
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        said = " ".join(done.stdout.split())  # lines are as long as the terminal is wide
        assert "+ pgvector words from pinecone words (3 namespaces)" in said
        assert "Pinecone reads" in said
        assert said.count("5,000 compared, all equal in every id, vector and metadata value") == 3
        assert done.stdout.count("Verification passed") == 3
        assert done.stdout.count("\nNo changes.") == 2
        assert "source unchanged (counts)" in said
        assert "FAILED" not in said
        neighbours = done.stdout.partition("The neighbours of 'king'")[2]
        assert "queen" in neighbours
        assert "the same" in neighbours
    finally:
        stop_embedded(place / ".demo" / "postgres")
