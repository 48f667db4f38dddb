import re

import pytest
from msgspec.structs import replace

from tests.reporting.examples import HOSTILE, MIGRATION, PLAN, RECONCILE, UNCHANGED
from vecmig.model.plan import DataDiff, Estimate, Fidelity, LoadRecords, Plan, ReconcileRecords
from vecmig.reporting.terminal.plan import plan_text


def planned(*migrations: object, **changes: object) -> Plan:
    return replace(PLAN, migrations=migrations, **changes)


def test_a_plan_that_creates() -> None:
    assert plan_text(PLAN) == (
        "Plan: 1 to create, 20,000 records to load, 0 to destroy             quickstart · default · serial 14\n"
        "\n"
        "+ pgvector public.words                      from snapshot glove\n"
        "    records     20,000 to load\n"
        "    columns     id, namespace, embedding vector(50), metadata jsonb, rank bigint, initial text,\n"
        "                created_at\n"
        "    index       hnsw cosine m=16 ef_construction=64, after the load\n"
        "    fidelity    rank int · seen text -> datetime · initial text    all lossless (2,000 sampled)\n"
        "\n"
        "Estimate    14 MB on disk · 9.8 MB of memory for the index\n"
        "            load 1.4 s, then index 3.2 s, then proof 1.4 s (measured on a similar table)\n"
        "Guards      nothing destroyed\n"
        "Not checked writes to the source after this plan\n"
        "Apply it    vecmig apply\n"
    )


def test_a_plan_without_changes_says_on_what_that_rests_and_asks_for_nothing() -> None:
    assert plan_text(planned(UNCHANGED)) == (
        "No changes.                                                         quickstart · default · serial 14\n"
        "\n"
        "= pgvector public.words                      from snapshot glove\n"
        "    no changes  source unchanged (exact) · target unchanged (exact) since the apply of\n"
        "                2026-11-23T10:00:00Z\n"
        "\n"
        "Not checked writes to the source after this plan\n"
    )


def test_a_plan_that_reconciles_shows_risks_first_and_unknown_as_unknown() -> None:
    text = plan_text(
        planned(RECONCILE, environment="prod", spec_file="kb.yaml", variables={"a": "b c"}, only=("words",))
    )
    assert text == (
        "Plan: 20,000 records to compare, 1 index to rebuild, 0 to destroy      quickstart · prod · serial 14\n"
        "\n"
        "! the source shows changes by counts only: one that leaves them equal is not seen\n"
        "\n"
        "~ pgvector public.words                      from snapshot glove (2 namespaces)\n"
        "    records     20,000 to compare with 19,990 in the target\n"
        "    why         the source changed since the apply of 2026-11-23T10:00:00Z\n"
        "    change      index m 16 -> 32\n"
        "    columns     id, namespace, embedding vector(50), metadata jsonb, rank bigint, initial text,\n"
        "                created_at\n"
        "    index       hnsw cosine m=16 ef_construction=64, after the load\n"
        "    fidelity    rank int · seen text -> datetime · initial text    all lossless (2,000 sampled)\n"
        "\n"
        "Estimate    unknown on disk · 9.8 MB of memory for the index\n"
        "            load unknown, then index 3.2 s, then proof unknown\n"
        "Guards      nothing destroyed\n"
        "Not checked writes to the source after this plan · how many records differ (`--data` counts them)\n"
        "Apply it    vecmig apply -f kb.yaml -e prod --var 'a=b c' --only words\n"
    )


def test_several_migrations_have_a_line_each_and_a_long_list_is_cut_with_a_count() -> None:
    many = [replace(MIGRATION, name=f"m{i}", target=f"pgvector t{i}") for i in range(30)]
    text = plan_text(planned(*many, UNCHANGED))
    assert text.startswith("Plan: 30 to create, 600,000 records to load, 0 to destroy")
    assert "+ pgvector t0                                from snapshot glove · m0: 20,000 to load\n" in text
    assert "\n… and 20 more migrations (-v shows all)\n" in text
    assert "load 42 s, then index 1 m 36 s, then proof 42 s" in text
    assert "t29" in plan_text(planned(*many), verbose=True)


def test_two_migrations_are_shown_in_full_with_their_names() -> None:
    text = plan_text(planned(MIGRATION, replace(UNCHANGED, name="other")))
    assert "+ pgvector public.words                      from snapshot glove · words\n    records" in text
    assert "= pgvector public.words                      from snapshot glove · other\n    no changes" in text


def test_everything_long_is_cut_to_about_thirty_lines_with_a_count_and_verbose_shows_all() -> None:
    long = replace(
        RECONCILE,
        risks=tuple(f"risk {i}" for i in range(40)),
        changes=tuple(f"change {i}" for i in range(40)),
        fidelity=tuple(Fidelity(f"field_{i}", "int", "int", True) for i in range(200)),
    )
    text, full = plan_text(planned(long)), plan_text(planned(long), verbose=True)
    assert len(text.splitlines()) <= 32
    assert "! … and 35 more risks (-v shows all)\n" in text
    assert "    … and 35 more changes (-v shows all)\n" in text
    shown = len(re.findall(r"field_\d+ int", text))
    assert f"… and {200 - shown} more (-v shows all)    all lossless (2,000 sampled)" in " ".join(
        text.split("\n" + " " * 16)
    )
    for part in ("risk 39", "change 39", "field_199 int"):
        assert part in full


