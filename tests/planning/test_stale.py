from dataclasses import replace as with_changes

import pytest
from msgspec.structs import replace

from tests.planning.test_plan import AFTER, BEFORE, DECLARED, FIRST, NOTHING, SOURCE, source
from vecmig.migration import Project
from vecmig.model.collection import VectorField
from vecmig.model.observed import Observed
from vecmig.model.plan import Plan
from vecmig.model.state import State, UsedPlan
from vecmig.planning.stale import Ends, against_spec, against_state, against_world

PLAN = Plan("kb", "prod", "vecmig.yaml", "digest", {}, (), "lineage", 3, (FIRST,), "then", "0")
PROJECT = Project("kb", "prod", "vecmig.yaml", ".", "digest", ())
STATE = State("kb", "prod", "lineage", 3)
BEGUN = replace(STATE, plan=PLAN, done=1)  # the collection was made
MADE = Observed(DECLARED, {}, BEFORE)


def ends(target: Observed = NOTHING, **changes: object) -> dict[str, Ends]:
    return {"docs-to-kb": Ends(with_changes(source(), **changes), target)}  # type: ignore[arg-type]


def test_a_plan_for_here_and_now_has_nothing_against_it() -> None:
    assert against_spec(PLAN, PROJECT, ()) == []
    assert against_state(PLAN, STATE) == []
    assert against_world(PLAN, ends(), None) == []
    assert against_world(PLAN, ends(MADE), BEGUN) == []


@pytest.mark.parametrize(
    ("project", "only", "reason"),
    [
        (with_changes(PROJECT, environment="dev"), (), "for kb in prod, this is kb in dev"),
        (with_changes(PROJECT, digest="other"), (), "the spec or a variable changed"),
        (PROJECT, ("m",), "it is for all migrations"),
    ],
)
def test_another_spec_environment_or_choice_is_against_it(project: Project, only: tuple[str, ...], reason: str) -> None:
    (found,) = against_spec(PLAN, project, only)
    assert reason in found


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (None, "its state is gone"),
        (replace(STATE, lineage="other"), "another state"),
        (replace(STATE, serial=4), "serial 3 -> 4"),
        (replace(STATE, serial=9, plans=(UsedPlan(PLAN.id, "noon", "done"),)), "it was applied on noon"),
        (
            replace(STATE, serial=9, plans=(UsedPlan(PLAN.id, "noon"),)),
            "it was begun on noon, and another took its place",
        ),
    ],
)
def test_another_state_is_against_it(state: State | None, reason: str) -> None:
    (found,) = against_state(PLAN, state)
    assert reason in found


def test_another_schema_of_either_side_is_against_it() -> None:
    wider = replace(SOURCE, vectors=(VectorField("", 5, "cosine"),))
    assert "schema of memory docs changed" in against_world(PLAN, ends(collection=wider), None)[0]
    assert "schema of memory kb changed" in against_world(PLAN, ends(MADE), None)[0]
    other = with_changes(MADE, collection=replace(DECLARED, mark="vecmig:other/prod:1"))
    assert "schema of memory kb changed" in against_world(PLAN, ends(other), BEGUN)[0]


def test_a_plan_in_progress_whose_target_is_gone_again_does_not_go_on() -> None:
    assert "is gone again" in against_world(PLAN, ends(), BEGUN)[0]
    assert against_world(PLAN, ends(), replace(BEGUN, done=0)) == []


@pytest.mark.parametrize("begun", [None, BEGUN])
def test_another_database_is_against_it(begun: State | None) -> None:
    target = with_changes(MADE if begun else NOTHING, place="db2:5432/app")
    (found,) = against_world(PLAN, ends(target), begun)
    assert "memory kb is now in db2:5432/app" in found


def test_a_source_that_moved_is_against_going_on_only_where_its_cursors_lose_their_place() -> None:
    assert against_world(PLAN, ends(MADE, fingerprint=AFTER), BEGUN) == []
    (found,) = against_world(PLAN, ends(MADE, fingerprint=AFTER, keeps_cursors=False), BEGUN)
    assert "was written since" in found
    assert against_world(PLAN, ends(fingerprint=AFTER, keeps_cursors=False), None) == []
