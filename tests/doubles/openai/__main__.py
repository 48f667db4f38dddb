"""The double as a process of its own, from the root of the repository: `python -m tests.doubles.openai --help`."""

import argparse
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path

from tests.doubles.openai.api import Model
from tests.doubles.openai.faults import Fault
from tests.doubles.openai.server import Double

INJECTED = (Fault.status(429, retry_after_s=1), Fault.status(500), Fault.reset(), Fault.changed("short"))
"""What `--fail` chooses among."""


def main() -> None:
    """Serve until SIGTERM or SIGINT. The first line printed is the address, once it answers."""
    arguments = _parser().parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        opened = Double(arguments.port, arguments.seed, arguments.ledger)
    except OSError as error:
        sys.exit(
            f"port {arguments.port} cannot be had ({error.strerror}): choose another with --port, or 0 for a free one"
        )
    with closing(opened) as double:
        for fault in INJECTED if arguments.fail else ():
            double.faults.add(fault, probability=arguments.fail / len(INJECTED))
        if arguments.slow:
            double.faults.add(Fault.slow(arguments.slow))
        double.limits.requests_per_minute = arguments.rpm
        double.limits.tokens_per_minute = arguments.tpm
        double.keys = set(arguments.key) if arguments.key else None
        double.poison = set(arguments.poison)
        for name, dimensions in arguments.model:
            double.models[name] = Model(int(dimensions))
        print(double.url, flush=True)  # noqa: T201
        while not stopped.wait(1):  # a signal that another thread took wakes nobody
            pass
        ledger = double.ledger
        sys.stderr.write(
            f"{len(double.requests)} requests, {ledger.requests} charged: {ledger.charged.total()} texts,"
            f" {ledger.tokens} tokens; {len(ledger.twice)} texts more than once\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.doubles.openai",
        description="OpenAI's embeddings API on localhost, over a small model of its own. Give its address to the SDK as"
        " OpenAI(base_url=ADDRESS, api_key=ANY), or to Azure's client without `/v1` as the endpoint.",
    )
    parser.add_argument("--port", type=int, default=5090, help="0: a free one (default 5090)")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="write each charged request there, a line each")
    parser.add_argument("--model", nargs=2, action="append", default=[], metavar=("NAME", "DIMENSIONS"))
    parser.add_argument("--fail", type=float, default=0.0, metavar="PROBABILITY", help="that a request fails")
    parser.add_argument("--seed", type=int, help="of --fail, so that it fails the same way again")
    parser.add_argument("--slow", type=float, metavar="SECONDS", help="wait before each answer")
    parser.add_argument("--rpm", type=float, metavar="N", help="requests a minute of each key, beyond which: 429")
    parser.add_argument("--tpm", type=float, metavar="N", help="tokens a minute of each key, beyond which: 429")
    parser.add_argument("--key", action="append", help="an API key to accept (default: any); may be repeated")
    parser.add_argument("--poison", action="append", default=[], metavar="WORD", help="refuse texts that hold it")
    return parser


if __name__ == "__main__":
    main()
