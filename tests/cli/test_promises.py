"""Promises of the README that no other test holds in full."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from tests.cli.conftest import Shell
from vecmig.model.batch import RecordBatch
from vecmig.testing.contract import KEYS, records

ROOT = Path(__file__).parents[2]


def test_the_source_is_only_read(shell: Shell) -> None:
    source = shell.store("source")
    before = source.fingerprint("docs")
    assert before.strength == "exact"
    for command in (["plan", "--data"], ["apply", "--auto-approve"], ["verify"], ["apply", "--auto-approve"]):
        assert shell.run(*command).code == 0
    assert source.fingerprint("docs") == before


def test_no_text_no_vector_and_no_metadata_value_stands_in_plan_state_or_output(shell: Shell) -> None:
    marked = records(KEYS[:3], vectors=[[0.1875, 12345.5, 1, 1]] * 3).replace(
        "metadata", pa.array(['{"lang": "CANARY", "n": 987654321}', "{}", '{"lang": "CANARY"}'], pa.string())
    )
    shell.store("source").upsert("docs", RecordBatch(marked.table))
    shown = ""
    commands = [
        ["validate"],
        ["plan", "--out", "p.vplan", "-v"],
        ["plan", "--json"],
        ["plan", "--format", "markdown"],
        ["apply", "p.vplan", "-v", "-v", "--html", "r.html"],
        ["verify", "--json"],
        ["verify", "-v"],
        ["status", "--json"],
        ["show"],
        ["state", "show"],
    ]
    for command in commands:
        ran = shell.run(*command)
        assert ran.code == 0, ran.err
        shown += ran.out + ran.err
    shell.store("main").upsert("kb", records(KEYS[:1], version=5))
    failed = shell.run("verify", "-v", "--html", "failed.html")
    assert failed.code == 7
    files = {name: data.decode("utf-8", "replace") for name, data in shell.files().items()}
    for name, text in {**files, "output": shown + failed.out + failed.err}.items():
        for value in ("CANARY", "987654321", "12345.5", "0.1875"):
            assert value not in text, f"{value} stands in {name}"


def test_a_record_that_cannot_be_moved_is_named_without_its_values(shell: Shell) -> None:
    bad = records(KEYS[:1]).replace("metadata", pa.array(['{"lang": "CANARY", "page": "CANARY"}'], pa.string()))
    shell.store("source").upsert("docs", bad)
    shell.edit("verification:", "fields: {page: {type: int}}\nverification:")
    ran = shell.run("apply", "--auto-approve", "-v")
    assert ran.code == 1
    assert "'a' in namespace 'one'" in ran.err
    assert "field 'page' is text, not a number" in ran.err
    assert "CANARY" not in ran.out + ran.err + "".join(map(str, shell.files().values()))


def test_every_test_that_the_readme_names_is_there() -> None:
    named = re.findall(r"\(?`?(tests/[\w/]+\.py)::(\w+)`?", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) >= 8
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {test}"


@pytest.mark.parametrize("command", [["init"], ["init", "-f", "other.yaml"]])
def test_init_writes_a_spec_that_is_valid_and_overwrites_nothing(shell: Shell, command: list[str]) -> None:
    if command == ["init"]:
        (shell.directory / "vecmig.yaml").unlink()
    assert shell.run(*command).code == 0
    assert shell.run(*command).code == 3
    assert shell.run("validate", *command[1:]).code == 0
