"""Each exit code of the contract, brought about."""

import subprocess
import sys
import textwrap

import pytest

from tests.cli.conftest import Shell
from vecmig.testing.contract import COUNTS, KEYS, records


def test_apply_does_its_work_and_again_there_is_nothing_to_do(shell: Shell) -> None:
    first = shell.run("apply", "--auto-approve")
    assert first.code == 0, first.err
    assert "10 records written" in first.out
    assert "Verification passed" in first.out
    before = shell.files()
    second = shell.run("apply", "--auto-approve")
    assert second.code == 0
    assert second.out.startswith("No changes.")
    assert "unchanged (exact)" in second.out
    assert shell.files() == before, "nothing to do writes nothing"


def test_plan_writes_nothing_and_tells_by_its_code_whether_there_are_changes(shell: Shell) -> None:
    before = shell.files()
    assert shell.run("plan").code == 0
    assert shell.run("plan", "--detailed-exitcode").code == 2
    assert shell.files() == before
    assert shell.store("main").describe("kb") is None
    shell.run("apply", "--auto-approve")
    assert shell.run("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plna"], "Did you mean `plan`?"),
        (["plan", "--nonsense"], "--nonsense"),
        (["plan", "--format", "xml"], "xml"),
        (["plan", "-f", "missing.yaml"], "missing.yaml"),
        (["plan", "-e", "stagin"], "staging"),
        (["plan", "--only", "other"], "other"),
        (["plan", "--var", "where"], "NAME=VALUE"),
        (["apply", "missing.vplan"], "missing.vplan"),
        (["apply"], "--auto-approve"),
        (["schema", "--of", "nothing"], "nothing"),
        (["state", "show"], "no state"),
        (["inspect", "memory", "collection"], "KEY=VALUE"),
        (["inspect", "nosuch"], "nosuch"),
    ],
)
def test_bad_input_is_3_and_says_what_was_wrong(shell: Shell, arguments: list[str], message: str) -> None:
    ran = shell.run(*arguments)
    assert ran.code == 3
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_every_problem_of_a_spec_is_told_with_its_place(shell: Shell) -> None:
    shell.edit("source: s,", "source: x,")
    shell.edit("top_k: 3", "top_k: 0")
    ran = shell.run("validate")
    assert ran.code == 3
    assert "vecmig.yaml:13:" in ran.err
    assert "vecmig.yaml:11:" in ran.err


def test_two_at_once_one_works_the_other_is_told_who(shell: Shell) -> None:
    holder = textwrap.dedent("""
        import sys
        from vecmig.storage.file import FileStateStore
        with FileStateStore(".", "kb", "default", "vecmig apply").lock(5):
            print("held", flush=True)
            sys.stdin.read()
    """)
    command = [sys.executable, "-c", holder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=shell.directory) as process:
        assert process.stdout
        process.stdout.readline()
        ran = shell.run("apply", "--auto-approve")
        process.communicate()
    assert ran.code == 4
    assert str(process.pid) in ran.err
    assert shell.store("main").describe("kb") is None
    assert shell.run("apply", "--auto-approve").code == 0


def test_a_plan_is_used_once(shell: Shell) -> None:
    assert shell.run("plan", "--out", "p.vplan").code == 0
    assert shell.run("apply", "p.vplan").code == 0
    again = shell.run("apply", "p.vplan")
    assert again.code == 5
    assert "it was applied on" in again.err


def test_a_plan_is_stale_after_the_spec_was_edited_but_not_after_a_comment(shell: Shell) -> None:
    shell.run("plan", "--out", "p.vplan")
    shell.edit("version: 1", "version: 1  # a comment")
    shell.edit("top_k: 3", "top_k: 4")
    ran = shell.run("apply", "p.vplan")
    assert ran.code == 5
    assert "the spec or a variable changed" in ran.err
    shell.edit("top_k: 4", "top_k: 3")
    assert shell.run("apply", "p.vplan").code == 0


def test_of_two_plans_made_at_once_only_the_first_runs(shell: Shell) -> None:
    shell.run("plan", "--out", "one.vplan")
    shell.run("plan", "--out", "two.vplan")
    assert shell.run("apply", "one.vplan").code == 0
    assert shell.run("apply", "two.vplan").code == 5


def test_a_plan_is_stale_after_the_schema_of_a_side_moved(shell: Shell) -> None:
    shell.run("plan", "--out", "p.vplan")
    from msgspec.structs import replace

    from vecmig.testing.contract import COLLECTION

    shell.store("main").create(replace(COLLECTION, name="kb"))
    ran = shell.run("apply", "p.vplan")
    assert ran.code == 5
    assert "schema of memory kb changed" in ran.err


