"""What a verification found, as text: verdict, thresholds missed, what was compared."""

from collections.abc import Iterable, Sequence

from vecmig.model.record import Key
from vecmig.model.report import Breach, CountCheck, LabelledCheck, Quality, RecordsCheck, Report, SearchCheck, Verdict
from vecmig.model.settings import LABELLED_MEASURES
from vecmig.reporting.quantities import UNKNOWN, duration, interval, number, quantity, share
from vecmig.reporting.terminal.ink import Colour, document, headline, ink, labelled, wrapped

MOST_SEARCHES = 6
MOST_NAMESPACES = 6
MOST_KEYS = 3
_INDENT = 4
VERDICTS: dict[Verdict, tuple[str, Colour]] = {
    "passed": ("Verification passed", "green"),
    "failed": ("Verification FAILED", "red"),
    "unknown": ("Verification could not decide", "yellow"),
}


def report_text(report: Report, verbose: bool = False, colour: bool = False, width: int = 100) -> str:
    """Return one migration's report for people; what is not known is called so."""
    said, shade = VERDICTS[report.verdict]
    left, right = headline(said, f"{report.name} · {report.environment} · {report.migration}", width)
    lines = [ink(left, shade, colour) + ink(right, "dim", colour)]
    if report.breaches:
        lines += ["", *(ink(line, shade, colour) for each in report.breaches for line in breach_lines(each, width))]
    lines += ["", *wrapped(f"{report.source} -> {report.target}", width, "  ", "  ")]
    for label, text in facts(report, verbose):
        lines += labelled(label, text, width, _INDENT)
    whole = verbose or len(report.search) <= MOST_SEARCHES
    shown = report.search if whole else report.search[: MOST_SEARCHES - 1]
    lines += [line for each in shown for line in _search(each, report, width)]
    if more := len(report.search) - len(shown):
        lines.append(" " * _INDENT + f"… and {number(more)} more searches (-v shows all)")
    lines += [line for each in report.labelled for line in _labelled(each, width)]
    for note in report.notes:
        lines += labelled("note", note, width, _INDENT)
    lines += ["", *labelled("Took", f"{duration(report.seconds)}, begun {report.started_at}", width)]
    return document(lines)


def facts(report: Report, verbose: bool) -> Iterable[tuple[str, str]]:
    """Yield label and text of counts and records; what a report does not have is said to be unchecked."""
    yield ("count", count_line(report.count, verbose)) if report.count else ("count", "not checked")
    if report.quarantined:
        yield "quarantined", f"{quantity(report.quarantined, 'record')} put aside, not expected in the target"
    if report.records is None:
        yield "records", "not compared"
        return
    yield "records", records_line(report.records)
    for label, keys, total in listed(report.records):
        if total:
            yield label, _keys(keys, total, verbose)
    if verbose and report.records.digests:
        yield "digests", " · ".join(report.records.digests)


def count_line(count: CountCheck, verbose: bool = False) -> str:
    expected, actual = sum(count.expected.values()), sum(count.actual.values())
    line = f"{number(expected)} expected, {number(actual)} found"
    names = sorted(count.expected.keys() | count.actual.keys())
    differing = [name for name in names if count.expected.get(name, 0) != count.actual.get(name, 0)]
    shown = names if verbose and len(names) > 1 else differing
    pairs = [
        f"{name or '(no namespace)'} {number(count.actual.get(name, 0))} of {number(count.expected.get(name, 0))}"
        for name in shown
    ]
    if not verbose and len(pairs) > MOST_NAMESPACES:
        pairs = [*pairs[:MOST_NAMESPACES], f"… and {number(len(pairs) - MOST_NAMESPACES)} more namespaces (-v)"]
    return line + (": " + " · ".join(pairs) if pairs else "")


