"""vecmig as the benchmarks run it: its executor in this process, or the command in one of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from threading import Event

from vecmig.execution.local import LocalExecutor
from vecmig.migration import Endpoint, Migration
from vecmig.model.plan import Conversion, LoadRecords
from vecmig.model.settings import Execution, Limits
from vecmig.model.state import Progress, State
from vecmig.protocols import ConnectorOptions

MIB = 1 << 20


def endpoint(name: str, options: ConnectorOptions) -> Endpoint:
    return Endpoint(name, name, options)


def load(source: ConnectorOptions, target: ConnectorOptions, workers: int, rows: int) -> Callable[[], None]:
    """Return a call that moves all records as apply does: read, convert, hash, write, acknowledge."""
    migration = Migration("bench", endpoint("source", source), endpoint("target", target))
    executor = LocalExecutor({"bench": migration}, Execution(workers), Limits(), Path(), Event())
    with closing(source.open()) as opened:
        parts = tuple(opened.partitions(source.collection, 4 * workers))
    action = LoadRecords("bench", source.collection, target.collection, parts, Conversion(), rows)

    def run() -> None:
        assert moved(executor.run(action, State("b", "b", "l"))) == rows

    return run


def moved(events: Iterable[object]) -> int:
    """Return how many records were written."""
    return sum(event.rows for event in events if isinstance(event, Progress))


def write_spec(
    place: Path,
    name: str,
    source: str,
    target: str,
    search: str = "{queries: {sample: 10}}",
    index: str = "{type: flat}",
) -> None:
    """Write a spec of one migration with one worker."""
    (place / "vecmig.yaml").write_text(
        f"""
version: 1
name: {name}
sources: {{s: {source}}}
targets: {{t: {target}}}
index: {index}
verification: {{search: {search}}}
migrations: [{{name: m, source: s, target: t}}]
execution: {{workers: 1}}
"""
    )


def vecmig(directory: Path, *arguments: str, environment: dict[str, str]) -> tuple[float, int]:
    """Run vecmig as a process of its own; return (seconds, peak resident memory in bytes)."""
    started, peak = time.perf_counter(), 0
    with (directory / "complaint").open("w+") as complaint:
        process = subprocess.Popen(
            [sys.executable, "-m", "vecmig", *arguments],
            cwd=directory,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=complaint,
        )
        while process.poll() is None:
            # not getrusage: its figure for a child starts with what the parent had when it was forked
            peak = max(peak, _high_water(process.pid))
            time.sleep(0.005)
        taken = time.perf_counter() - started
        complaint.seek(0)
        assert process.returncode == 0, complaint.read()
    return taken, peak


def _high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(line[1]) * 1024 for line in lines), 0)
