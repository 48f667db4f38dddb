"""What a plan amounts to, in words that every output shares."""

import shlex
from collections.abc import Iterable, Sequence

from vecmig.model.plan import (
    Bounds,
    BuildIndex,
    Cost,
    CreateCollection,
    Fidelity,
    LoadRecords,
    MigrationPlan,
    Plan,
    ReconcileRecords,
)
from vecmig.reporting.quantities import UNKNOWN, duration, number, quantity, size, units, usd


def verdict(plan: Plan) -> str:
    """Return the first line: `Plan: 1 to create, 20,000 records to load, 0 to destroy`, or `No changes.`"""
    if plan.empty:
        return "No changes."
    return "Plan: " + ", ".join(_parts(plan))


def _parts(plan: Plan) -> Iterable[str]:
    creates = sum(isinstance(action, CreateCollection) for action in plan.actions)
    moving = [action for action in plan.actions if isinstance(action, LoadRecords)]
    loads = [action.rows for action in moving if not action.conversion.embed]
    embeds = [action.rows for action in moving if action.conversion.embed]
    compared = [each for each in plan.migrations if reconciles(each)]
    indexed = sum(bool(each.changes) and indexes(each) for each in plan.migrations)
    again = sum(each.verify and not each.actions for each in plan.migrations)
    if creates:
        yield f"{number(creates)} to create"
    if loads:
        yield f"{_records(total(loads))} to load"
    if embeds:
        yield f"{_records(total(embeds))} to embed"
    if compared:
        yield from _compared(compared)
    if indexed:
        yield f"{quantity(indexed, 'index', 'indexes')} to rebuild"
    if again:
        yield f"{number(again)} to verify again"
    if not any(prunes(each) for each in compared):
        yield "0 to destroy"


def _compared(migrations: Sequence[MigrationPlan]) -> Iterable[str]:
    known = [each.data for each in migrations if each.data is not None]
    if len(known) == len(migrations):
        yield f"{_records(sum(data.missing for data in known))} to add"
        yield f"{number(sum(data.mismatched for data in known))} to update"
    else:
        yield f"{_records(total(rows_of(each) for each in migrations))} to compare"
    pruned = [each for each in migrations if prunes(each)]
    if pruned:
        yield f"{number(total(each.data.extra if each.data else None for each in pruned))} to delete"


def total(values: Iterable[int | None]) -> int | None:
    """Return the sum, or None if one of them is unknown."""
    known = list(values)
    return None if None in known else sum(each for each in known if each is not None)


def rows_of(migration: MigrationPlan) -> int | None:
    """Return the number of records that its actions read, where that is known."""
    return next((a.rows for a in migration.actions if isinstance(a, LoadRecords | ReconcileRecords)), 0)


def creates(migration: MigrationPlan) -> bool:
    return any(isinstance(action, CreateCollection) for action in migration.actions)


def moves(migration: MigrationPlan) -> bool:
    return any(isinstance(action, LoadRecords | ReconcileRecords) for action in migration.actions)


def reconciles(migration: MigrationPlan) -> bool:
    return any(isinstance(action, ReconcileRecords) for action in migration.actions)


def embeds(migration: MigrationPlan) -> bool:
    """Return whether vectors are made of texts."""
    moves_ = (action for action in migration.actions if isinstance(action, LoadRecords | ReconcileRecords))
    return any(action.conversion.embed for action in moves_)


def prunes(migration: MigrationPlan) -> bool:
    return any(isinstance(action, ReconcileRecords) and action.prune for action in migration.actions)


def indexes(migration: MigrationPlan) -> bool:
    return any(isinstance(action, BuildIndex) for action in migration.actions)


def records_line(migration: MigrationPlan) -> str:
    """Return what happens to the records of one migration."""
    if not moves(migration):
        return ""
    rows = rows_of(migration)
    shown = "an unknown number" if rows is None else number(rows)
    if not reconciles(migration):
        return f"{shown} to embed and load" if embeds(migration) else f"{shown} to load"
    return f"{shown} to compare with {number(sum(migration.target_counts.values()))} in the target"


