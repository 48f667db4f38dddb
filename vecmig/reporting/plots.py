"""Plots of a report as SVG. Its colours are CSS variables of the page, so that it reads on light and on dark."""

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vecmig.errors import PluginError
from vecmig.model.report import CountCheck, Interval
from vecmig.reporting.escape import visible
from vecmig.reporting.quantities import interval, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMESPACES = 20
BINS = 20
# drawn in these and replaced, for matplotlib knows no variables
_TEXT, _LINE, _MAIN, _ACCENT = "#010203", "#040506", "#070809", "#0a0b0c"
_VARIABLES = {_TEXT: "--text", _LINE: "--line", _MAIN: "--main", _ACCENT: "--accent"}


def counts_plot(check: CountCheck) -> str:
    """Return expected and actual records of each namespace, the largest first."""
    names = sorted(
        check.expected.keys() | check.actual.keys(), key=lambda name: (-check.expected.get(name, 0), name)
    )[:MOST_NAMESPACES]  # fmt: skip
    figure, axes = _figure(0.9 + 0.42 * len(names))
    rows = range(len(names))
    axes.barh(
        [row - 0.19 for row in rows], [check.expected.get(n, 0) for n in names], 0.36, color=_LINE, label="expected"
    )
    axes.barh([row + 0.19 for row in rows], [check.actual.get(n, 0) for n in names], 0.36, color=_MAIN, label="found")
    axes.set_yticks(list(rows), [_literal(name) for name in names])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda x, _: number(round(x)))
    axes.locator_params(axis="x", nbins=5, integer=True)
    # beside the bars: the longest reaches across the whole width
    axes.legend(frameon=False, labelcolor=_TEXT, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(figure)


def distribution_plot(values: Sequence[float], mean: Interval, label: str) -> str:
    """Return how many queries reached which share, with the mean and its 95 % confidence interval."""
    figure, axes = _figure(2.3)
    least = min(min(values), mean.low)
    low = max(0.0, math.floor(min(least, 0.9) * 10) / 10)
    counts, _, _ = axes.hist(values, bins=BINS, range=(low, 1.0), color=_MAIN, alpha=0.75)
    axes.axvspan(mean.low, mean.high, color=_ACCENT, alpha=0.25, linewidth=0)
    axes.axvline(mean.mean, color=_ACCENT, linewidth=1.6)
    axes.set_xlim(low, 1.0)
    axes.set_title(f"mean {interval(mean)}", loc="left", fontsize=9, color=_ACCENT)
    axes.set_ylim(0, float(np.max(counts)) * 1.1)
    axes.set_xlabel(label, color=_TEXT)
    axes.set_ylabel("queries", color=_TEXT)
    axes.locator_params(axis="y", nbins=4, integer=True)
    return _svg(figure)


def _figure(height: float) -> "tuple[Figure, Axes]":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise PluginError(f"an HTML report needs the module {error.name!r}: pip install 'vecmig[report]'") from error
    figure = Figure(figsize=(5.2, height), layout="constrained")  # not pyplot: no state, no display
    axes = figure.add_subplot()
    axes.tick_params(colors=_TEXT, labelsize=9, length=0)
    axes.grid(axis="both", color=_LINE, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    return figure, axes


def _svg(figure: "Figure") -> str:
    """Return the figure's SVG element, the same each time, with text as text in the page's font."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "vecmig", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for drawn, variable in _VARIABLES.items():
        svg = svg.replace(drawn, f"var({variable})")
    return re.sub(r'font: ([\d.]+px)[^;"]*', r"font: \1 var(--font)", svg)


def _literal(name: str) -> str:
    shown = visible(name) or "(no namespace)"
    shown = shown if len(shown) <= 32 else shown[:31] + "…"
    return shown.replace("$", r"\$")  # else it begins a formula
