"""The way from PostgreSQL into Weaviate as `make weaviate` runs it, in a directory of its own."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.servers import stop_embedded
from tests.weaviate_server import WeaviateServer, connected

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "pgvector-to-weaviate"


@pytest.fixture
def place(short_directory: Path) -> Iterator[Path]:
    """The example, to be run as often as one likes."""
    place = short_directory / "w"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    yield place
    stop_embedded(place / ".demo" / "postgres")


def test_texts_go_from_postgresql_into_the_double_and_a_hybrid_search_finds_what_the_vector_misses(place: Path) -> None:
    said = run(place, {})
    assert "Plan: 1 to create" in said
    check(said)


def test_they_go_into_a_real_server_where_the_second_run_has_nothing_to_do(
    place: Path, real_weaviate_server: WeaviateServer
) -> None:
    name = f"Vecmig_{secrets.token_hex(6)}"  # the server may have a collection `Manual` of its own
    spec = place / "vecmig.yaml"
    text = spec.read_text().replace("collection: Manual", f"collection: {name}")
    spec.write_text(text.replace("# api_key:", "api_key:") if real_weaviate_server.key else text)
    variables = {
        "WEAVIATE_URL": real_weaviate_server.url,
        "WEAVIATE_GRPC_URL": f"grpc://{real_weaviate_server.grpc_host}:{real_weaviate_server.grpc_port}",
        "WEAVIATE_API_KEY": real_weaviate_server.key or "",
    }
    try:
        check(run(place, variables))
        again = run(place, variables)
        assert "The table is there already" in again
        assert again.count("No changes.") == 3
    finally:
        with connected(real_weaviate_server) as client:
            client.alias.delete(alias_name=name)
            client.collections.delete([each for each in client.collections.list_all() if each.startswith(name)])


def run(place: Path, variables: Mapping[str, str]) -> str:
    """Return what it printed, in one line: lines are as long as the terminal is wide."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEAVIATE_")}
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=place,
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def check(said: str) -> None:
    assert "title text, search · text text, search · module text, filter" in said
    assert said.count("all equal in every id, vector and metadata value") == 2
    assert said.count("Verification passed") == 2
    assert "No changes." in said
    assert "source unchanged (exact)" in said
    assert "FAILED" not in said

    tls = found(said, "'switch the connection to TLS with STARTTLS'")
    assert "smtplib.SMTP.starttls" not in tls["vector"]
    assert "smtplib.SMTP.starttls" in tls["words"]
    assert "smtplib.SMTP.starttls" in tls["hybrid"]
    thread = found(said, "'wait until a thread ends, with a timeout'")
    assert thread["words"][0] != "threading.Thread.join"
    assert thread["hybrid"][0] == "threading.Thread.join"
    inside = found(said, "'wait until a thread ends, with a timeout', where module = asyncio.subprocess")
    assert inside["hybrid"]
    assert all(id.startswith("asyncio.subprocess.") for id in inside["hybrid"])

    counts = said.partition("it is among the first 10 ")[2].split()
    times = dict(zip(counts[::3], map(int, counts[1::3]), strict=True))
    assert times["hybrid"] > times["vector"]


def found(said: str, question: str) -> dict[str, list[str]]:
    """Return the ids that each kind of search found for a question."""
    answer = said.partition(f"{question} ")[2].partition(" '")[0].partition(" 60 phrases")[0]
    lists: dict[str, list[str]] = {}
    for word in answer.split():
        if word in ("vector", "words", "hybrid"):
            lists[word] = []
        else:
            list(lists.values())[-1].append(word.rstrip(","))
    return lists
