"""A model is retired, start to end: README.md in this directory, at once."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    run("fill.py")
    vecmig("apply", "-f", "before.yaml", "--auto-approve")
    run("search.py")
    vecmig("plan")
    vecmig("apply", "--auto-approve")
    vecmig("cutover")
    run("search.py")
    vecmig("rollback")
    run("search.py")
    vecmig("cutover")
    vecmig("apply", "--auto-approve")
    vecmig("drop")


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
