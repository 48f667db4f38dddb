"""Live progress: events pass through and are shown on the way, on a terminal as bars, elsewhere as lines."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO, TypeVar

from vecmig.model.plan import Bounds
from vecmig.model.state import Progress
from vecmig.protocols import IndexProgress, Looked, Spent, Stage
from vecmig.reporting.escape import visible
from vecmig.reporting.quantities import duration, number, quantity, rate, usd

EVERY_S = 30.0
WINDOW_S = 30.0  # the speed shown is that of the last half minute
T = TypeVar("T")
Clock = Callable[[], float]
Show = Callable[["Tracker", str], None]  # what happened: begun, moved, done or stopped


class Tracker:
    """What is known of the stage that runs; written by the events, read by what shows them."""

    def __init__(self, stage: Stage, clock: Clock) -> None:
        self.stage = stage
        self.expected = stage.rows
        self.done = stage.done  # records read for it, in earlier runs, too
        self.where = ""  # what is read: the source alone, or both sides
        self.rejected = 0
        self.deleted = 0
        self.spent: Spent | None = None
        self.index = ""  # its phase, in the store's own words, and its name
        self.fraction: float | None = None
        self._clock = clock
        self._begun = clock()
        self._samples = deque([(self._begun, self.done)])

    def take(self, event: Progress | Looked | IndexProgress | Spent) -> None:
        if isinstance(event, Spent):
            self.spent = event
            return
        if isinstance(event, IndexProgress):
            # the name last: it is the longest, and a narrow terminal cuts the end
            self.index = visible(f"{event.phase}: {event.index}" if event.index else event.phase)
            self.fraction = event.fraction
            return
        if isinstance(event, Looked):
            self.done += event.rows
            self.expected = event.of or self.expected
            self.where = " on both sides"
        else:
            self.done += 0 if event.anew else event.read  # a comparison told of them before, as Looked
            self.rejected += len(event.rejected)
            self.deleted += event.deleted
        now = self._clock()
        if now - self._samples[-1][0] >= 0.5:  # a second or so of batches is one sample
            self._samples.append((now, self.done))
        while now - self._samples[0][0] > WINDOW_S and len(self._samples) > 1:
            self._samples.popleft()

    @property
    def name(self) -> str:
        return visible(f"{self.stage.migration} · {self.stage.name}")

    @property
    def seconds(self) -> float:
        return self._clock() - self._begun

    @property
    def share(self) -> float | None:
        """How much is done, 0 to 1; None: not known."""
        if self.index:
            return self.fraction
        return min(self.done / self.expected, 1.0) if self.expected else None

    @property
    def moving(self) -> bool:
        """True for a stage that goes through records."""
        return self.stage.name in ("load", "reconcile") or self.done > self.stage.done

    def facts(self) -> str:
        """Return `12,000 of 20,000 records, 60 %, 4,000/s, 2 s left, 3 rejected`."""
        parts = []
        if self.index:
            parts += [*self._percent(), self.index]
        elif self.moving:
            parts += self._moved()
        if self.rejected:
            parts.append(f"{number(self.rejected)} rejected")
        if self.deleted:
            parts.append(f"{number(self.deleted)} deleted")
        if self.spent is not None:
            parts.append(_spend(self.spent))
        return ", ".join(parts) or duration(self.seconds)

    def result(self) -> str:
        """Return `20,000 records in 5 s, 4,000/s, 3 rejected`."""
        took = duration(self.seconds)
        if not self.moving:
            return took
        here = self.done - self.stage.done
        parts = [f"{quantity(here, 'record')}{self.where} in {took}"]
        if here and self.seconds > 0:
            parts.append(rate(here / self.seconds))
        if self.rejected:
            parts.append(f"{number(self.rejected)} rejected")
        if self.deleted:
            parts.append(f"{number(self.deleted)} deleted")
        if self.spent is not None:
            parts.append(_spend(self.spent))
        return ", ".join(parts)

    def _percent(self) -> Iterator[str]:
        if self.share is not None:
            yield f"{int(self.share * 100)} %"

    def _moved(self) -> Iterator[str]:
        expected = self.expected
        said = f"{number(self.done)} of {quantity(expected, 'record')}" if expected else quantity(self.done, "record")
        yield said + self.where
        yield from self._percent()
        since, before = self._samples[0]
        speed = (self.done - before) / (self._clock() - since) if self._clock() > since else 0.0
        if speed > 0:
            yield rate(speed)
            if expected and self.done < expected:
                yield f"{duration((expected - self.done) / speed)} left"


def _spend(spent: Spent) -> str:
    price = "" if spent.usd is None else f", {usd(Bounds(spent.usd, spent.usd))}"
    return f"{quantity(spent.tokens, 'token')}{price} spent"


def watch(
    events: Iterator[T],
    stream: TextIO | None = None,
    *,
    live: bool | None = None,
    quiet: bool = False,
    colour: bool = True,
    every_s: float = EVERY_S,
    clock: Clock = time.monotonic,
) -> Iterator[T]:
    """Yield everything as it comes and show the events (Stage, Progress, IndexProgress) on `stream`.

    Closing it closes `events`. `stream`: stderr; `live`: with bars that are drawn anew, where it is a terminal.
    """
    stream = stream or sys.stderr
    if live is None:
        live = stream.isatty()
    if quiet:
        display: AbstractContextManager[Show] = _silence()
    elif live and os.environ.get("TERM") != "dumb":
        display = _bars(stream, colour)
    else:
        display = _lines(stream, every_s)
    with display as show:
        yield from _shown(events, show, clock)


def _shown(events: Iterator[T], show: Show, clock: Clock) -> Iterator[T]:
    tracker: Tracker | None = None
    finished = False
    try:
        for event in events:
            if isinstance(event, Stage):
                if tracker:
                    show(tracker, "done")
                tracker = Tracker(event, clock)
                show(tracker, "begun")
            elif tracker and isinstance(event, Progress | Looked | IndexProgress | Spent):
                tracker.take(event)
                show(tracker, "moved")
            yield event
        finished = True
    finally:
        if tracker:
            show(tracker, "done" if finished else "stopped")
        if isinstance(events, Generator):
            events.close()


@contextmanager
def _silence() -> Iterator[Show]:
    yield lambda tracker, what: None


@contextmanager
def _lines(stream: TextIO, every_s: float) -> Iterator[Show]:
    """Write a line when a stage begins and ends, and one every `every_s` between, even if nothing moves."""
    current: list[Tracker] = []
    ended = threading.Event()
    writing = threading.Lock()

    def write(text: str) -> None:
        with writing:
            stream.write(text + "\n")
            stream.flush()

    def show(tracker: Tracker, what: str) -> None:
        if what == "moved":
            return
        current[:] = [tracker] if what == "begun" else []
        write(f"{tracker.name}: {_told(tracker, what)}")

    def repeat() -> None:
        while not ended.wait(every_s):
            for tracker in tuple(current):
                write(f"{tracker.name}: {tracker.facts()}")

    timer = threading.Thread(target=repeat, name="vecmig-progress", daemon=True)
    timer.start()
    try:
        yield show
    finally:
        ended.set()
        timer.join()


@contextmanager
def _bars(stream: TextIO, colour: bool) -> Iterator[Show]:
    # only here: it costs more than all of `vecmig --help` may
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(file=stream, no_color=not colour, highlight=False, markup=False, emoji=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[facts]}", markup=False),
    )
    with Bars(*columns, console=console, refresh_per_second=8) as bars:
        tasks: list[TaskID] = []

        def show(tracker: Tracker, what: str) -> None:
            if what == "begun":
                tasks[:] = [bars.add_task(tracker.name, total=None, facts=_told(tracker, what))]
                return
            share = 1.0 if what == "done" else tracker.share
            facts = tracker.facts() if what == "moved" else _told(tracker, what)
            bars.update(tasks[0], total=None if share is None else 1.0, completed=share or 0.0, facts=facts)

        yield show


def _told(tracker: Tracker, what: str) -> str:
    if what != "begun":
        return f"{what}, {tracker.result()}"
    rows, done = tracker.stage.rows, tracker.stage.done
    parts = ["begun"]
    if rows is not None:
        parts.append(f"{quantity(rows, 'record')} expected")
    if done:
        parts.append(f"{number(done)} done by an earlier run")
    return ", ".join(parts)