def test_a_target_that_is_not_ours_is_5_and_stays(shell: Shell) -> None:
    from msgspec.structs import replace

    from vecmig.testing.contract import COLLECTION

    shell.store("main").create(replace(COLLECTION, name="kb", mark=None, fields=()))
    ran = shell.run("plan")
    assert ran.code == 5
    assert "adopt: true" in ran.err


def test_a_protected_environment_takes_only_a_saved_plan(shell: Shell) -> None:
    ran = shell.run("apply", "-e", "prod", "--auto-approve")
    assert ran.code == 6
    assert "vecmig plan -e prod --out" in ran.err
    assert shell.store("prod").describe("kb") is None
    assert shell.run("plan", "-e", "prod", "--out", "p.vplan").code == 0
    assert shell.run("apply", "p.vplan").code == 0
    assert shell.store("prod").count("kb") == COUNTS


def test_a_lie_in_the_target_is_7_and_the_next_apply_mends_it(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    shell.store("main").upsert("kb", records(KEYS[:1], version=9))
    ran = shell.run("verify")
    assert ran.code == 7
    assert "10 compared · 9 equal · 1 mismatched" in ran.out
    assert "'a' in namespace 'one'" in ran.out
    mended = shell.run("apply", "--auto-approve")
    assert mended.code == 0
    assert "1 record written" in mended.out


def test_extra_records_are_7_and_name_prune(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    shell.store("source").delete("docs", KEYS[:2])
    ran = shell.run("apply", "--auto-approve")
    assert ran.code == 7
    assert "prune" in ran.out
    shell.edit("target: t}", "target: t, prune: true}")
    assert shell.run("apply", "--auto-approve").code == 0
    assert shell.store("main").count("kb") == {"one": 3, "two": 5}


def test_verify_fails_where_there_is_no_target(shell: Shell) -> None:
    ran = shell.run("verify")
    assert ran.code == 1
    assert "not there" in ran.err


def test_only_what_differs_is_counted_by_plan_data(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    shell.store("source").upsert("docs", records(KEYS[:3], version=1))
    shell.store("source").delete("docs", KEYS[9:])
    ran = shell.run("plan", "--data")
    assert "3" in ran.out
    document = shell.run("plan", "--data", "--json").out
    assert '"mismatched": 3' in document
    assert '"extra": 1' in document
    assert '"matching": 6' in document


def test_three_environments_have_the_same_plan_and_states_of_their_own(shell: Shell) -> None:
    plans = []
    for environment in ("default", "staging", "prod"):
        text = shell.run("plan", "-e", environment).out
        plans.append([line.split("  ")[0] for line in text.splitlines() if not line.startswith(("Apply", "Save"))])
        shell.run("plan", "-e", environment, "--out", "p.vplan")
        assert shell.run("apply", "p.vplan").code == 0
    assert plans[0] == plans[1] == plans[2]
    for name in ("main", "staging", "prod"):
        assert shell.store(name).count("kb") == COUNTS
    states = sorted(path for path in shell.files() if path.endswith(".state.json"))
    assert states == [f".vecmig/kb/{environment}.state.json" for environment in ("default", "prod", "staging")]
    assert shell.run("state", "list").out.count("kb ·") == 3


def test_documents_for_programs_fit_their_published_schemas(shell: Shell) -> None:
    import json

    import jsonschema

    shell.run("apply", "--auto-approve")
    for kind, command in (
        ("plan", ["plan", "--json"]),
        ("reports", ["verify", "--json"]),
        ("state", ["status", "--json"]),
        ("states", ["state", "list", "--json"]),
    ):
        document = json.loads(shell.run(*command).out)
        jsonschema.validate(document, json.loads(shell.run("schema", "--of", kind).out))


def test_forget_puts_the_state_aside_and_touches_no_data(shell: Shell) -> None:
    shell.run("apply", "--auto-approve")
    assert shell.run("state", "forget", "--auto-approve").code == 0
    assert shell.store("main").count("kb") == COUNTS
    assert shell.run("plan").code == 5, "the target is another state's now"


def test_where_a_state_was_lost_its_copy_is_named_with_the_command_that_puts_it_back(shell: Shell) -> None:
    import shutil

    shell.run("apply", "--auto-approve")
    (path,) = shell.directory.rglob("default.state.json")
    path.unlink()
    lost = shell.run("plan")
    assert lost.code == 5
    assert "for this spec, under a state that is not here" in lost.err
    assert "`vecmig status` tells of a copy" in lost.err
    (command,) = (line for line in shell.run("status").out.splitlines() if "cp " in line)
    _, copy, to = command[command.index("cp ") :].split(" (serial")[0].split()
    shutil.copy(copy, to)
    assert shell.run("status").code == 0
    assert shell.run("plan").code == 0