def data_line(migration: MigrationPlan) -> str:
    """Return what `plan --data` counted."""
    if (data := migration.data) is None:
        return ""
    parts = ((data.matching, "equal"), (data.mismatched, "different"), (data.missing, "missing"), (data.extra, "extra"))
    return " · ".join(f"{number(n)} {what}" for n, what in parts)


def fidelity_item(fidelity: Fidelity) -> str:
    """Return one field: `page int`, `created text -> datetime`."""
    same = fidelity.source == fidelity.target
    text = f"{fidelity.field} {fidelity.source}" if same else f"{fidelity.field} {fidelity.source} -> {fidelity.target}"
    return f"{text} ({fidelity.note})" if fidelity.note else text


def fidelity_verdict(migration: MigrationPlan) -> str:
    lossy = sum(not each.lossless for each in migration.fidelity)
    what = f"{lossy} not lossless" if lossy else "all lossless"
    return f"{what} ({number(migration.sampled)} sampled)"


def needs(plan: Plan) -> list[str]:
    """Return the estimate: costs and space, prices, then time and its basis; nothing where nothing is done."""
    working = [each for each in plan.migrations if each.actions or each.verify]
    loading = [each for each in working if moves(each)]
    indexing = [each for each in working if indexes(each)]
    space = []
    if loading:
        space.append(f"{_at_least(each.estimate.disk_bytes for each in loading)} on disk")
    if indexing:
        memory = [each.estimate.index_memory_bytes for each in indexing]  # one index after the other
        known = [each for each in memory if each is not None]
        if known or any(each.estimate.rows is None for each in indexing):  # else the store's own business
            space.append(f"{size(max(known) if known else None)} of memory for the index")
    times = []
    if embedding := [each for each in loading if embeds(each)]:
        times.append(f"embedding {_seconds(each.estimate.embed_s for each in embedding)}")
    if loading:
        times.append(f"load {_seconds(each.estimate.load_s for each in loading)}")
    if indexing:
        times.append(f"index {_seconds(each.estimate.index_s for each in indexing)}")
    if loading or any(each.verify for each in working):
        times.append(f"proof {_seconds(each.estimate.verify_s for each in working)}")
    basis = "; ".join(dict.fromkeys(each.estimate.basis for each in working if each.estimate.basis))
    took = ", then ".join(times) + (f" ({basis})" if basis and times else "")
    if times and all(each.endswith(UNKNOWN) for each in times) and all(each.estimate.rows for each in working):
        took = "how long it takes is not known before a first apply has measured it"
    lines = [" · ".join([*charges(plan), *space]), prices(plan), took]
    return [line for line in lines if line]


def charges(plan: Plan) -> list[str]:
    """Return what metered stores charge, however many they are: `Pinecone reads 275 k RU (copy and proof), USD 4.40`."""
    kinds: dict[tuple[str, str], list[Cost]] = {}
    for cost in plan.costs:
        kinds.setdefault((cost.service, cost.what), []).append(cost)
    firsts = dict(reversed(kinds))  # which alone names its service
    return [charge(service if firsts[service] == what else "", alike) for (service, what), alike in kinds.items()]


def charge(label: str, alike: Sequence[Cost]) -> str:
    """Return the sum of costs of one kind."""
    steps = list(dict.fromkeys(step for cost in alike for step in cost.steps))
    shown = "" if steps in ([], ["load"]) else f" ({_listed(steps)})"
    priced = [cost.usd for cost in alike if cost.usd is not None]
    price = usd(sum(priced, Bounds()) if len(priced) == len(alike) else None)
    whole = units(sum((cost.units for cost in alike), Bounds()), alike[0].unit)
    return f"{label} {alike[0].what} {whole}{shown}, {price}{' a month' if alike[0].monthly else ''}".lstrip()


