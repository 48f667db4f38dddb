"""Thresholds: what was not reached, and what could not be decided."""

from collections.abc import Sequence

from vecmig.comparison.compare import Comparison
from vecmig.model.report import Breach, Interval, LabelledCheck, Quality, SearchCheck, Verdict
from vecmig.model.settings import LABELLED_MEASURES, Thresholds
from vecmig.verification.search import Searched

MISSING = "apply again: it writes what is missing"
MISMATCHED = "apply again: it writes what differs"
EXTRA = "only the target has them: `prune: true` in the migration deletes them, or raise `thresholds.extra`"
EMPTY = (
    "the source is empty, and then `prune` deletes nothing, for it may be the wrong one: look at the source; if it is "
    "right, delete the target's records yourself, or raise `thresholds.extra`"
)
DUPLICATES = (
    "the source gives several records under one key, and the target keeps one of them: make the ids unique, or set "
    "`namespace_from`"
)
OVERLAP = "the index finds too little (see recall), or the source's did"
LABELLED = "`recall` shows the index's part in it, the rest is the model's and that of the texts it embeds"
UNASKED = "no labelled query could be asked"
FILTERED = "; with a filter, `index.iterative_scan: relaxed_order` (pgvector) lets the index go on until enough pass it"
RECALL = "raise `index.ef_search` (ivfflat: `probes`), or rebuild the index with more `ef_construction` and `m`"


def record_breaches(found: Comparison, limits: Thresholds) -> list[Breach]:
    """Return which of the records' thresholds do not hold."""
    missing, extra = found.missing, found.extra
    if found.sample is not None:  # then the counts may show more than the sample does
        expected, actual = found.expected or {}, found.actual or {}
        missing = max(missing, sum(max(0, rows - actual.get(name, 0)) for name, rows in expected.items()))
    measured = (
        ("missing", limits.missing, missing, MISSING),
        # two records of one key in the source: the target lacks one of them
        ("duplicates", limits.missing, found.duplicates, DUPLICATES),
        ("mismatched", limits.mismatched, found.mismatched, MISMATCHED),
        ("extra", limits.extra, extra, EXTRA if sum((found.expected or {}).values()) else EMPTY),
    )
    return [Breach(name, limit, actual, hint) for name, limit, actual, hint in measured if actual > limit]


def search_breaches(searched: Sequence[Searched], limits: Thresholds) -> list[Breach]:
    """Return which of the search's thresholds do not hold: one breach for each measure, of the worst check."""
    breaches = []
    for measure, limit, hint in (("overlap", limits.overlap, OVERLAP), ("recall", limits.recall, RECALL)):
        if limit == 0:
            continue  # not asked for
        below = [
            (mean, each.check)
            for each in searched
            if (mean := _mean(each.check, measure)) is not None and mean < limit and not _shown_only(each, measure)
        ]
        if below:
            mean, worst = min(below, key=lambda pair: pair[0])
            breaches.append(Breach(measure, limit, mean, f"{place(worst)}: {hint}{FILTERED if worst.filter else ''}"))
        undecided = [each.check for each in searched if measure in each.unknown and not _shown_only(each, measure)]
        if undecided:
            how = f"{place(undecided[0])}: {undecided[0].note}. `thresholds: {{{measure}: 0}}` leaves it out"
            breaches.append(Breach(measure, limit, None, how))
    return breaches


def _shown_only(each: Searched, measure: str) -> bool:
    return measure == "overlap" and each.check.reembedded


def labelled_breaches(checks: Sequence[LabelledCheck], limits: Thresholds) -> list[Breach]:
    """Return which thresholds of the labelled queries the target does not reach: one breach each, of the worst vector."""
    breaches = []
    for measure in LABELLED_MEASURES:
        limit = getattr(limits, measure)
        if limit == 0:
            continue  # not asked for
        means = [(_quality(each.target, measure).mean, each) for each in checks if each.target is not None]
        below = [pair for pair in means if pair[0] < limit]
        if below:
            mean, worst = min(below, key=lambda pair: pair[0])
            where = f"vector {worst.vector!r}: " if worst.vector else ""
            before = (
                f"the source has {_quality(worst.source, measure).mean:.3f}"
                if worst.source
                else "of the source it is not known"
            )
            breaches.append(Breach(measure, limit, mean, f"{where}{before}; {LABELLED}"))
        undecided = [each.note for each in checks if each.target is None] or ([] if checks else [UNASKED])
        if undecided:
            breaches.append(Breach(measure, limit, None, undecided[0]))
    return breaches


def _quality(found: Quality, measure: str) -> Interval:
    return {"ndcg": found.ndcg, "mrr": found.mrr, "labelled_recall": found.recall}[measure]


def verdict_of(breaches: Sequence[Breach]) -> Verdict:
    """Return `failed` if a threshold does not hold, else `unknown` if one could not be decided."""
    if any(breach.actual is not None for breach in breaches):
        return "failed"
    return "unknown" if breaches else "passed"


def place(check: SearchCheck) -> str:
    """Return where a check was made, for people."""
    parts = [
        f"vector {check.vector!r}" if check.vector else "",
        f"namespace {check.namespace!r}" if check.namespace else "",
    ]
    parts.append(f"filter {check.filter}" if check.filter else "")
    return ", ".join(filter(None, parts)) or "all queries"


def _mean(check: SearchCheck, measure: str) -> float | None:
    found = check.overlap if measure == "overlap" else check.recall
    return found.mean if found is not None else None