def records_line(check: RecordsCheck) -> str:
    scope = "" if check.sample is None else f" (a sample of {number(check.sample)})"
    counts = {
        "mismatched": check.mismatched,
        "missing": check.missing,
        "extra": check.extra,
        "given twice by the source": check.duplicates,
        UNKNOWN: check.unknown,
    }
    found = [f"{number(n)} {what}" for what, n in counts.items() if n]
    if not found and check.matching == check.compared:
        equal = "equal in every id, vector and metadata value"
        all_ = "all " if check.compared else ""
        return f"{number(check.compared)} compared{scope}, {all_}{equal}" if check.compared else "none to compare"
    return " · ".join([f"{number(check.compared)} compared{scope}", f"{number(check.matching)} equal", *found])


def listed(check: RecordsCheck) -> Sequence[tuple[str, tuple[Key, ...], int]]:
    """Return label, the first keys, and how many there are in all."""
    return (
        ("mismatched", check.mismatched_keys, check.mismatched),
        ("missing", check.missing_keys, check.missing),
        ("extra", check.extra_keys, check.extra),
        ("duplicate", check.duplicate_keys, check.duplicates),
    )


def search_place(check: SearchCheck, among: Sequence[SearchCheck]) -> str:
    """Return where and under what filter the queries ran; "" for all records of an only vector."""
    several = any(each.namespace for each in among)
    parts = (
        f"vector {check.vector}" if check.vector else "",
        f"namespace {check.namespace}" if check.namespace else "no namespace" * several,
        f"where {check.filter}" if check.filter else "",
    )
    return ", ".join(part for part in parts if part)


def breach_text(breach: Breach) -> str:
    """Return `recall 0.941, at least 0.950 asked`."""
    least = breach.measure in ("overlap", "recall", *LABELLED_MEASURES)
    shown = share if least else _count
    limit = f"at {'least' if least else 'most'} {shown(breach.limit)} asked"
    found = "could not be measured" if breach.actual is None else shown(breach.actual)
    return f"{breach.measure} {found}, {limit}" + (f": {breach.hint}" if breach.hint else "")


def _count(value: float) -> str:
    return number(int(value))


def breach_lines(breach: Breach, width: int) -> list[str]:
    return wrapped(breach_text(breach), width, "! ", "  ")


def _search(check: SearchCheck, report: Report, width: int) -> list[str]:
    place = search_place(check, report.search)
    asked = quantity(check.queries, "query", "queries") + f", top {number(check.top_k)}"
    overlap = f"overlap {'not measured' if check.overlap is None else interval(check.overlap)}"
    recall = "recall not measured" if check.recall is None else f"recall {interval(check.recall)}"
    perfect = f"{number(check.perfect)} identical" if check.perfect is not None else ""
    text = " · ".join(part for part in (asked, overlap, perfect, recall, check.note) if part)
    return labelled("search", f"{place}: {text}" if place else text, width, _INDENT)


def labelled_place(check: LabelledCheck) -> str:
    asked = quantity(check.queries, "query", "queries") + f" with relevant ids, top {number(check.top_k)}"
    return f"vector {check.vector}: {asked}" if check.vector else asked


def _labelled(check: LabelledCheck, width: int) -> Iterable[str]:
    text = labelled_place(check)
    yield from labelled("relevance", f"{text} · {check.note}" if check.note else text, width, _INDENT)
    for side, found in (("source", check.source), ("target", check.target)):
        yield from labelled(f"- {side}", _quality(found), width, _INDENT)


def _quality(found: Quality | None) -> str:
    if found is None:
        return "not measured"
    return f"nDCG {interval(found.ndcg)} · MRR {interval(found.mrr)} · recall {interval(found.recall)}"


def _keys(keys: tuple[Key, ...], total: int, verbose: bool) -> str:
    shown = keys if verbose else keys[:MOST_KEYS]
    left = total - len(shown)
    names = ", ".join(map(str, shown))
    if not shown:
        return f"{number(left)}, ids not kept"
    return names + (f" … and {number(left)} more" if left else "")
