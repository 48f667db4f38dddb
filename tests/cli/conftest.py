"""The command line in this process, over collections in memory; each test in a directory of its own."""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from vecmig.cli.main import main
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
class Ran:
    code: int
    out: str
    err: str


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
        path = self.directory / "vecmig.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def files(self) -> dict[str, bytes]:
        """Return every file below the directory."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vecmig", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, captured.out, captured.err)

    database = str(uuid4())
    (tmp_path / "vecmig.yaml").write_text(SPEC.format(database=database))
    made = Shell(tmp_path, database, run)
    with closing(made.store("source")) as source:
        source.create(replace(COLLECTION, name="docs", mark=None))
        source.upsert("docs", records(KEYS))
    return made
