"""The flags that every command takes, and what it says of wrong ones."""

import json
import subprocess
import sys
import textwrap
import time

import pytest

from tests.cli.conftest import Shell
from vecmig.cli.main import COMMANDS
from vecmig.reporting.progress import EVERY_S
from vecmig.testing.contract import COUNTS, KEYS, records

GROUPS = {"state": ["list", "show", "unlock", "forget"], "cache": ["show", "clear"]}
EVERY = [[name, *rest] for name in COMMANDS for rest in ([[each] for each in GROUPS[name]] if name in GROUPS else [[]])]


def named(command: list[str]) -> str:
    return " ".join(command)


@pytest.mark.parametrize("command", EVERY, ids=named)
def test_what_is_no_flag_or_too_much_is_3_for_every_command(shell: Shell, command: list[str]) -> None:
    before = shell.files()
    needed = ["memory"] if command == ["inspect"] else []
    for wrong in (["--nonsense"], ["--lock-timeout", "soon"], ["--lock-timeout", "-1"], ["--lock-timeout", "nan"]):
        ran = shell.run(*command, *needed, *wrong)
        assert ran.code == 3, wrong
        assert wrong[0] in ran.err
        assert ran.err.startswith("Usage: "), "and how it is used"
    if command not in (["inspect"], ["drop"]):
        ran = shell.run(*command, "one", "two")
        assert ran.code == 3
        assert "two" in ran.err or "extra argument" in ran.err
    assert shell.files() == before


@pytest.mark.parametrize("command", [[], ["state"], ["cache"]], ids=named)
def test_without_a_command_the_help_is_shown_as_what_was_wrong(shell: Shell, command: list[str]) -> None:
    ran = shell.run(*command)
    assert ran.code == 3
    assert "Commands:" in ran.err
    assert "Error" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "command", [["inspect"], ["state", "nosuch"], ["--file"], ["plan", "--env"], ["lan"]], ids=named
)
def test_what_is_missing_or_unknown_is_3(shell: Shell, command: list[str]) -> None:
    ran = shell.run(*command)
    assert ran.code == 3
    assert "Error: " in ran.err


@pytest.mark.parametrize("command", EVERY, ids=named)
def test_every_command_has_a_help(shell: Shell, command: list[str]) -> None:
    ran = shell.run(*command, "--help")
    assert ran.code == 0
    assert "--lock-timeout" in ran.out


def test_every_command_prints_one_document_for_programs(shell: Shell) -> None:
    shell.run("plan", "--out", "p.vplan")
    commands = [
        ["init", "-f", "new.yaml"],
        ["validate"],
        ["schema"],
        ["plan"],
        ["plan", "--data"],
        ["show", "p.vplan"],
        ["apply", "--auto-approve"],
        ["verify"],
        ["show"],
        ["status"],
        ["inspect", "memory", "collection=kb", f"database={shell.database}/main"],
        ["cutover"],
        ["rollback"],
        ["drop"],
        ["cache", "show"],
        ["cache", "clear"],
        ["state", "list"],
        ["state", "show"],
        ["state", "unlock"],
        ["state", "forget", "--auto-approve"],
        ["doctor"],
    ]
    assert {each[0] for each in commands} == set(COMMANDS), "each command is here"
    for command in commands:
        for arguments in (["--json", *command], [*command, "--json"]):
            if command[0] == "init":
                (shell.directory / "new.yaml").unlink(missing_ok=True)
            ran = shell.run(*arguments)
            assert ran.code == 0, (command, ran.err)
            document = json.loads(ran.out)
            if command not in (["schema"], ["cache", "show"]) and document is not None:
                assert document["format_version"] >= 1, command


def test_a_wrong_spec_is_a_document_too(shell: Shell) -> None:
    shell.edit("top_k: 3", "top_kk: 3")
    ran = shell.run("validate", "--json")
    assert ran.code == 3
    (problem,) = json.loads(ran.out)["problems"]
    assert (problem["line"], "top_k" in problem["hint"]) == (11, True)


def test_apply_prints_only_its_outcome_for_programs_and_its_plan_to_people(shell: Shell) -> None:
    ran = shell.run("apply", "--auto-approve", "--json")
    assert json.loads(ran.out)["written"] == 10
    assert "Plan: 1 to create" in ran.err


