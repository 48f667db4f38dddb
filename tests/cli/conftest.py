"""The command line in this process, over collections in memory; each test in a directory of its own."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.command import Ran, edit
from vecmig.connectors.memory import MemoryOptions
from vecmig.protocols import Target
from vecmig.testing.contract import COLLECTION, KEYS, records

SPEC = """\
version: 1
name: kb
vars: {{where: main}}
environments:
  staging: {{vars: {{where: staging}}}}
  prod: {{protected: true, vars: {{where: prod}}}}
sources:
  s: {{type: memory, collection: docs, database: "{database}/source"}}
targets:
  t: {{type: memory, collection: kb, database: "{database}/{{{{ vars.where }}}}"}}
verification: {{search: {{queries: {{sample: 5}}, top_k: 3}}}}
migrations:
  - {{name: m, source: s, target: t}}
"""


@dataclass(frozen=True, slots=True)
class Shell:
    """A directory with a spec, its source in memory, and `vecmig` run as a command."""

    directory: Path
    database: str
    run: Callable[..., Ran]

    def store(self, name: str) -> Target:
        collection = "docs" if name == "source" else "kb"
        return MemoryOptions(collection, f"{self.database}/{name}").open()

    def edit(self, old: str, new: str) -> None:
        """Change the spec."""
        edit(self.directory / "vecmig.yaml", old, new)

    def files(self) -> dict[str, bytes]:
        """Return every file below the directory."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vecmig: Callable[..., Ran]) -> Shell:
    monkeypatch.chdir(tmp_path)
    database = str(uuid4())
    (tmp_path / "vecmig.yaml").write_text(SPEC.format(database=database))
    made = Shell(tmp_path, database, vecmig)
    with closing(made.store("source")) as source:
        source.create(replace(COLLECTION, name="docs", mark=None))
        source.upsert("docs", records(KEYS))
    return made
