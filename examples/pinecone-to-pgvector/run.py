"""From Pinecone into PostgreSQL and back again, start to end, without an account: README.md in this directory, at once.

Pinecone is played by the double that vecmig's own tests use: a server on this machine, for the official SDK.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    with pinecone() as address:
        os.environ |= {"PINECONE_API_KEY": "any", "VECMIG_VAR_pinecone": address}
        run("fill.py", address)
        vecmig("plan")
        vecmig("apply", "--auto-approve")
        vecmig("verify")
        vecmig("apply", "--auto-approve")
        vecmig("apply", "--auto-approve", "-f", "back.yaml")
        vecmig("apply", "--auto-approve", "-f", "back.yaml")
        show_neighbours("glove-692")


@contextmanager
def pinecone() -> Iterator[str]:
    """A Pinecone of its own at a free port; give its address."""
    command = [sys.executable, "-m", "tests.doubles.pinecone", "--port", "0"]
    with subprocess.Popen(
        command, cwd=HERE.parents[1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                sys.exit("The double did not start: it needs the tests' extra, pip install -e '.[dev]'")
            yield address
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


def show_neighbours(id: str) -> None:
    """Print the nearest words, as each of the three finds them by its own index."""
    from vecmig.migration import Endpoint
    from vecmig.model.batch import Key
    from vecmig.model.metadata import loads
    from vecmig.protocols import Search
    from vecmig.spec.load import load

    def found(end: Endpoint) -> list[str]:
        with closing(end.open_source()) as store:
            name = end.options.collection
            query = store.fetch(name, [Key("words", id)]).vectors("")
            (hits,) = store.search(name, Search(query, k=8, namespace="words"))
            return [str(loads(text)["word"]) for text in store.fetch(name, hits.keys).bytes_of("metadata")]

    (there,), (back,) = (load(str(HERE / name)).migrations for name in ("vecmig.yaml", "back.yaml"))
    answers = {end.label: found(end) for end in (there.source, there.target, back.target)}
    word, *_ = next(iter(answers.values()))
    print(f"\nThe neighbours of {word!r}")
    for label, words in answers.items():
        print(f"  {label:<26} {', '.join(words[1:])}")
    print(f"  {'the same' if len({*map(tuple, answers.values())}) == 1 else 'they DIFFER'}")


if __name__ == "__main__":
    main()
