"""What a plan costs, in each output."""

from typing import Any

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from tests.reporting.examples import EGRESS, HOSTILE, METERED, MIGRATION, PLAN, READS, UNCHANGED
from vecmig.model.plan import Bounds, Cost, Plan, exactly
from vecmig.reporting.markdown import MOST_NAMESPACES, plan_markdown
from vecmig.reporting.quantities import units, usd
from vecmig.reporting.terminal.plan import plan_text


def planned(*costs: Cost, copies: int = 1, **changes: Any) -> Plan:
    one = replace(MIGRATION, estimate=replace(MIGRATION.estimate, costs=costs))
    return replace(PLAN, migrations=tuple(replace(one, name=f"m{n}") for n in range(copies)), **changes)


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (exactly(0), "0 RU"),
        (exactly(0.001), "under 0.01 RU"),
        (exactly(0.25), "0.25 RU"),
        (exactly(9_950), "9,950 RU"),
        (exactly(9_999.6), "10 k RU"),
        (exactly(275_000), "275 k RU"),
        (exactly(1_240_000), "1.2 M RU"),
        (exactly(390e6), "390 M RU"),
        (Bounds(1_200_000, 3_400_000), "1.2-3.4 M RU"),
        (Bounds(450, 3_400_000), "450-3.4 M RU"),
        (Bounds(0, 12), "0-12 RU"),
        (Bounds(0.001, 12), "0-12 RU"),
    ],
)
def test_units_are_short(bounds: Bounds, text: str) -> None:
    assert units(bounds, "RU") == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (None, "price unknown"),
        (exactly(0), "USD 0.00"),
        (exactly(0.004), "under USD 0.01"),
        (exactly(4.4), "USD 4.40"),
        (exactly(275_000 * (16 / 1e6)), "USD 4.40"),
        (Bounds(4.4, 7.421), "USD 4.40-7.43"),
        (Bounds(0.001, 0.5), "USD 0.00-0.50"),
        (exactly(1_234.5), "USD 1,234.50"),
    ],
)
def test_dollars_are_rounded_outward_to_cents(bounds: Bounds | None, text: str) -> None:
    assert usd(bounds) == text


def test_the_estimate_begins_with_what_is_charged_and_says_which_prices_that_rests_on() -> None:
    assert (
        "Estimate    Pinecone reads 275 k RU (copy and proof), USD 4.40-7.43 · egress 12 GB, price unknown · 14\n"
        "            MB on disk · 9.8 MB of memory for the index\n"
        "            prices: Pinecone Standard, 2026-06-09, example.org\n"
        "            load 1.4 s, then index 3.2 s"
    ) in plan_text(replace(PLAN, migrations=(METERED,)), width=104)


def test_the_line_is_as_short_for_many_migrations_and_namespaces() -> None:
    many = replace(READS, namespaces={f"tenant{n}": exactly(1) for n in range(10_000)})
    text = plan_text(planned(many, copies=12))
    assert "Pinecone reads 3.3 M RU (copy and proof), USD 52.80-89.10 ·" in text
    assert "tenant" not in text
    assert len(text.splitlines()) <= 30


def test_a_sum_with_an_unknown_price_has_no_known_price() -> None:
    plan = planned(READS, replace(READS, usd=None))
    assert "Pinecone reads 550 k RU (copy and proof), price unknown ·" in plan_text(plan)
    assert plan.usd == Bounds(4.4, 7.425)


def test_what_each_month_costs_is_said_so_and_is_no_part_of_the_sum() -> None:
    plan = planned(Cost("Pinecone", "storage", "GB", exactly(7), exactly(2.31), monthly=True), max_usd=1)
    assert "Pinecone storage 7 GB, USD 2.31 a month ·" in plan_text(plan)
    assert not plan.over_budget


def test_verbose_shows_the_largest_namespaces_first_and_on_what_each_cost_rests() -> None:
    text = plan_text(replace(PLAN, migrations=(METERED,)), verbose=True, width=120)
    assert (
        "    cost        source pinecone support-kb reads 275 k RU (copy and proof), USD 4.40-7.43: en 155 k RU · de 120 k RU\n"
        "    cost        source pinecone support-kb egress 12 GB, price unknown\n"
        "    rests on    source pinecone support-kb: 6,312 bytes a record, the mean of 2,000 sampled; copy reads once, proof\n"
        "                reads once\n"
    ) in text
    assert "    cost" not in plan_text(replace(PLAN, migrations=(METERED,)))


def test_units_whose_namespace_is_not_known_are_told_beside_the_others() -> None:
    text = plan_text(planned(replace(READS, namespaces={"en": exactly(155_000)})), verbose=True, width=120)
    assert "en 155 k RU · (not known which) 120 k RU" in " ".join(text.split())


def test_a_proof_alone_costs_as_well() -> None:
    again = replace(UNCHANGED, verify=True, estimate=replace(UNCHANGED.estimate, costs=(READS,)))
    text = plan_text(replace(PLAN, migrations=(again,)), verbose=True)
    assert "Estimate    Pinecone reads 275 k RU" in text
    assert "    cost        source pinecone support-kb reads" in text


def test_the_budget_stands_among_the_guards() -> None:
    assert "Guards      USD 7.43 of 50.00 · nothing destroyed\n" in plan_text(planned(READS, max_usd=50))
    assert "USD 7.43 of 50.00 (without Pinecone egress) · " in plan_text(planned(READS, EGRESS, max_usd=50))
    assert "Guards      nothing destroyed\n" in plan_text(planned(READS))


def test_an_estimate_above_the_budget_is_the_first_risk() -> None:
    over = planned(READS, max_usd=5)
    assert over.over_budget
    risk = "it may cost USD 7.43, and `limits.max_usd` is 5.00: apply would stop (6)"
    assert f"\n! {risk}\n" in plan_text(over)
    assert f"> [!WARNING]\n> {risk}\n" in plan_markdown(over)
    assert not planned(READS, max_usd=7.425).over_budget


def test_markdown_has_a_table_of_costs_that_folds_away() -> None:
    text = plan_markdown(replace(PLAN, migrations=(METERED,)))
    assert (
        "- **Estimate:** Pinecone reads 275 k RU (copy and proof), USD 4.40-7.43 · egress 12 GB, price unknown" in text
    )
    assert "<details><summary>2 costs, and what they rest on</summary>" in text
    assert "|  |  | `en` | 155 k RU |  |  |\n|  |  | `de` | 120 k RU |  |  |\n" in text


def test_markdown_shows_the_largest_namespaces_and_counts_the_rest() -> None:
    many = replace(READS, namespaces={f"t{n:03}": exactly(100 + n) for n in range(300)}, units=exactly(1))
    text = plan_markdown(planned(many))
    assert text.count("| `t") == MOST_NAMESPACES
    assert "`t299`" in text
    assert f"… and {300 - MOST_NAMESPACES} more" in text


def test_nothing_from_a_store_reaches_an_output_as_a_command() -> None:
    bad = replace(
        READS, service=HOSTILE, what=HOSTILE, unit=HOSTILE, store=HOSTILE, basis=HOSTILE, prices=HOSTILE,
        namespaces={HOSTILE: exactly(1), "x": exactly(2)},
    )  # fmt: skip
    plan = planned(bad, replace(bad, usd=None), max_usd=1)
    text, document = plan_text(plan, verbose=True), plan_markdown(plan)
    assert all(line.isprintable() for line in (text + document).split("\n"))
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(document)
    for active in ("<script", "<strong>bold", "<a "):
        assert active not in rendered
