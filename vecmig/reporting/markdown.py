"""Plans and reports for a pull request: what counts is in sight, the rest folds away."""

from collections.abc import Iterable, Sequence

from vecmig.model.plan import Cost, MigrationPlan, Plan
from vecmig.model.report import LabelledCheck, Report, SearchCheck
from vecmig.reporting.escape import cell, code, markdown
from vecmig.reporting.quantities import duration, interval, number, quantity, units, usd
from vecmig.reporting.summary import (
    apply_command,
    budget_risk,
    creates,
    data_line,
    fidelity_verdict,
    guards,
    needs,
    records_line,
    shares_of,
    verdict,
)
from vecmig.reporting.terminal.report import VERDICTS, breach_text, count_line, labelled_place, listed, search_place
from vecmig.reporting.terminal.report import records_line as compared_line

MOST_NAMESPACES = 20  # of a cost; JSON has all
_MARKS = {"passed": "✅", "failed": "❌", "unknown": "⚠️"}


def plan_markdown(plan: Plan, saved_as: str | None = None) -> str:
    """Return the plan for a pull request."""
    lines = [f"### {markdown(verdict(plan))}", "", _where(plan.name, plan.environment, f"serial {number(plan.serial)}")]
    several = len(plan.migrations) > 1
    if budget := budget_risk(plan):
        lines.append(f"\n> [!WARNING]\n> {markdown(budget)}")
    for each in plan.migrations:
        lines += [f"\n> [!WARNING]\n> {_named(each, several)}{markdown(risk)}" for risk in each.risks]
    for each in plan.migrations:
        lines += ["", *_migration(each)]
    lines.append("")
    lines += [f"- **Estimate:** {markdown(text)}" for text in needs(plan)]
    if not plan.empty:
        lines.append(f"- **Guards:** {markdown(guards(plan))}")
    unchecked = dict.fromkeys(text for each in plan.migrations for text in each.unchecked)
    if unchecked:
        lines.append(f"- **Not checked:** {markdown(' · '.join(unchecked))}")
    if not plan.empty:
        lines.append(f"- **Apply it:** {code(apply_command(plan, saved_as))}")
    return _document(lines)


def report_markdown(reports: Sequence[Report]) -> str:
    """Return the reports of one or more migrations for a pull request."""
    return _document(line for each in reports for line in (*_report(each), ""))


def _migration(migration: MigrationPlan) -> Iterable[str]:
    sign = "+" if creates(migration) else "~" if migration.actions or migration.verify else "="
    namespaces = len(migration.source_counts)
    origin = f" from {markdown(migration.source)}" if migration.source else ""
    origin += f", {number(namespaces)} namespaces" if namespaces > 1 else ""
    yield f"**{code(sign)} {markdown(migration.target)}**{origin} · {code(migration.name)}"
    yield ""
    if not migration.actions:
        again = "Verified again: the last verification did not pass. " if migration.verify else "No changes: "
        yield again + markdown(migration.why)
        yield from _costs(migration.estimate.costs)
        return
    rows = [("records", records_line(migration)), ("why", migration.why), ("data", data_line(migration))]
    rows += [("change", text) for text in migration.changes]
    rows += migration.details
    yield from _table(("", ""), [(markdown(label), markdown(text)) for label, text in rows if text])
    if migration.fidelity:
        yield ""
        yield f"<details><summary>Fidelity of {quantity(len(migration.fidelity), 'field')}: {fidelity_verdict(migration)}</summary>"
        yield ""
        yield from _table(
            ("field", "source", "target", "lossless", "note"),
            [
                (
                    code(f.field),
                    markdown(f.source),
                    markdown(f.target),
                    "yes" if f.lossless else "**no**",
                    markdown(f.note),
                )
                for f in migration.fidelity
            ],
        )
        yield ""
        yield "</details>"
    yield from _costs(migration.estimate.costs)


def _costs(costs: Sequence[Cost]) -> Iterable[str]:
    """Yield a table of the costs, with the largest namespaces of each, folded away."""
    if not costs:
        return
    yield ""
    yield f"<details><summary>{quantity(len(costs), 'cost')}, and what they rest on</summary>"
    yield ""
    rows = []
    for cost in costs:
        basis = "; ".join(filter(None, (cost.basis, cost.prices)))
        month = " a month" if cost.monthly else ""
        where = f"{cost.side} {cost.store}" if cost.side else cost.service
        whole = units(cost.units, cost.unit)
        texts = (where, cost.what, "", whole, usd(cost.usd) + month, basis)
        rows.append(tuple(map(markdown, texts)))
        shares = shares_of(cost)
        for name, share in shares[:MOST_NAMESPACES]:
            rows.append(("", "", code(name), markdown(units(share, cost.unit)), "", ""))
        if (left := len(shares) - MOST_NAMESPACES) > 0:
            rows.append(("", "", f"… and {number(left)} more", "", "", ""))
    yield from _table(("store", "what", "namespace", "units", "USD", "rests on"), rows)
    yield ""
    yield "</details>"


def _report(report: Report) -> Iterable[str]:
    yield f"### {_MARKS[report.verdict]} {VERDICTS[report.verdict][0]}"
    yield ""
    yield _where(report.name, report.environment, report.migration)
    yield ""
    yield f"{markdown(report.source)} → {markdown(report.target)}, {duration(report.seconds)}"
    if report.breaches:
        yield ""
        yield from (f"- **{markdown(breach_text(each))}**" for each in report.breaches)
    yield ""
    yield from _table(("check", "result"), list(_checks(report)))
    if report.search:
        yield ""
        yield from _searches(report.search)
    for each in report.labelled:
        yield ""
        yield from _labelled(each)
    yield from (f"\n- {markdown(note)}" for note in report.notes)
    if report.records is not None:
        for label, keys, total in listed(report.records):
            if keys:
                yield f"\n<details><summary>{number(total)} {label}</summary>\n"
                yield from (
                    f"- {code(key.id)}" + (f" in {code(key.namespace)}" if key.namespace else "") for key in keys
                )
                if len(keys) < total:
                    yield f"- … and {number(total - len(keys))} more"
                yield "\n</details>"


def _checks(report: Report) -> Iterable[tuple[str, str]]:
    yield "count", markdown(count_line(report.count)) if report.count else "not checked"
    yield "records", markdown(compared_line(report.records)) if report.records else "not compared"
    if report.quarantined:
        yield "quarantined", f"{quantity(report.quarantined, 'record')} put aside"


def _searches(checks: Sequence[SearchCheck]) -> Iterable[str]:
    rows = [
        (
            markdown(search_place(each, checks) or "all records"),
            number(each.queries),
            number(each.top_k),
            interval(each.overlap),
            number(each.perfect) if each.perfect is not None else "not measured",
            interval(each.recall),
            markdown(each.note),
        )
        for each in checks
    ]
    return _table(("search", "queries", "top k", "overlap", "identical", "recall", ""), rows)


def _labelled(check: LabelledCheck) -> Iterable[str]:
    rows = [
        (side, *(interval(each) for each in ((found.ndcg, found.mrr, found.recall) if found else (None,) * 3)))
        for side, found in (("source", check.source), ("target", check.target))
    ]
    yield from _table((markdown(labelled_place(check)), "nDCG", "MRR", "recall"), rows)
    if check.note:
        yield f"\n- {markdown(check.note)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield from (f"| {' | '.join(map(cell, row))} |" for row in rows)


def _where(*parts: str) -> str:
    return " · ".join(map(code, parts))


def _named(migration: MigrationPlan, several: bool) -> str:
    return f"{code(migration.name)}: " if several else ""


def _document(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