def test_apply_with_nothing_to_do_prints_an_outcome_of_nothing(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    ran = shell.run("apply", "--json")
    assert ran.code == 0
    outcome = json.loads(ran.out)
    assert (outcome["written"], outcome["created"], outcome["reports"]) == (0, 0, [])
    assert "No changes." in ran.err


def test_quiet_leaves_progress_out_and_keeps_the_result(shell: Shell) -> None:
    loud = shell.run("verify") if shell.run("apply", "--auto-approve").code == 0 else None
    quiet = shell.run("verify", "-q")
    assert loud
    assert "m · verify: done, 20 records on both sides" in loud.err
    assert quiet.err == ""
    assert "Verification passed" in quiet.out


def test_verbose_shows_more_and_twice_what_vecmig_does(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    assert "digests" not in shell.run("verify").out
    assert "digests" in shell.run("verify", "-v").out


def test_elsewhere_than_on_a_terminal_a_line_comes_every_half_minute() -> None:
    assert EVERY_S == 30.0


def test_no_colour_is_printed_where_nobody_asked_for_it(shell: Shell) -> None:
    for arguments in (["plan"], ["--no-color", "plan"], ["plan", "--no-color"]):
        assert "\x1b" not in shell.run(*arguments).out


HOLDER = textwrap.dedent("""
    import sys, time
    from vecmig.storage.file import FileStateStore
    with FileStateStore(".", "kb", "default", "vecmig apply").lock(5):
        print("held", flush=True)
        time.sleep(float(sys.argv[1]))
""")


@pytest.mark.parametrize(("waits_s", "code"), [("20", 0), ("0.3", 4)])
def test_a_lock_is_waited_for_as_long_as_asked(shell: Shell, waits_s: str, code: int) -> None:
    held_s = "1.5" if code == 0 else "30"
    command = [sys.executable, "-c", HOLDER, held_s]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=shell.directory) as process:
        assert process.stdout
        process.stdout.readline()
        started = time.monotonic()
        ran = shell.run("apply", "--auto-approve", "--lock-timeout", waits_s)
        took_s = time.monotonic() - started
        process.kill()
    assert ran.code == code, ran.err
    assert took_s >= (1 if code == 0 else 0.3)
    assert code or shell.store("main").count("kb") == COUNTS


def test_a_state_that_is_locked_is_neither_cleared_nor_forgotten(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    with subprocess.Popen([sys.executable, "-c", HOLDER, "60"], stdout=subprocess.PIPE, cwd=shell.directory) as process:
        assert process.stdout
        process.stdout.readline()
        before = shell.files()
        for command in (["state", "unlock"], ["state", "forget", "--auto-approve"], ["verify"], ["cutover"]):
            ran = shell.run(*command)
            assert ran.code == 4, command
            assert str(process.pid) in ran.err
        assert f"{process.pid}" in shell.run("status").out, "status takes no lock, and says who works"
        assert shell.files() == before
        process.kill()
    cleared = shell.run("state", "unlock")
    assert cleared.code == 0
    assert "left behind" in cleared.out
    assert shell.run("state", "unlock").out == "It was not locked.\n"


def test_forget_asks_and_where_nobody_can_answer_that_is_3(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    before = shell.files()
    ran = shell.run("state", "forget")
    assert ran.code == 3
    assert "--auto-approve" in ran.err
    assert shell.files() == before


def test_a_forgotten_target_can_be_adopted_and_has_not_changed(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    assert shell.run("state", "forget", "--auto-approve").code == 0
    assert shell.run("status").out.startswith("Nothing applied yet")
    shell.edit('{{ vars.where }}"}', '{{ vars.where }}", adopt: true}')
    adopted = shell.run("apply", "--auto-approve")
    assert adopted.code == 0, adopted.err
    assert "0 records written" in adopted.out


def test_status_after_a_verification_that_failed_says_so_and_ends_with_0(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    shell.store("main").upsert("kb", records(KEYS[:1], version=9))
    assert shell.run("verify").code == 7
    ran = shell.run("status")
    assert ran.code == 0
    assert "FAILED" in ran.out
    assert json.loads(shell.run("status", "--json").out)["applied"]["m"]["report"]["verdict"] == "failed"


def test_a_damaged_state_is_told_and_nothing_is_done(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    path = shell.directory / ".vecmig" / "kb" / "default.state.json"
    path.write_bytes(path.read_bytes()[:-40])
    before = {name: data for name, data in shell.files().items() if ".lock" not in name}
    for command in (["plan"], ["apply", "--auto-approve"], ["verify"], ["status"], ["state", "show"]):
        ran = shell.run(*command)
        assert ran.code == 1, command
        assert "default.state.json" in ran.err
        assert "Traceback" not in ran.err
        assert "defect" not in ran.err
    assert "!" in shell.run("state", "list").out
    assert {name: data for name, data in shell.files().items() if ".lock" not in name} == before


def test_the_schema_can_be_held_against_a_file(shell: Shell) -> None:
    assert shell.run("schema", "--out", "s.json").code == 0
    assert shell.run("schema", "--check", "s.json").code == 0
    (shell.directory / "s.json").write_text("{}")
    ran = shell.run("schema", "--check", "s.json")
    assert ran.code == 1
    assert "vecmig schema --out s.json" in ran.err
    for wrong in (["--check", "missing.json"], ["--out", "missing/s.json"]):
        ran = shell.run("schema", *wrong)
        assert ran.code == 3
        assert "missing" in ran.err
        assert "defect" not in ran.err


def test_the_plan_for_a_pull_request_is_markdown(shell: Shell) -> None:
    ran = shell.run("plan", "-e", "prod", "--out", "kb.vplan", "--format", "markdown")
    assert ran.code == 0
    assert ran.out.startswith("### Plan: 1 to create, 10 records to load, 0 to destroy\n")
    assert "- **Apply it:** `vecmig apply kb.vplan`" in ran.out
    assert "`prod`" in ran.out
    assert shell.run("show", "kb.vplan", "--format", "markdown").out == ran.out
    assert shell.run("apply", "kb.vplan").code == 0
    assert shell.run("plan", "-e", "prod", "--format", "markdown").out.startswith("### No changes")


@pytest.mark.parametrize("command", [["apply", "--auto-approve"], ["verify"]], ids=named)
@pytest.mark.parametrize("path", ["nowhere/report.html", "."])
def test_a_report_that_cannot_be_written_is_told_before_the_work(shell: Shell, command: list[str], path: str) -> None:
    before = shell.files()
    ran = shell.run(*command, "--html", path)
    assert ran.code == 3
    assert f"cannot write {path}" in ran.err
    assert shell.files() == before


def test_a_migration_that_is_named_twice_is_planned_once(shell: Shell) -> None:
    planned = json.loads(shell.run("plan", "--only", "m", "--only", "m", "--json").out)
    assert [each["name"] for each in planned["migrations"]] == ["m"]
