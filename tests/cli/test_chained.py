"""Two migrations, the second of which reads what the first writes."""

import pytest

from tests.cli.conftest import Shell
from vecmig.testing.contract import COUNTS, KEYS, records


@pytest.fixture
def chain(shell: Shell) -> Shell:
    shell.edit(
        "sources:\n", f'sources:\n  between: {{type: memory, collection: kb, database: "{shell.database}/main"}}\n'
    )
    shell.edit("targets:\n", f'targets:\n  end: {{type: memory, collection: kb, database: "{shell.database}/end"}}\n')
    shell.edit("migrations:\n", "migrations:\n  - {name: second, source: between, target: end}\n")
    return shell


def test_validate_says_in_which_order_to_apply_them(chain: Shell) -> None:
    said = chain.run("validate").out
    assert "migration second reads memory kb, which m writes" in said
    assert "`vecmig apply --only m`, then `vecmig apply --only second`" in said


def test_where_nothing_was_written_yet_the_plan_says_what_to_apply_first(chain: Shell) -> None:
    ran = chain.run("plan")
    assert ran.code == 1
    assert "`vecmig apply --only m` first" in ran.err
    assert chain.run("apply", "--only", "m", "--auto-approve").code == 0
    assert chain.run("apply", "--only", "second", "--auto-approve").code == 0
    assert chain.store("end").count("kb") == COUNTS
    assert chain.run("plan").out.startswith("No changes.")


def test_what_the_first_is_to_write_is_a_risk_of_the_second_and_the_next_apply_moves_it(chain: Shell) -> None:
    for name in ("m", "second"):
        assert chain.run("apply", "--only", name, "--auto-approve").code == 0
    assert "in this same plan" not in chain.run("plan", "-v").out
    chain.store("source").upsert("docs", records(KEYS[:3], version=1))
    planned = " ".join(chain.run("plan").out.split())
    assert "second reads memory kb as it is now, and m writes it in this same plan" in planned
    assert chain.run("apply", "--auto-approve").code == 0
    chain.run("apply", "--auto-approve")
    assert chain.run("plan").out.startswith("No changes.")
    assert chain.store("end").fetch("kb", KEYS[:3]).table == chain.store("source").fetch("docs", KEYS[:3]).table
