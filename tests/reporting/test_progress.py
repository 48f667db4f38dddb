import io
import os
import pty
import re
import time
from collections.abc import Iterator

import pytest

from tests.clock import Clock
from tests.reporting.examples import HOSTILE, PARTS, REPORT
from vecmig.model.record import Key, Rejected
from vecmig.model.state import Cursor, Progress
from vecmig.protocols import Event, IndexProgress, Looked, Stage
from vecmig.reporting.progress import Tracker, watch


def batch(rows: int, rejected: int = 0) -> Progress:
    bad = tuple(Rejected(Key("", HOSTILE), HOSTILE) for _ in range(rejected))
    return Progress("words", PARTS[0], Cursor("c"), rows, rows - rejected, rejected=bad)


EVENTS: tuple[Event, ...] = (
    Stage("words", "create"),
    Stage("words", "load", 20_000, 4_000),
    batch(8_000),
    batch(8_000, rejected=3),
    Stage("words", "index"),
    IndexProgress("words_idx", "building index: loading tuples", 0.5),
    Stage("words", "verify"),
)


def timed(clock: Clock, events: tuple[Event, ...] = EVENTS) -> Iterator[Event]:
    for event in events:
        yield event
        clock.now += 2


def test_elsewhere_than_on_a_terminal_each_stage_has_a_line_at_its_start_and_its_end() -> None:
    stream, clock = io.StringIO(), Clock()
    assert tuple(watch(timed(clock), stream, clock=clock)) == EVENTS
    assert stream.getvalue() == (
        "words · create: begun\n"
        "words · create: done, 2 s\n"
        "words · load: begun, 20,000 records expected, 4,000 done by an earlier run\n"
        "words · load: done, 16,000 records in 6 s, 2,667/s, 3 rejected\n"
        "words · index: begun\n"
        "words · index: done, 4 s\n"
        "words · verify: begun\n"
        "words · verify: done, 2 s\n"
    )


def test_between_them_a_line_comes_at_intervals_even_while_nothing_moves() -> None:
    stream = io.StringIO()

    def slow() -> Iterator[Event]:
        yield Stage("words", "index")
        yield IndexProgress("words_idx", "building index: loading tuples", 0.45)
        deadline = time.monotonic() + 10
        while stream.getvalue().count("loading") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)

    list(watch(slow(), stream, every_s=0.02))
    lines = stream.getvalue().splitlines()
    assert lines.count("words · index: 45 %, building index: loading tuples: words_idx") >= 2
    assert lines[-1].startswith("words · index: done")


def test_what_is_told_of_a_load_has_rows_share_speed_time_left_and_rejected() -> None:
    clock = Clock()
    tracker = Tracker(Stage("words", "load", 20_000, 4_000), clock)
    clock.now = 2
    tracker.take(batch(8_000, rejected=3))
    assert tracker.facts() == "12,000 of 20,000 records, 60 %, 4,000/s, 2 s left, 3 rejected"


def test_the_speed_is_that_of_the_last_half_minute_and_not_of_a_night() -> None:
    clock = Clock()
    tracker = Tracker(Stage("words", "load", 10**6), clock)
    for _ in range(100):
        clock.now += 1
        tracker.take(batch(1_000))
    for _ in range(40):
        clock.now += 1
        tracker.take(batch(10))
    assert ", 10/s, " in tracker.facts()


def test_a_number_of_records_that_is_not_known_gives_no_share_and_no_time_left() -> None:
    clock = Clock()
    tracker = Tracker(Stage("words", "load"), clock)
    clock.now = 1
    tracker.take(batch(1_000))
    assert tracker.facts() == "1,000 records, 1,000/s"


def test_a_comparison_tells_of_the_records_on_both_sides_and_counts_none_twice() -> None:
    clock = Clock()
    tracker = Tracker(Stage("words", "reconcile"), clock)
    tracker.take(Looked("words", 0, of=40_000))
    clock.now = 2
    tracker.take(Looked("words", 20_000))
    assert tracker.facts() == "20,000 of 40,000 records on both sides, 50 %, 10,000/s, 2 s left"
    clock.now = 4
    tracker.take(Looked("words", 20_000))
    tracker.take(Progress("words", PARTS[0], Cursor(""), read=20_000, rows=0, anew=True))
    assert tracker.result() == "40,000 records on both sides in 4 s, 10,000/s"


def test_more_records_than_expected_are_no_more_than_all() -> None:
    tracker = Tracker(Stage("words", "load", 10), Clock())
    tracker.take(batch(30))
    assert tracker.share == 1.0
    assert tracker.facts() == "30 of 10 records, 100 %"


def test_a_run_that_fails_says_that_the_stage_stopped_and_passes_the_error_on() -> None:
    stream, clock = io.StringIO(), Clock()

    def failing() -> Iterator[Event]:
        yield Stage("words", "load", 20)
        yield batch(5)
        clock.now = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(watch(failing(), stream, clock=clock))
    assert stream.getvalue().endswith("words · load: stopped, 5 records in 1 s, 5.0/s\n")


def test_who_stops_watching_ends_the_run_as_well() -> None:
    ended = []

    def running() -> Iterator[Event]:
        try:
            yield from EVENTS
        finally:
            ended.append(True)

    watching = watch(running(), io.StringIO())
    next(watching)
    watching.close()  # type: ignore[attr-defined]  # a generator
    assert ended == [True]


def test_nothing_is_read_ahead() -> None:
    read = []

    def counted() -> Iterator[Event]:
        for event in EVENTS:
            read.append(event)
            yield event

    for i, _ in enumerate(watch(counted(), io.StringIO()), 1):
        assert len(read) == i


def test_what_is_no_event_passes_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watch(iter([*EVENTS, REPORT]), live=False))[-1] is REPORT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("words · create: begun\n")


def test_quiet_is_quiet() -> None:
    stream = io.StringIO()
    assert tuple(watch(iter(EVENTS), stream, quiet=True)) == EVENTS
    assert stream.getvalue() == ""


def on_a_terminal(events: tuple[Event, ...], colour: bool = True) -> str:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    with os.fdopen(slave, "w") as stream:
        clock = Clock()
        written = b""
        for _ in watch(timed(clock, events), stream, colour=colour, clock=clock):
            written += _drained(master)
        written += _drained(master)
    os.close(master)
    return written.decode()


def _drained(master: int) -> bytes:
    try:
        return os.read(master, 1 << 20)
    except BlockingIOError:
        return b""


def test_a_terminal_shows_each_stage_with_a_bar_and_keeps_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", on_a_terminal(EVENTS))
    assert "words · load" in shown
    assert "━━━" in shown
    assert "done, 16,000 records in 6 s, 2,667/s, 3 rejected" in shown.rsplit("words · create", 1)[1]


def test_a_terminal_without_colour_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert re.search(r"\x1b\[\d*3\dm", on_a_terminal(EVENTS))
    assert not re.search(r"\x1b\[[\d;]*3\dm", on_a_terminal(EVENTS, colour=False))


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in on_a_terminal(EVENTS)


def test_a_hostile_name_cannot_command_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "400")
    name = HOSTILE + " [red]markup[/red]"
    events = (Stage(name, "load", 5), batch(5), Stage(name, "index"), IndexProgress(name, name, None))
    shown = on_a_terminal(events)
    assert "[red]markup[/red]" in shown
    assert "\x1b[31mred" not in shown
    assert "\u202e" not in shown
    stream = io.StringIO()
    list(watch(iter(events), stream))
    assert all(line.isprintable() for line in stream.getvalue().split("\n"))
