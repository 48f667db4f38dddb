"""kill -9 at each step of cutover, rollback and drop: something serves all the while, and the same command goes on."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.scenario import KILLED, Scenario
from tests.crash.weaviate import MORTALS, Mortal
from vecmig.model.collection import Collection
from vecmig.storage.file import FileStateStore

OLD, NEW = "cosine", "l2"
IN_ONE_STEP = [("before switch", 1), ("after switch", 1), ("before save", 1), ("after save", 1)]
BY_ALIASES = [("after alias", 1), ("after alias", 2), ("after alias", 3)]


@pytest.fixture
def built(scenario: Scenario) -> Scenario:
    """A table that serves, and one that is built beside it with another metric."""
    return beside(scenario)


@pytest.fixture(params=MORTALS)
def weaviate(request: pytest.FixtureRequest) -> Iterator[Mortal]:
    with MORTALS[request.param]() as made:
        yield made


def beside(scenario: Scenario) -> Scenario:
    assert scenario.apply() == 0, scenario.complaint
    path = scenario.directory / "vecmig.yaml"
    path.write_text(path.read_text() + f"index: {{metric: {NEW}}}\n")
    assert scenario.apply() == 0, scenario.complaint
    assert serving(scenario) == OLD
    return scenario


def described(scenario: Scenario, generation: int | None = None) -> Collection | None:
    (migration,) = scenario.project().migrations
    options = migration.target.options if generation is None else migration.target.options.beside(generation)
    with closing(options.open()) as store:
        return store.describe(options.collection)


def serving(scenario: Scenario) -> str:
    """Return the metric of what has the serving name, which tells old from new, and see that it is whole."""
    (migration,) = scenario.project().migrations
    options = migration.target.options
    with closing(migration.target.open_target()) as target:
        found = target.describe(options.collection)
        assert found is not None, "nothing serves"
        assert sum(target.count(options.collection).values()) == scenario.records
        return found.vectors[0].metric


def dying(scenario: Scenario, point: str, at: int, *command: str) -> None:
    code = scenario.run("tests.crash.mortal", point, str(at), "--", *command)
    assert code == KILLED, f"{command} did not come to {point} {at}: {scenario.complaint}"


def vecmig(scenario: Scenario, *command: str) -> None:
    assert scenario.run("vecmig", *command) == 0, scenario.complaint


def switched_there_and_back(scenario: Scenario, points: list[tuple[str, int]]) -> None:
    for point, at in points:
        for command, before, after in (("cutover", OLD, NEW), ("rollback", NEW, OLD)):
            dying(scenario, point, at, command)
            assert serving(scenario) in (before, after), f"{command} killed {point} {at}"
            vecmig(scenario, command)
            assert serving(scenario) == after


def test_a_cutover_and_a_rollback_that_are_killed_at_any_step_are_gone_on_with(built: Scenario) -> None:
    switched_there_and_back(built, IN_ONE_STEP)
    vecmig(built, "rollback")
    assert serving(built) == OLD, "twice is once"


def test_in_weaviate_they_are_killed_between_the_aliases_too(tmp_path: Path, database: str, weaviate: Mortal) -> None:
    switched_there_and_back(beside(weaviate.scenario(tmp_path, database, "target")), BY_ALIASES)


def test_a_drop_that_is_killed_at_any_step_is_gone_on_with_and_nothing_else_goes(built: Scenario) -> None:
    vecmig(built, "cutover")
    drop = ("drop", "kb__v1", "--allow-destroy")
    dying(built, "before drop", 1, *drop)
    assert described(built, 1)
    for point in ("after drop", "before save", "after save"):
        dying(built, point, 1, *drop)
        assert described(built, 1) is None
        assert serving(built) == NEW
    vecmig(built, *drop)
    assert serving(built) == NEW
    assert built.run("vecmig", "drop", "kb", "--allow-destroy") == 3
    assert serving(built) == NEW


def test_an_apply_after_a_cutover_that_was_killed_is_told_to_let_it_end_first(built: Scenario) -> None:
    dying(built, "after switch", 1, "cutover")
    assert serving(built) == NEW
    assert built.apply() == 6, built.complaint
    assert "a cutover was broken off: run `vecmig cutover` again" in built.complaint
    vecmig(built, "cutover")
    vecmig(built, "verify")
    assert built.apply() == 0, built.complaint
    assert described(built, 3) is None, "nothing is built anew"
    assert serving(built) == NEW


def test_after_a_rollback_that_was_killed_what_it_switched_to_is_not_dropped(built: Scenario) -> None:
    vecmig(built, "cutover")
    dying(built, "after switch", 1, "rollback")
    assert serving(built) == OLD
    assert built.run("vecmig", "drop", "kb__v1", "--allow-destroy") == 6
    assert "a rollback was broken off" in built.complaint
    assert serving(built) == OLD
    vecmig(built, "rollback")
    vecmig(built, "cutover")
    assert serving(built) == NEW


def test_a_switch_is_not_taken_back_before_it_is_known_to_have_ended(built: Scenario) -> None:
    dying(built, "after switch", 1, "cutover")
    assert built.run("vecmig", "rollback") == 6
    assert "a cutover was broken off: run `vecmig cutover` again" in built.complaint
    vecmig(built, "cutover")
    dying(built, "after switch", 1, "rollback")
    assert built.run("vecmig", "cutover") == 6
    assert "a rollback was broken off: run `vecmig rollback` again" in built.complaint
    vecmig(built, "rollback")
    assert serving(built) == OLD
    vecmig(built, "cutover")
    assert serving(built) == NEW


def test_two_switches_at_once_one_works_the_other_is_told(built: Scenario) -> None:
    with FileStateStore(str(built.directory), "crash", "default").lock(0):
        for command in (("cutover",), ("rollback",), ("drop", "kb__v1", "--allow-destroy")):
            assert built.run("vecmig", *command) == 4, built.complaint
    assert serving(built) == OLD
