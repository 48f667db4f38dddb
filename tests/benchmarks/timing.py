"""Figures that a noisy machine leaves standing: alternate the two sides, print medians and the ratio of each pair."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of two rates, taken in turn in one run."""

    name: str
    ours: list[float]  # records a second
    theirs: list[float]
    at_least: float | None  # None: a figure to know, not to reach

    @property
    def median(self) -> float:
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    def verdict(self, at_least: float) -> str:
        return "ok" if self.median >= at_least else "BELOW"

    def __str__(self) -> str:
        ratios = [a / b for a, b in zip(self.ours, self.theirs, strict=True)]
        wanted = ""
        if self.at_least is not None:
            wanted = f", wanted {self.at_least:.2f}: {self.verdict(self.at_least)}"
        return (
            f"{self.name:<58} {self.median:5.2f} ({min(ratios):.2f}-{max(ratios):.2f}){wanted}"
            f"   {statistics.median(self.ours):,.0f}/s, bare {statistics.median(self.theirs):,.0f}/s"
        )


def _busy(go: Barrier, took: "Queue[float]") -> None:
    go.wait()
    started = time.perf_counter()
    for _ in range(10):
        sum(range(400_000))
    took.put(time.perf_counter() - started)


def cores() -> float:
    """Return how many times the work of one process two get done, which only compute.

    2 on two cores of one's own; on a machine that shares them with others it may be 1, for a while, and then nothing that
    client and server do side by side is faster than one after the other.
    """
    context = get_context("spawn")
    took: Queue[float] = context.Queue()
    means = []
    for count in (1, 2):
        go = context.Barrier(count)
        processes = [context.Process(target=_busy, args=(go, took)) for _ in range(count)]
        for each in processes:
            each.start()
        means.append(statistics.mean(took.get() for _ in processes))
        for each in processes:
            each.join()
    return 2 * means[0] / means[1]


def compare(
    name: str,
    rows: int,
    ours: Callable[[], None],
    theirs: Callable[[], object],
    at_least: float | None,
    runs: int = 5,
    before: Callable[[], None] = lambda: None,
) -> Ratio:
    """Time both in turn, after one run of each that does not count; `before` each, untimed."""
    for each in (ours, theirs):
        before()
        each()
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for each, found in ((ours, rates[0]), (theirs, rates[1])):
            before()
            started = time.perf_counter()
            each()
            found.append(rows / (time.perf_counter() - started))
    ratio = Ratio(name, rates[0], rates[1], at_least)
    print(ratio, flush=True)
    return ratio
