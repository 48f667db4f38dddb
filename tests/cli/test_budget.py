"""`limits.max_usd`: what the plan shows, and that apply stops before anything is written."""

import json
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Shell
from tests.doubles.pinecone.server import Double, running
from vecmig.model.plan import Plan

TARGET = 't: {type: memory, collection: kb, database: "'


@pytest.fixture
def double(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """The target of the spec is an index of Pinecone that is not there yet."""
    monkeypatch.setenv("PINECONE_API_KEY", "test")
    with running() as double:
        path = shell.directory / "vecmig.yaml"
        lines = path.read_text().splitlines(keepends=True)
        pinecone = '{type: pinecone, api_key: "{{ env.PINECONE_API_KEY }}", index: kb, host: "' + double.url + '"}'
        path.write_text("".join(f"  t: {pinecone}\n" if TARGET in line else line for line in lines))
        yield double


def limit(shell: Shell, usd: float) -> None:
    shell.edit("version: 1", f"version: 1\nlimits: {{max_usd: {usd}}}")


def written(double: Double) -> list[str]:
    return [each.operation for each in double.requests if each.operation in ("create_index", "upsert")]


def test_a_plan_within_the_budget_shows_it_and_is_applied(shell: Shell, double: Double) -> None:
    limit(shell, 50)
    text = shell.run("plan").out
    assert "Estimate    Pinecone reads " in text
    assert "prices: Pinecone Standard to Enterprise, " in text
    assert "Guards      under USD 0.01 of 50.00 (without Pinecone egress) · nothing destroyed\n" in text
    assert shell.run("apply", "--auto-approve").code == 0
    assert written(double)


def test_a_plan_above_the_budget_is_shown_and_apply_stops_before_anything_is_written(
    shell: Shell, double: Double
) -> None:
    limit(shell, 0.0001)
    planned = shell.run("plan", "--out", "p.vplan")
    assert planned.code == 0
    assert "apply would stop (6)" in planned.out
    for arguments in (["--auto-approve"], ["p.vplan"]):
        ran = shell.run("apply", *arguments)
        assert ran.code == 6
        for way_out in ("limits.max_usd", "records: {sample: 1000}", "--only"):
            assert way_out in ran.err
    assert written(double) == []
    assert not (shell.directory / ".vecmig").exists() or not list(shell.directory.rglob("*.state.json"))


def test_the_costs_stand_in_the_document_for_programs(shell: Shell, double: Double) -> None:
    limit(shell, 50)
    document = json.loads(shell.run("plan", "--json").out)
    assert document["max_usd"] == 50
    assert [cost["what"] for cost in document["migrations"][0]["estimate"]["costs"]] == [
        "reads",
        "writes",
        "egress",
        "storage",
    ]


def test_a_saved_plan_keeps_its_costs(shell: Shell, double: Double) -> None:
    shell.run("plan", "--out", "p.vplan")
    shown = shell.run("show", "p.vplan", "-v").out
    assert "    cost        target pinecone kb writes " in shown
    assert "    rests on    target pinecone kb: " in shown


def test_a_store_that_meters_nothing_is_within_every_budget(shell: Shell) -> None:
    limit(shell, 0)
    assert "Guards      USD 0.00 of 0.00 · nothing destroyed\n" in shell.run("plan").out
    assert shell.run("apply", "--auto-approve").code == 0


def test_a_plan_saved_before_costs_were_known_still_loads() -> None:
    import msgspec

    from tests.reporting.examples import PLAN

    document = json.loads(msgspec.json.encode(PLAN))
    del document["max_usd"]
    for each in document["migrations"]:
        del each["estimate"]["costs"]
    assert msgspec.convert(document, Plan) == PLAN
