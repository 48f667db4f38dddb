"""A report as one HTML file that opens anywhere: no network, no script; plots as SVG inside it."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from vecmig.model.report import Report
from vecmig.reporting import quantities
from vecmig.reporting.escape import visible
from vecmig.reporting.outcome import verdict_of
from vecmig.reporting.plots import counts_plot, distribution_plot
from vecmig.reporting.terminal.report import (
    VERDICTS,
    breach_text,
    count_line,
    labelled_place,
    listed,
    records_line,
    search_place,
)


def report_html(reports: Sequence[Report], made_by: str = "vecmig") -> str:
    """Return the reports of one or more migrations. `made_by`: name and version. Raises PluginError without matplotlib."""
    environment = Environment(
        loader=PackageLoader("vecmig.reporting"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters |= {
        "number": quantities.number,
        "share": quantities.share,
        "interval": quantities.interval,
        "duration": quantities.duration,
        "breach": breach_text,
        "count_line": count_line,
        "records_line": records_line,
        "listed": listed,
        "place": search_place,
        "labelled_place": labelled_place,
        "plots": _plots,
    }
    template = environment.get_template("report.html.j2")
    return template.render(
        reports=reports,
        verdict=verdict_of(reports),
        said={key: text for key, (text, _) in VERDICTS.items()},
        made_by=made_by,
    )


def _plots(report: Report) -> list[tuple[str, Markup]]:
    """Return caption and SVG; matplotlib escapes what is written into it."""
    plots = []
    if report.count and len(report.count.expected.keys() | report.count.actual.keys()) > 1:
        plots.append(("Records per namespace", Markup(counts_plot(report.count))))
    for check in report.search:
        place = search_place(check, report.search) or "all records"
        for name, values, mean in (("Overlap", check.overlaps, check.overlap), ("Recall", check.recalls, check.recall)):
            if values and mean is not None:
                svg = distribution_plot(values, mean, f"{name}@{check.top_k}")
                plots.append(
                    (f"{name} of {quantities.quantity(len(values), 'query', 'queries')}, {place}", Markup(svg))
                )
    for labelled in report.labelled:
        for side, found in (("source", labelled.source), ("target", labelled.target)):
            if found is not None:
                svg = distribution_plot(found.ndcgs, found.ndcg, f"nDCG@{labelled.top_k}")
                plots.append((f"nDCG of the {side}, {labelled_place(labelled)}", Markup(svg)))
    return plots
