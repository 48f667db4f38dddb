"""At a terminal: Ctrl-C says that once more stops at once, and neither that nor a warning is drawn over."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

SCRIPT = """
import logging
import time
from vecmig.cli.apply import stoppable
from vecmig.cli.settings import Settings, _log
from vecmig.protocols import Stage
from vecmig.reporting.progress import watch

def events(stop):
    yield Stage("words", "create")  # the bars are drawn over from the first of them
    yield Stage("words", "load", 100)
    stop.wait(20)
    logging.getLogger("vecmig").warning("trying again in 1.0 s")
    time.sleep(1)

_log(Settings())
with stoppable() as stop:
    for event in watch(events(stop), colour=False):
        pass
"""
STEP = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?\d+[hl]|([\r\n])|([^\x1b\r\n]+)")


def screen(output: str) -> list[str]:
    """Return what a terminal shows in the end."""
    lines, row, column = [""], 0, 0
    for count, command, end, text in STEP.findall(output):
        if command == "A":
            row = max(0, row - int(count or 1))
        elif command == "K":
            lines[row] = ""
        elif end == "\r":
            column = 0
        elif end == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif text:
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text) :]
            column += len(text)
    return lines


def test_what_is_said_while_bars_are_shown_stays_where_it_can_be_read() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        output, sent, deadline = b"", False, time.monotonic() + 30
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    output += os.read(ours, 4096)
                except OSError:  # the other side closed
                    break
            if not sent and b"load" in output:
                process.send_signal(signal.SIGINT)
                sent = True
        assert process.wait(10) == 0
    os.close(ours)
    shown = [line.rstrip() for line in screen(output.decode())]
    assert "Finishing the batches at hand; once more to stop at once." in shown, shown
    assert "trying again in 1.0 s" in shown
    assert any(line.startswith("words · load") for line in shown)


def test_the_screen_of_these_tests_forgets_what_a_terminal_does() -> None:
    assert screen("bar 1\r\nnote\r\x1b[2K\x1b[1A\x1b[2Kbar 2") == ["bar 2", ""]
