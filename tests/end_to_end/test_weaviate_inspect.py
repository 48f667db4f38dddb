"""What a collection of others has that is not moved, or moved as something else, is named by plan and inspect."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran
from tests.connectors.weaviate.test_references import AUTHORS, FINDINGS, NAME, WITHOUT, books_of_others
from tests.weaviate_server import WeaviateServer

Command = Callable[..., Ran]


@pytest.fixture
def books(weaviate_server: WeaviateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WeaviateServer]:
    monkeypatch.chdir(tmp_path)
    with books_of_others(weaviate_server):
        yield weaviate_server


def spec(server: WeaviateServer, *without: str) -> None:
    grpc = f"grpc://{server.grpc_host}:{server.grpc_port}"
    left = f", without: [{', '.join(without)}]" if without else ""
    Path("vecmig.yaml").write_text(f"""\
version: 1
name: books
sources: {{s: {{type: weaviate, url: "{server.url}", grpc_url: "{grpc}", collection: {NAME}{left}}}}}
targets: {{t: {{type: snapshot, path: books}}}}
migrations: [{{name: m, source: s, target: t}}]
""")


def test_the_plan_names_them(books: WeaviateServer, vecmig: Command) -> None:
    spec(books)
    refused = vecmig("plan")
    assert refused.code == 3
    assert f"hasAuthor is a reference to {AUTHORS}" in refused.err
    spec(books, *WITHOUT)
    planned = vecmig("plan", "--json")
    assert planned.code == 0, planned.err
    (migration,) = json.loads(planned.out)["migrations"]
    assert [f"of the source, {each}" for each in FINDINGS] == migration["risks"][: len(FINDINGS)]
    assert "hasAuthor is a reference" in " ".join(vecmig("plan").out.split())


def test_inspect_names_them(books: WeaviateServer, vecmig: Command) -> None:
    given = [f"url={books.url}", f"grpc_url=grpc://{books.grpc_host}:{books.grpc_port}", f"collection={NAME}"]
    refused = vecmig("inspect", "weaviate", *given)
    assert refused.code == 3
    assert "hasAuthor is a reference" in refused.err
    found = vecmig("inspect", "weaviate", *given, f"without=[{', '.join(WITHOUT)}]")
    assert found.code == 0, found.err
    for each in FINDINGS:
        assert f"# Note: {each}" in found.out
    Path("vecmig.yaml").write_text(found.out)
    planned = vecmig("plan")
    assert planned.out.startswith("No changes."), planned.err
    assert "hasAuthor is a reference" in " ".join(planned.out.split())
