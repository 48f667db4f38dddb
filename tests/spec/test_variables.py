from pathlib import Path

import pytest

from .conftest import ENDS, HEAD, Load, Problems

VARS = "vars: {limit: 1, other: x}\nenvironments:\n  prod: {vars: {limit: 2}}\n"
SPEC = HEAD + VARS + ENDS + 'migrations:\n  - {name: move, source: kb, target: shop, limit: "{{ vars.limit }}"}\n'


def test_each_level_wins_over_those_before_it(loaded: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(environment: str, **given: dict[str, str] | list[str]) -> int | None:
        return loaded(SPEC, environment, **given).migrations[0].limit

    file = tmp_path / "vars.yaml"
    file.write_text("limit: 3\n")
    assert limit("default") == 1
    assert limit("prod") == 2
    assert limit("prod", variable_files=[str(file)]) == 3
    monkeypatch.setenv("VECMIG_VAR_limit", "4")
    assert limit("prod", variable_files=[str(file)]) == 4
    assert limit("prod", variable_files=[str(file)], variables={"limit": "5"}) == 5


def test_a_later_variable_file_wins_over_an_earlier_one(loaded: Load, tmp_path: Path) -> None:
    files = []
    for n in (7, 8):
        files.append(str(tmp_path / f"{n}.yaml"))
        Path(files[-1]).write_text(f"limit: {n}")
    assert loaded(SPEC, variable_files=files).migrations[0].limit == 8


def test_what_the_command_line_gave_is_kept_for_the_plan(loaded: Load, tmp_path: Path) -> None:
    file = tmp_path / "vars.yaml"
    file.write_text("other: y\nlimit: 3")
    project = loaded(SPEC, variable_files=[str(file)], variables={"limit": "5"})
    assert project.variables == (("limit", "5"), ("other", "y"))


def test_an_unknown_var_is_a_mistake(problems: Problems) -> None:
    (problem,) = problems(SPEC, variables={"limits": "5"})
    assert "--var limits" in problem.message
    assert problem.hint == "did you mean `limit`?"


def test_an_unknown_variable_of_the_process_is_for_another_spec(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECMIG_VAR_limits", "5")
    assert loaded(SPEC).migrations[0].limit == 1


def test_an_unknown_variable_of_a_file_is_a_note(loaded: Load, tmp_path: Path) -> None:
    file = tmp_path / "vars.yaml"
    file.write_text("limits: 5")
    assert "limits" in loaded(SPEC, variable_files=[str(file)]).notes[0]


def test_a_variable_that_only_an_expression_names_can_be_given(loaded: Load, problems: Problems) -> None:
    spec = SPEC.replace("{limit: 1, other: x}", "{}").replace("{vars: {limit: 2}}", "{}")
    assert loaded(spec, variables={"limit": "5"}).migrations[0].limit == 5
    (problem,) = problems(spec)
    assert problem.message == "variable `limit` has no value"
    assert "VECMIG_VAR_limit" in problem.hint


def test_variables_may_use_each_other_in_any_order(loaded: Load) -> None:
    spec = SPEC.replace("limit: 1", 'limit: "{{ vars.base * 2 }}", base: 21')
    assert loaded(spec).migrations[0].limit == 42


def test_variables_that_use_each_other_in_a_circle_are_refused(problems: Problems) -> None:
    (problem,) = problems(SPEC.replace("limit: 1", 'limit: "{{ vars.a }}", a: "{{ vars.limit }}"'))
    assert "circle" in problem.message
    assert problem.position
    assert problem.position.line == 3


def test_what_a_variable_from_outside_holds_is_never_an_expression(loaded: Load) -> None:
    spec = SPEC.replace("collection: new", 'collection: "{{ vars.other }}"')
    project = loaded(spec, variables={"other": "{{ vars.limit }}"})
    assert project.migrations[0].target.options.collection == "{{ vars.limit }}"


@pytest.mark.parametrize(("key", "text"), [("other", "2024"), ("other", "true"), ("other", "2026-01-01")])
def test_a_text_that_looks_like_a_number_stays_a_text_where_one_is_expected(loaded: Load, key: str, text: str) -> None:
    spec = SPEC.replace("collection: new", 'collection: "{{ vars.other }}"')
    assert loaded(spec, variables={key: text}).migrations[0].target.options.collection == text


def test_an_expression_is_validated_as_the_value_that_it_became(problems: Problems, loaded: Load) -> None:
    spec = SPEC.replace('limit: "{{ vars.limit }}"', 'limit: "{{ vars.limit }}", prune: "{{ vars.limit == 1 }}"')
    assert loaded(spec).migrations[0].prune is True
    (problem,) = problems(spec.replace("limit: 1", "limit: many"))
    assert (
        problem.message == "`migrations[0].limit` must be an integer, not 'many', which is what the expression became"
    )


def test_an_environment_that_is_not_declared_is_refused_with_the_nearest(problems: Problems, loaded: Load) -> None:
    (problem,) = problems(SPEC, "prd")
    assert "`prd`" in problem.message
    assert problem.hint == "did you mean `prod`?"
    assert loaded(SPEC, "default").environment == "default"


def test_a_bad_variable_file_is_told_with_its_own_place(problems: Problems, tmp_path: Path) -> None:
    file = tmp_path / "vars.yaml"
    file.write_text("a: 1\nlimit: [1]\n")
    (problem,) = problems(SPEC, variable_files=[str(file)])
    assert problem.position
    assert (problem.position.file, problem.position.line, problem.position.column) == (str(file), 2, 8)
    (problem,) = problems(SPEC, variable_files=[str(tmp_path / "none.yaml")])
    assert "there is no variable file" in problem.message
