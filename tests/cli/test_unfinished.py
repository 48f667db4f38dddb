"""What an apply that failed half-way leaves behind, and when that goes on."""

import json
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.cli.conftest import Shell
from vecmig.connectors.memory import MemoryConnector
from vecmig.errors import ConnectorError
from vecmig.model.batch import RecordBatch, Rejected
from vecmig.model.collection import VectorField
from vecmig.testing.contract import COLLECTION, COUNTS


@pytest.fixture
def failed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A saved plan, begun and left: the target was made, and no record arrived."""

    def refuse(self: MemoryConnector, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        raise ConnectorError("the store is full")

    assert shell.run("plan", "--out", "p.vplan").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(MemoryConnector, "upsert", refuse)
        ran = shell.run("apply", "p.vplan")
    assert ran.code == 1
    assert "the store is full" in ran.err
    return shell


@pytest.mark.parametrize("command", [["apply", "p.vplan"], ["apply", "--auto-approve"], ["apply"]])
def test_it_goes_on_with_the_plan_or_without_and_says_so(failed: Shell, command: list[str]) -> None:
    ran = failed.run(*command)
    assert ran.code == 0, ran.err
    assert "Going on with the plan of" in ran.err
    assert failed.store("main").count("kb") == COUNTS


def test_a_saved_plan_whose_target_was_dropped_meanwhile_is_stale(failed: Shell) -> None:
    failed.store("main").drop("kb")
    ran = failed.run("apply", "p.vplan")
    assert ran.code == 5
    assert "is gone again" in ran.err
    anew = failed.run("apply", "--auto-approve")
    assert anew.code == 0
    assert "is left unfinished" in anew.err
    assert failed.store("main").count("kb") == COUNTS


def test_a_saved_plan_whose_source_changed_its_shape_meanwhile_is_stale(failed: Shell) -> None:
    source = failed.store("source")
    source.database["docs"].collection = replace(COLLECTION, name="docs", vectors=(VectorField("", 4, "l2"),))  # type: ignore[attr-defined]
    ran = failed.run("apply", "p.vplan")
    assert ran.code == 5
    assert "schema of memory docs changed" in ran.err


def test_after_an_edit_of_the_spec_a_new_plan_is_made_and_the_reason_told(failed: Shell) -> None:
    failed.edit("top_k: 3", "top_k: 2")
    ran = failed.run("apply", "--auto-approve")
    assert ran.code == 0
    assert "the spec or a variable changed since. This one is new" in ran.err
    assert failed.store("main").count("kb") == COUNTS


def test_a_plan_for_one_migration_does_not_stand_for_all(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.edit("migrations:\n", "migrations:\n  - {name: other, source: s, target: u}\n")
    shell.edit("targets:\n", f'targets:\n  u: {{type: memory, collection: kb2, database: "{shell.database}/main"}}\n')

    def refuse(self: MemoryConnector, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        raise ConnectorError("the store is full")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryConnector, "upsert", refuse)
        assert shell.run("apply", "--only", "m", "--auto-approve").code == 1
    ran = shell.run("apply", "--auto-approve")
    assert ran.code == 0
    assert "it is for m" in ran.err
    assert shell.store("main").count("kb2") == COUNTS


def test_plan_shows_the_plan_that_apply_goes_on_with_and_how_far_it_came(failed: Shell) -> None:
    saved, files = (failed.directory / "p.vplan").read_bytes(), failed.files()
    ran = failed.run("plan", "--detailed-exitcode")
    assert ran.code == 2
    assert ran.out.startswith("Unfinished  plan ")
    assert "1 of 2 actions done, 0 of 10 records written" in " ".join(ran.out.split())
    assert "`vecmig apply` goes on with it" in " ".join(ran.out.split())
    assert "Plan: 1 to create, 10 records to load" in ran.out
    assert failed.files() == files
    assert json.loads(failed.run("plan", "--json").out) == json.loads(saved), "and to programs, too"
    assert failed.run("plan", "--out", "again.vplan").code == 0
    resumed = failed.run("apply", "again.vplan")
    assert resumed.code == 0, resumed.err
    assert "Going on with the plan of" in resumed.err
    assert failed.run("plan").out.startswith("No changes.")


def test_plan_says_why_an_unfinished_apply_does_not_go_on(failed: Shell) -> None:
    failed.edit("top_k: 3", "top_k: 2")
    ran = failed.run("plan")
    assert ran.out.startswith("Plan: 10 records to load")
    assert "does not go on: the spec or a variable changed since" in ran.err


def test_plan_with_data_is_made_anew_although_apply_would_go_on(failed: Shell) -> None:
    ran = failed.run("plan", "--data")
    assert ran.out.startswith("Plan: 10 records to load")
    assert "goes on with its own" in ran.err


def test_a_plan_that_does_not_go_on_is_given_up_where_there_is_nothing_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.run("apply", "--auto-approve")
    edited = ("target: t}", "target: t, where: {n: 1}}")
    shell.edit(*edited)

    def fail(*arguments: object) -> None:
        raise ConnectorError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr("vecmig.execution.local.LocalExecutor.run", fail)
        assert "the store is away" in shell.run("apply", "--auto-approve").err
    assert shell.run("status").out.startswith("Unfinished")
    shell.edit(*reversed(edited))
    ran = shell.run("apply", "--auto-approve")
    assert ran.code == 0
    assert ran.out.startswith("No changes.")
    assert "is left unfinished" in ran.err
    assert not shell.run("status").out.startswith("Unfinished"), "else cutover would ask for an apply for ever"
    assert "gave up" in shell.run("state", "show").out
    before = shell.files()
    assert shell.run("apply").out.startswith("No changes.")
    assert shell.files() == before


def test_what_another_migration_left_unfinished_is_not_given_up_by_one_that_has_nothing_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "  - {name: m, source: s, target: t}\n"
    shell.edit(line, line + "  - {name: b, source: s, target: u}\n")
    shell.edit(
        "verification:", '  u: {type: memory, collection: more, database: "{{ vars.where }}-more"}\nverification:'
    )
    assert shell.run("apply", "--auto-approve", "--only", "b").code == 0

    def fail(*arguments: object) -> None:
        raise ConnectorError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr("vecmig.execution.local.LocalExecutor.run", fail)
        assert "the store is away" in shell.run("apply", "--auto-approve", "--only", "m").err
    ran = shell.run("apply", "--auto-approve", "--only", "b")
    assert ran.out.startswith("No changes."), ran.err
    assert "Going on with the plan of" in shell.run("apply", "--auto-approve", "--only", "m").err
