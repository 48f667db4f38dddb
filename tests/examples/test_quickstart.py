"""The quickstart as `make demo` runs it, in a directory of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers import stop_embedded

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart"


def test_the_quickstart_moves_real_vectors_proves_it_and_finds_no_changes_the_second_time(
    short_directory: Path,
) -> None:
    place = short_directory / "q"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".*"))
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=place, capture_output=True, text=True, timeout=240, check=False
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "20,000 records written" in done.stdout
        said = " ".join(done.stdout.split())  # lines are as long as the terminal is wide
        assert "20,000 compared, all equal in every id, vector and metadata value" in said
        assert "Verification passed" in done.stdout
        assert "\nNo changes." in done.stdout
        neighbours = done.stdout.partition("The neighbours of 'king'")[2]
        assert "queen" in neighbours
        assert "the same" in neighbours
        page = (place / ".demo" / "report.html").read_text()
        assert "<svg" in page
        assert "http://" not in page.replace("http://www.w3.org/", "")
    finally:
        stop_embedded(place / ".demo" / "postgres")
