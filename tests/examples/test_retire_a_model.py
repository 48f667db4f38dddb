"""The retirement of a model as `make retire` runs it, in a directory of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers import stop_embedded

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "retire-a-model"


def test_a_better_model_is_built_beside_serves_finds_more_and_gives_the_name_back(short_directory: Path) -> None:
    place = short_directory / "r"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        said = " ".join(done.stdout.split())  # lines are as long as the terminal is wide
        assert "glove/6b-50d (50) -> use/multilingual-v3 (512) RE-EMBED: different models" in said
        assert "built beside pgvector manual, which serves until `cutover`" in said
        assert said.count("all equal in every id, vector and metadata value") == 2
        assert said.count("Verification passed") == 2

        served = [
            (int(dimensions), float(ndcg))
            for dimensions, ndcg in re.findall(r"`manual` has (\d+) dimensions.*?nDCG@10 ([\d.]+)", said)
        ]
        assert [dimensions for dimensions, _ in served] == [50, 512, 50], "cut over, and rolled back"
        before, after, again = [ndcg for _, ndcg in served]
        assert again == before
        assert after > 0.4
        assert before < 0.2

        reported = [float(each) for each in re.findall(r"(?:source|target) nDCG ([\d.]+)", said)][-2:]
        assert abs(reported[0] - before) < 0.02, "the verification measures what an application finds"
        assert abs(reported[1] - after) < 0.02
        assert "No changes." in said
        assert "Superseded: manual__v1" in said
    finally:
        stop_embedded(place / ".demo" / "postgres")
