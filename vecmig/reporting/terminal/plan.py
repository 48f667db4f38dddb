"""A plan as text: verdict, risks, changes, estimate, what was not checked, the next command."""

from collections.abc import Iterable, Sequence

from vecmig.model.plan import MigrationPlan, Plan
from vecmig.reporting.escape import visible
from vecmig.reporting.quantities import number, quantity
from vecmig.reporting.summary import (
    apply_command,
    budget_risk,
    charge_details,
    command,
    creates,
    data_line,
    fidelity_item,
    fidelity_verdict,
    guards,
    needs,
    options,
    reconciles,
    records_line,
    verdict,
)
from vecmig.reporting.terminal.ink import Colour, cut, document, headline, ink, labelled, wrapped

MOST_RISKS = 6  # these limits keep a plan at about 30 lines
MOST_CHANGES = 6
MOST_LINES_OF_FIDELITY = 3
MOST_IN_FULL = 2  # migrations; more of them have one line each
MOST_MIGRATIONS = 12
_INDENT = 4


def plan_text(
    plan: Plan,
    verbose: bool = False,
    colour: bool = False,
    width: int = 100,
    saved_as: str | None = None,
    protected: bool = False,
    about_to_run: bool = False,
) -> str:
    """Return the plan for people, with the next command unless it is `about_to_run`.

    `saved_as`: the file it was saved to; `protected`: apply takes only a saved one.
    """
    left, right = headline(verdict(plan), f"{plan.name} · {plan.environment} · serial {number(plan.serial)}", width)
    lines = [ink(left, "green" if plan.empty else "bold", colour) + ink(right, "dim", colour)]
    lines += _section(_risks(plan, verbose, colour, width))
    lines += _section(_migrations(plan, verbose, colour, width))
    lines += _section(_closing(plan, width, saved_as, protected, about_to_run, colour))
    return document(lines)


def _section(lines: Sequence[str]) -> list[str]:
    return ["", *lines] if lines else []


def _risks(plan: Plan, verbose: bool, colour: bool, width: int) -> list[str]:
    several = len(plan.migrations) > 1
    budget = budget_risk(plan)
    risks = [wrapped(budget, width, "! ", "  ")] if budget else []
    risks += [
        wrapped(f"{each.name}: {risk}" if several else risk, width, "! ", "  ")
        for each in plan.migrations
        for risk in each.risks
    ]
    shown = risks if verbose or len(risks) <= MOST_RISKS else risks[: MOST_RISKS - 1]
    lines = [line for risk in shown for line in risk]
    if len(shown) < len(risks):
        lines.append(f"! … and {quantity(len(risks) - len(shown), 'more risk')} (-v shows all)")
    return [ink(line, "yellow", colour) for line in lines]


def _migrations(plan: Plan, verbose: bool, colour: bool, width: int) -> list[str]:
    if not verbose and len(plan.migrations) > MOST_IN_FULL:
        lines = [line for each in plan.migrations for line in _brief(each, colour, width)]
        return cut(lines, MOST_MIGRATIONS, "migrations")
    return [line for each in plan.migrations for line in _full(each, len(plan.migrations) > 1, verbose, colour, width)]


def _head(migration: MigrationPlan, name: str, colour: bool, width: int) -> str:
    symbol, shade = _symbol(migration)
    namespaces = len(migration.source_counts)
    origin = f"from {migration.source}" if migration.source else "no migration fills it"
    origin += f" ({number(namespaces)} namespaces)" if namespaces > 1 else ""
    left = visible(f"{symbol} {migration.target}")
    right = visible(f"  {origin}" + (f" · {name}" if name else ""))
    return ink(left.ljust(min(43, width - len(right))), shade, colour) + right


def _symbol(migration: MigrationPlan) -> tuple[str, Colour]:
    if creates(migration):
        return "+", "green"
    return ("~", "yellow") if migration.actions or migration.verify else ("=", "dim")


def _brief(migration: MigrationPlan, colour: bool, width: int) -> Iterable[str]:
    idle = "verify again" if migration.verify else "no changes"
    what = records_line(migration) or "; ".join(migration.changes) or idle
    yield _head(migration, migration.name, colour, width) + visible(f": {what}")


def _full(migration: MigrationPlan, several: bool, verbose: bool, colour: bool, width: int) -> list[str]:
    lines = [_head(migration, migration.name if several else "", colour, width)]

    def add(label: str, text: str) -> None:
        if text:
            lines.extend(labelled(label, text, width, _INDENT))

    costs = [line for pair in charge_details(migration) for line in labelled(*pair, width, _INDENT)]
    if not migration.actions:
        add("verify", "again: the last verification did not pass" if migration.verify else "")
        add("no changes", migration.why)
        add("data", data_line(migration))
        return [*lines, *costs] if verbose else lines
    add("records", records_line(migration))
    says = verbose or reconciles(migration) or not creates(migration) or migration.beside
    add("why", migration.why if says else "")
    add("data", data_line(migration))
    changes = [line for each in migration.changes for line in labelled("change", each, width, _INDENT)]
    lines += changes if verbose else cut(changes, MOST_CHANGES, "changes", _INDENT)
    for label, text in migration.details:
        add(label, text)
    lines += _fidelity(migration, verbose, width)
    return [*lines, *costs] if verbose else lines


def _fidelity(migration: MigrationPlan, verbose: bool, width: int) -> list[str]:
    if not migration.fidelity:
        return []
    items = [fidelity_item(each) for each in migration.fidelity]
    for shown in range(len(items), 0, -1):
        left = len(items) - shown
        rest = f" · … and {number(left)} more (-v shows all)" if left else ""
        text = " · ".join(items[:shown]) + rest + "    " + fidelity_verdict(migration)
        lines = labelled("fidelity", text, width, _INDENT)
        if verbose or len(lines) <= MOST_LINES_OF_FIDELITY:
            break
    return lines


def _closing(
    plan: Plan, width: int, saved_as: str | None, protected: bool, about_to_run: bool, colour: bool
) -> list[str]:
    lines: list[str] = []
    estimate = needs(plan)
    for i, text in enumerate(estimate):
        lines += labelled("" if i else "Estimate", text, width)
    if not plan.empty:
        lines += labelled("Guards", guards(plan), width)
    unchecked = " · ".join(dict.fromkeys(each for migration in plan.migrations for each in migration.unchecked))
    if unchecked:
        lines += labelled("Not checked", unchecked, width)
    if plan.empty or about_to_run:
        return lines
    if protected and not saved_as:
        how = command("plan", *options(plan), "--out", f"{plan.name}.vplan")
        because = f"  ({visible(plan.environment)} is protected: apply takes only a saved plan)"
        return [*lines, "Save it     " + ink(visible(how), "bold", colour) + because]
    return [*lines, "Apply it    " + ink(visible(apply_command(plan, saved_as)), "bold", colour)]
