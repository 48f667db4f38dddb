import json
import pickle
from pathlib import Path

import pytest

from vecmig.errors import SpecError
from vecmig.migration import Project
from vecmig.model.secret import Secret, redact
from vecmig.spec.load import load

from .conftest import HEAD, Load, Problems

CANARY = "c4n4ry-s3cret-v4lue"
SPEC = (
    HEAD
    + """\
vars: {host: db.example.com, table: kb}
sources: {kb: {type: snapshot, path: kb}}
targets:
  shop: {type: pgvector, dsn: "DSN", table: "{{ vars.table }}"}
migrations: [{name: move, source: kb, target: shop}]
"""
)


def with_dsn(dsn: str) -> str:
    return SPEC.replace("DSN", dsn)


def secret(project: Project) -> Secret:
    found = getattr(project.migrations[0].target.options, "dsn", None)
    assert isinstance(found, Secret)
    return found


def test_a_secret_keeps_its_expression_and_finds_its_value_later(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    project = loaded(with_dsn("postgresql://app:{{ env.CANARY }}@{{ vars.host }}/db"))
    assert secret(project).expression == "postgresql://app:{{ env.CANARY }}@db.example.com/db"
    monkeypatch.setenv("CANARY", CANARY)
    assert secret(project).reveal() == f"postgresql://app:{CANARY}@db.example.com/db"


def test_the_value_of_a_secret_is_nowhere_in_the_project(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    text = with_dsn("postgresql://app:{{ env.CANARY }}@host/db")
    without = loaded(text)
    monkeypatch.setenv("CANARY", CANARY)
    project = loaded(text)
    assert CANARY not in repr(project)
    assert CANARY not in str(secret(project))
    assert CANARY.encode() not in pickle.dumps(project)
    assert project.digest == without.digest


def test_a_variable_that_is_not_set_is_a_note(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANARY", raising=False)
    text = with_dsn("{{ env.CANARY }}")
    assert loaded(text).notes == ("CANARY is not set (targets.shop.dsn)",)
    monkeypatch.setenv("CANARY", CANARY)
    assert loaded(text).notes == ()


def test_env_outside_of_a_secret_is_refused_with_the_other_way(problems: Problems) -> None:
    text = with_dsn("{{ env.CANARY }}").replace("{{ vars.table }}", "{{ env.TABLE }}")
    (problem,) = problems(text)
    assert problem.message == "`env` may stand only where a secret goes, and `table` is none"
    assert problem.hint == 'write "{{ vars.table }}" and set VECMIG_VAR_table in the environment'


def test_env_in_a_variable_is_refused(problems: Problems) -> None:
    (problem,) = problems(with_dsn("{{ env.X }}").replace("table: kb}", 'table: "{{ env.T }}"}'))
    assert "`env` may stand only where a secret goes" in problem.message


@pytest.mark.parametrize(
    "dsn",
    [f"postgresql://app:{CANARY}@db/kb", f"postgresql://:{CANARY}@db/kb", f"postgresql://db/kb?password={CANARY}", f"host=db password={CANARY}",
     f"host=db password = '{CANARY}'", CANARY, f"Bearer {CANARY}", f"postgresql://app:{CANARY}@{{{{ env.HOST }}}}/kb", "{{ vars.dsn }}"],
)  # fmt: skip
def test_a_literal_credential_is_refused_and_not_shown(problems: Problems, dsn: str) -> None:
    given = {"dsn": f"postgresql://app:{CANARY}@db/kb"} if "vars.dsn" in dsn else {}
    (problem,) = problems(with_dsn(dsn), variables=given)
    assert "`dsn` holds a credential" in problem.message
    assert "{{ env.DATABASE_URL }}" in problem.hint
    assert CANARY not in str(problem)
    assert CANARY not in repr(problem)


@pytest.mark.parametrize(
    "dsn", ["postgresql://db/kb", "postgresql://app@db:5432/kb", "host=db dbname=kb", "embedded:.vecmig/pg", "{{ env.X }}", "", "postgresql://app:{{ env.X }}@db/kb?sslmode=require"]
)  # fmt: skip
def test_a_connection_without_a_password_may_be_written_out(loaded: Load, dsn: str) -> None:
    assert loaded(with_dsn(dsn)).migrations or dsn == ""


def test_no_problem_of_the_same_line_shows_a_literal_credential(problems: Problems) -> None:
    found = problems(with_dsn(CANARY).replace("table:", "tabel:"))
    assert len(found) >= 2
    assert all(CANARY not in str(problem) for problem in found)
    assert any("tabel" in problem.excerpt for problem in found)


def test_broken_yaml_does_not_show_a_password(problems: Problems) -> None:
    found = problems(HEAD + f"a: {{dsn: 'postgresql://app:{CANARY}@db/kb', password: {CANARY}, b: [}}")
    assert all(CANARY not in str(problem) for problem in found)


def test_a_connector_that_is_unknown_keeps_its_secrets(problems: Problems) -> None:
    found = problems(with_dsn(CANARY).replace("pgvector", "pgvektor"))
    assert all(CANARY not in str(problem) for problem in found)


def test_a_password_in_any_other_text_is_refused(problems: Problems) -> None:
    found = problems(with_dsn("{{ env.X }}").replace("path: kb", f"path: 's3://key:{CANARY}@bucket/kb'"))
    assert any("`path` looks like a credential" in problem.message for problem in found)
    assert all(CANARY not in str(problem) for problem in found)


def test_what_a_variable_holds_does_not_become_an_expression_of_a_secret(
    loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    project = loaded(with_dsn("postgresql://{{ vars.host }}/kb"), variables={"host": "{{ env.CANARY }}"})
    assert secret(project).reveal() == "postgresql://{{ env.CANARY }}/kb"


def test_env_and_vars_do_not_mix_in_one_expression(problems: Problems) -> None:
    (problem,) = problems(with_dsn("{{ env.X ~ vars.host }}"))
    assert "one {{ … }} for each" in problem.message


def test_env_is_read_by_name_only(problems: Problems) -> None:
    for expression in ("{{ env }}", "{{ env.get('X') }}", "{{ env | join }}"):
        assert problems(with_dsn(expression))


def test_a_secret_whose_expression_is_wrong_hides_no_other_problem(problems: Problems) -> None:
    found = problems(with_dsn("{{ vars.hots }}") + "limit: 1\n")
    assert [problem.message for problem in found] == ["variable `hots` has no value", "unknown key 'limit'"]


def test_the_error_itself_pickles_without_the_credential(tmp_path: Path) -> None:
    path = tmp_path / "vecmig.yaml"
    path.write_text(with_dsn(f"postgresql://app:{CANARY}@db/kb"))
    with pytest.raises(SpecError) as caught:
        load(str(path))
    assert CANARY.encode() not in pickle.dumps(caught.value)
    assert CANARY not in json.dumps([str(each) for each in caught.value.problems])


def test_a_secret_of_a_few_letters_garbles_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_KEY", "any")
    Secret("{{ env.SHORT_KEY }}").reveal()
    assert redact("before anything was changed") == "before anything was changed"
