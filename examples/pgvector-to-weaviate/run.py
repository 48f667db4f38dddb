"""From PostgreSQL into Weaviate, start to end, then a hybrid search there: README.md in this directory, at once.

Weaviate is the server at WEAVIATE_URL. Where that is not set it is played by the double that vecmig's own tests use: a
server on this machine, for the official client.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    with weaviate() as addresses:
        os.environ |= addresses
        run("fill.py")
        vecmig("plan")
        vecmig("apply", "--auto-approve")
        vecmig("verify")
        vecmig("apply", "--auto-approve")
        run("search.py")


@contextmanager
def weaviate() -> Iterator[dict[str, str]]:
    """A Weaviate; give its addresses, as variables of the spec."""
    if url := os.environ.get("WEAVIATE_URL"):
        grpc = os.environ.get("WEAVIATE_GRPC_URL")
        yield {"VECMIG_VAR_weaviate": url} | ({"VECMIG_VAR_weaviate_grpc": grpc} if grpc else {})
        return
    command = [sys.executable, "-m", "tests.doubles.weaviate", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        command, cwd=HERE.parents[1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url, _, grpc = process.stdout.readline().strip().partition(" ")
            if not url:
                sys.exit("The double did not start: it needs the tests' extra, pip install -e '.[dev]'")
            yield {"VECMIG_VAR_weaviate": url, "VECMIG_VAR_weaviate_grpc": f"grpc://{grpc}"}
        finally:
            process.send_signal(signal.SIGTERM)


def vecmig(*arguments: str) -> None:
    """Run a command as a user would, and end where it fails."""
    print(f"\n$ vecmig {' '.join(arguments)}", flush=True)
    run("-m", "vecmig", *arguments)


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], cwd=HERE, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
