from types import SimpleNamespace

from msgspec.structs import replace

from tests.reporting.examples import EXACT, FAILED, HOSTILE, MIGRATION, PARTS, PLAN, RECONCILE, REPORT
from vecmig.model.record import Key, Rejected
from vecmig.model.state import Applied, Cursor, Progress, Resource, State
from vecmig.protocols import IndexProgress, Stage
from vecmig.reporting.outcome import outcome_of, verdict_of
from vecmig.reporting.terminal.state import outcome_text, state_text, states_text, status_text

EMPTY = State("quickstart", "default", "lineage-1", serial=3, vecmig_version="0.1.0")
BEGUN = replace(
    EMPTY.begun(PLAN, "2026-11-23T10:00:00Z").with_progress(
        Progress("words", PARTS[0], Cursor("c"), 6_000, 5_999, rejected=(Rejected(Key("", "x"), "NaN"),))
    ),
    done=1,
)
APPLIED = Applied("p" * 64, "2026-11-23T10:00:00Z", EXACT, EXACT, "c", 20_000, rows_per_s=12_345.6, report=REPORT)
DONE = EMPTY.with_applied("words", APPLIED)


def test_the_end_of_an_apply_says_what_all_runs_of_the_plan_did_and_what_comes_next() -> None:
    outcome = outcome_of(PLAN, BEGUN, resumed=True)
    for event in (
        Stage("words", "load", 20_000, 5_999),
        Progress("words", PARTS[1], Cursor("c"), 14_000, 14_000),
        Stage("words", "index"),
        IndexProgress("i", "building index", 0.5),
        Stage("words", "verify"),
        REPORT,
    ):
        outcome = outcome.after(event)
    assert (outcome.created, outcome.indexed, outcome.read) == (1, 1, 20_000)
    assert outcome_text(replace(outcome, seconds=12.4, quarantine_files=("bad.parquet",)), "vecmig verify") == (
        "Applied: 1 created, 19,999 records written, 1 quarantined            quickstart · default · serial 3\n"
        "\n"
        "Resumed     an earlier run of this plan; what it had done is counted\n"
        "Took        12 s\n"
        "Put aside   1 record in bad.parquet\n"
        "Verified    passed\n"
        "Next        vecmig verify\n"
    )


def test_what_another_plan_left_unfinished_does_not_count() -> None:
    outcome = outcome_of(replace(PLAN, serial=15), BEGUN)
    assert (outcome.created, outcome.read, outcome.written, outcome.quarantined) == (0, 0, 0, 0)


def test_several_reports_are_as_good_as_the_worst_and_none_is_unknown() -> None:
    unknown = replace(REPORT, verdict="unknown")
    assert verdict_of([REPORT, REPORT]) == "passed"
    assert verdict_of([REPORT, unknown]) == "unknown"
    assert verdict_of([unknown, FAILED, REPORT]) == "failed"
    assert verdict_of([]) == "unknown"


def test_an_environment_without_a_state() -> None:
    assert status_text("kb", "prod", None) == "Nothing applied yet" + " " * 72 + "kb · prod\n"


def test_an_unfinished_plan_says_how_far_it_came_and_how_it_goes_on() -> None:
    text = status_text("quickstart", "default", BEGUN)
    assert text.startswith("Unfinished  ")
    assert "1 of 3 actions done, 5,999 of 20,000 records" in text
    assert "`vecmig apply` goes on with it" in " ".join(text.split())


def test_a_running_environment_names_who_works_on_it() -> None:
    text = status_text("quickstart", "default", BEGUN, "me@host (pid 3), `vecmig apply`, since noon")
    assert text.startswith("Running  ")
    assert "\nRunning     me@host (pid 3), `vecmig apply`, since noon\n" in text


def test_what_was_applied_but_not_verified_is_not_called_verified() -> None:
    assert status_text("quickstart", "default", DONE).startswith("Applied and verified  ")
    unverified = DONE.with_applied("more", replace(APPLIED, report=None))
    text = status_text("quickstart", "default", unverified)
    assert text.startswith("Applied, not verified  ")
    assert "words                 verified              20,000 records, applied 2026-11-23T10:00:00Z" in text
    assert "more                  not shown to be right 20,000 records, applied" in text
    failed = DONE.with_applied("words", replace(APPLIED, report=FAILED))
    assert status_text("quickstart", "default", failed).startswith("Applied, verification FAILED  ")


def test_a_state_shows_its_file_lineage_resources_plans_and_history() -> None:
    state = BEGUN.with_resource(Resource("t", "pgvector words", "words", "m1", "2026-11-23")).with_event("began", "now")
    text = state_text(state, ".vecmig/quickstart/default.state.json")
    for line in (
        "File        .vecmig/quickstart/default.state.json\n",
        "Lineage     lineage-1\n",
        "Written by  vecmig 0.1.0\n",
        "Resource    t: pgvector words, mark m1, since 2026-11-23\n",
        f"Plan        {PLAN.id[:12]}  started 2026-11-23T10:00:00Z\n",
        "History     now  serial 3  began\n",
    ):
        assert line in text


def test_the_list_of_states_shows_what_is_wrong_with_each() -> None:
    good = SimpleNamespace(name="kb", environment="dev", path="p", state=DONE, problem="")
    bad = SimpleNamespace(name="kb", environment="prod", path="p", state=None, problem="p is damaged")
    assert states_text([good, bad]) == (
        "kb · dev                          serial 3 · Applied and verified\n"
        "kb · prod                         ! p is damaged\n"
    )
    assert states_text([]) == "No states here: nothing has been applied yet.\n"


def test_nothing_from_data_reaches_the_terminal_as_a_command() -> None:
    plan = replace(PLAN, migrations=(replace(MIGRATION, name=HOSTILE),), created_at=HOSTILE)
    state = (
        State(HOSTILE, HOSTILE, HOSTILE, vecmig_version=HOSTILE)
        .begun(plan, HOSTILE)
        .with_applied(HOSTILE, replace(APPLIED, at=HOSTILE))
        .with_resource(Resource(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE))
        .with_event(HOSTILE, HOSTILE)
    )
    outcome = outcome_of(replace(plan, name=HOSTILE, environment=HOSTILE), state)
    found = SimpleNamespace(name=HOSTILE, environment=HOSTILE, path=HOSTILE, state=None, problem=HOSTILE)
    text = (
        state_text(state, HOSTILE)
        + status_text(HOSTILE, HOSTILE, state, HOSTILE)
        + outcome_text(replace(outcome, quarantined=1, quarantine_files=(HOSTILE,)), HOSTILE)
        + states_text([found])
    )
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_comparison_that_was_broken_off_counts_what_it_reads_once() -> None:
    plan = replace(PLAN, migrations=(RECONCILE,))
    whole = Progress("words", PARTS[0], Cursor("c"), 6_000, 10, rejected=(Rejected(Key("", "x"), "NaN"),))
    outcome = outcome_of(plan, EMPTY.begun(plan, "2026-11-23T10:00:00Z").with_progress(whole), resumed=True)
    outcome = outcome.after(replace(whole, read=20_000, rows=4, anew=True))
    assert (outcome.read, outcome.quarantined, outcome.written) == (20_000, 1, 14)
