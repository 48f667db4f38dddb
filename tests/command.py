"""`vecmig` as a command, in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vecmig.cli.main import main


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def vecmig(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `vecmig` with arguments, which must not end with a defect."""
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vecmig", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in captured.err, captured.err
        assert "defect of vecmig" not in captured.err, captured.err
        return Ran(ended.value.code, captured.out, captured.err)

    return run


def edit(spec: Path, old: str, new: str) -> None:
    """Change the spec in a file."""
    text = spec.read_text()
    assert old in text
    spec.write_text(text.replace(old, new))
