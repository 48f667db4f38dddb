"""Processes that run a module as `python -m` does, begun as copies of one that has imported what vecmig does.

Python and its imports take a second or two of each start, and there are hundreds here. A copy is a process as any other:
what it holds in memory when SIGKILL ends it is gone.
"""

import functools
import multiprocessing.forkserver
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

IMPORTED = [
    "tests.crash.mortal",
    "vecmig.workflow.run",
    "vecmig.workflow.switch",
    *(f"vecmig.connectors.{name}.connector" for name in ("snapshot", "pgvector", "pinecone", "weaviate")),
    "vecmig.embedders.openai.embedder",
]


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was begun, and may have ended."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs; minus the signal that killed it."""
        return self.process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        """Return the exit code once it ended. Raises TimeoutError."""
        self.process.join(timeout_s)
        code = self.process.exitcode
        if code is None:
            raise TimeoutError(f"process {self.pid} still runs after {timeout_s} s")
        return code

    def kill(self) -> None:
        self.process.kill()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


def begun(code: Path, directory: Path, complaint: Path, environment: Mapping[str, str], *arguments: str) -> Running:
    """Run a module of the code there, with arguments, in this directory; its errors go to the file `complaint`."""
    given = (str(directory), str(complaint), dict(environment), *arguments)
    process = _copies(code).Process(target=_run, args=given, daemon=True)
    process.start()
    return Running(process)


@functools.cache
def _copies(code: Path) -> ForkServerContext:
    """Start the process that is copied; it imports from `code` alone, whatever directory this one is in."""
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    before = dict(os.environ)
    os.environ |= {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ |= before
    return context


def _run(directory: str, complaint: str, environment: Mapping[str, str], module: str, *arguments: str) -> None:
    os.environ.clear()
    os.environ |= environment
    os.chdir(directory)
    for stream, path in ((sys.stdout, os.devnull), (sys.stderr, complaint)):
        stream.flush()
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