def charge_details(migration: MigrationPlan) -> list[tuple[str, str]]:
    """Return each cost with the share of each namespace, the largest first, then what they rest on: labels and texts."""
    costs = migration.estimate.costs
    lines = []
    for cost in costs:
        shares = " · ".join(f"{name} {units(share, cost.unit)}" for name, share in shares_of(cost))
        lines.append(("cost", charge(_where(cost), [cost]) + (f": {shares}" if shares else "")))
    bases = dict.fromkeys(f"{_where(cost)}: {cost.basis}" for cost in costs if cost.basis)
    return lines + [("rests on", basis) for basis in bases]


def _where(cost: Cost) -> str:
    return f"{cost.side} {cost.store}" if cost.side else cost.service


def shares_of(cost: Cost) -> list[tuple[str, Bounds]]:
    """Return the units of each namespace, the largest first, where there are several."""
    shares = [(name or "(default)", share) for name, share in cost.namespaces.items()]
    shares.sort(key=lambda pair: (-pair[1].high, pair[0]))
    known = sum((share for _, share in shares), Bounds())
    if shares and round(cost.units.high - known.high, 6) > 0:
        shares.append(("(not known which)", Bounds(max(0.0, cost.units.low - known.low), cost.units.high - known.high)))
    return shares if len(shares) > 1 else []


def prices(plan: Plan) -> str:
    """Return which prices the costs rest on."""
    found = dict.fromkeys(f"{cost.service} {cost.prices}" for cost in plan.costs if cost.prices)
    return f"prices: {'; '.join(found)}" if found else ""


def budget_risk(plan: Plan) -> str:
    """Return what stops apply, where the estimate is above `limits.max_usd`."""
    if not plan.over_budget or plan.max_usd is None:
        return ""
    return f"it may cost {usd(Bounds(plan.usd.high, plan.usd.high))}, and `limits.max_usd` is {_limit(plan.max_usd)}: apply would stop (6)"


def guards(plan: Plan) -> str:
    """Return what keeps the plan from harm: `USD 12.20 of 50.00 · nothing destroyed`."""
    if any(prunes(each) for each in plan.migrations):
        destroyed = "`prune` deletes records that only the target has; no collection is destroyed"
    else:
        destroyed = "nothing destroyed"
    if plan.max_usd is None:
        return destroyed
    unpriced = dict.fromkeys(f"{cost.service} {cost.what}" for cost in plan.costs if cost.usd is None)
    without = f" (without {_listed(list(unpriced))})" if unpriced else ""
    return f"{usd(Bounds(plan.usd.high, plan.usd.high))} of {_limit(plan.max_usd)}{without} · {destroyed}"


def _limit(max_usd: float) -> str:
    """Return it as it was written: cents, or finer."""
    return f"{max_usd:,.2f}" if round(max_usd, 2) == max_usd else f"{max_usd:g}"


def apply_command(plan: Plan, saved_as: str | None) -> str:
    """Return what to type next: a saved plan carries its spec, environment and variables."""
    return command("apply", saved_as) if saved_as else command("apply", *options(plan))


def options(plan: Plan) -> list[str]:
    """Return the flags with which another command works on the same."""
    words = [] if plan.spec_file == "vecmig.yaml" else ["-f", plan.spec_file]
    words += [] if plan.environment == "default" else ["-e", plan.environment]
    for name, value in plan.variables.items():
        words += ["--var", f"{name}={value}"]
    for name in plan.only:
        words += ["--only", name]
    return words


def command(*words: str) -> str:
    return shlex.join(("vecmig", *words))


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _records(n: int | None) -> str:
    return "an unknown number of records" if n is None else quantity(n, "record")


def _at_least(values: Iterable[int | None]) -> str:
    every = list(values)
    known = [each for each in every if each is not None]
    return size(None) if not known else size(sum(known)) + (" or more" if len(known) < len(every) else "")


def _seconds(values: Iterable[float | None]) -> str:
    every = list(values)
    known = [each for each in every if each is not None]
    return duration(None) if not known else duration(sum(known)) + (" or more" if len(known) < len(every) else "")