def test_lossy_fields_are_counted_with_their_notes() -> None:
    lossy = replace(MIGRATION, fidelity=(Fidelity("old", "text", "dropped", False, "the spec says `drop`"),))
    assert "old text -> dropped (the spec says `drop`)    1 not lossless (2,000 sampled)" in plan_text(planned(lossy))


def test_the_data_of_a_plan_replaces_what_is_not_known() -> None:
    text = plan_text(planned(replace(RECONCILE, changes=(), data=DataDiff(19_980, 4, 16, 6))))
    assert text.startswith("Plan: 16 records to add, 4 to update, 0 to destroy ")
    assert "    data        19,980 equal · 4 different · 16 missing · 6 extra\n" in text


@pytest.mark.parametrize(("data", "said"), [(None, "unknown to delete"), (DataDiff(1, 0, 0, 6), "6 to delete")])
def test_a_plan_that_prunes_never_says_that_nothing_is_destroyed(data: DataDiff | None, said: str) -> None:
    actions = (ReconcileRecords("words", "a", "b", MIGRATION.actions[1].conversion, prune=True, rows=20),)  # type: ignore[union-attr]  # LoadRecords
    text = plan_text(planned(replace(RECONCILE, actions=actions, changes=(), data=data)))
    assert said in text.splitlines()[0]
    assert "0 to destroy" not in text
    assert "nothing destroyed" not in text
    assert "Guards      `prune` deletes records that only the target has; no collection is destroyed\n" in text


def test_a_number_of_records_that_is_not_known_is_called_so() -> None:
    actions = tuple(replace(a, rows=None) if isinstance(a, LoadRecords) else a for a in MIGRATION.actions)
    text = plan_text(planned(replace(MIGRATION, actions=actions, estimate=Estimate())))
    assert text.startswith("Plan: 1 to create, an unknown number of records to load, 0 to destroy ")
    assert "Estimate    unknown on disk · unknown of memory for the index\n" in text
    assert "load unknown, then index unknown, then proof unknown\n" in text


def test_one_record_is_no_plural() -> None:
    actions = tuple(replace(a, rows=1) if isinstance(a, LoadRecords) else a for a in MIGRATION.actions)
    assert plan_text(planned(replace(MIGRATION, actions=actions))).startswith("Plan: 1 to create, 1 record to load, 0 ")


def test_a_verification_that_did_not_pass_is_run_again_though_nothing_is_to_do() -> None:
    text = plan_text(planned(replace(UNCHANGED, verify=True)))
    assert text.startswith("Plan: 1 to verify again, 0 to destroy ")
    assert "    verify      again: the last verification did not pass\n" in text
    assert text.endswith("Apply it    vecmig apply\n")


def test_a_saved_plan_is_applied_by_its_file_and_a_protected_environment_asks_to_save_it() -> None:
    plan = planned(MIGRATION, environment="prod")
    assert plan_text(plan, saved_as="my plan.vplan").endswith("Apply it    vecmig apply 'my plan.vplan'\n")
    assert plan_text(plan, protected=True).endswith(
        "Save it     vecmig plan -e prod --out quickstart.vplan  (prod is protected: apply takes only a saved plan)\n"
    )
    assert plan_text(plan, saved_as="x.vplan", protected=True).endswith("Apply it    vecmig apply x.vplan\n")


def test_colour_comes_only_if_asked_and_changes_no_word() -> None:
    plan = planned(RECONCILE, MIGRATION)
    coloured = plan_text(plan, colour=True)
    assert "\x1b[33m! words: the source shows" in coloured
    assert "\x1b" not in plan_text(plan)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plan_text(plan)


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("copies", [1, 3])
def test_nothing_from_data_reaches_the_terminal_as_a_command(verbose: bool, copies: int) -> None:
    bad = replace(
        RECONCILE,
        name=HOSTILE,
        source=HOSTILE,
        target=HOSTILE,
        why=HOSTILE,
        changes=(HOSTILE,),
        details=((HOSTILE, HOSTILE),),
        fidelity=(Fidelity(HOSTILE, HOSTILE, HOSTILE, False, HOSTILE),),
        risks=(HOSTILE,),
        unchecked=(HOSTILE,),
        estimate=Estimate(basis=HOSTILE),
    )
    plan = planned(
        *[bad] * copies, replace(bad, actions=()), name=HOSTILE, environment=HOSTILE, variables={"a": HOSTILE}
    )
    text = plan_text(plan, verbose=verbose, protected=True)
    assert all(line.isprintable() for line in text.split("\n"))


def test_lines_fit_the_terminal() -> None:
    text = plan_text(planned(replace(RECONCILE, source="s", target="t")), width=60)
    assert max(map(len, text.splitlines()[2:])) <= 60


def test_a_store_whose_speed_and_index_are_its_own_business_shows_no_unknown_amounts() -> None:
    estimate = replace(MIGRATION.estimate, index_memory_bytes=None, load_s=None, index_s=None, verify_s=None, basis="")
    text = plan_text(planned(replace(MIGRATION, estimate=estimate)))
    assert "of memory" not in text
    assert "how long it takes is not known before a first apply has measured it\n" in text
