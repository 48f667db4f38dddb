"""The double as a process of its own, from the root of the repository: `python -m tests.doubles.pinecone --help`."""

import argparse
import signal
import sys
import threading
from contextlib import closing

from tests.doubles.pinecone.faults import Fault
from tests.doubles.pinecone.server import Double

INJECTED = (Fault.status(429, retry_after_s=1), Fault.status(503), Fault.reset(), Fault.reset(applied=True))
"""What `--fail` chooses among."""


DATA_OPERATIONS = frozenset(
    ["upsert", "fetch", "list", "query", "stats", "delete", "documents.upsert", "documents.fetch", "documents.list"]
)


def main() -> None:
    """Serve until SIGTERM or SIGINT. The first line printed is the address, once it answers."""
    arguments = _parser().parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        opened = Double(arguments.port, arguments.seed)
    except OSError as error:
        sys.exit(
            f"port {arguments.port} cannot be had ({error.strerror}): choose another with --port, or 0 for a free one"
        )
    with closing(opened) as double:
        for fault in INJECTED if arguments.fail else ():
            double.faults.add(fault, on=DATA_OPERATIONS, probability=arguments.fail / len(INJECTED))
        if arguments.rate:
            double.faults.limit_rate(arguments.rate)
        double.store.lag.seconds = arguments.lag
        double.store.ready_after_s = arguments.ready_after
        if arguments.key:
            double.gate.accepted_keys = set(arguments.key)
        if arguments.request_bytes:
            double.limits.request_bytes = arguments.request_bytes
        print(double.url, flush=True)  # noqa: T201
        stopped.wait()
        sys.stderr.write(
            f"{len(double.requests)} requests, {double.read_units:g} read units, {double.write_units} write units\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.doubles.pinecone",
        description="A Pinecone on localhost, which holds its records in memory. Give its address to the SDK as "
        "Pinecone(host=ADDRESS, api_key=ANY); an index's own address, in its description, answers HTTP and gRPC.",
    )
    parser.add_argument("--port", type=int, default=5080, help="of the control plane; 0: a free one (default 5080)")
    parser.add_argument(
        "--fail",
        type=float,
        default=0.0,
        metavar="PROBABILITY",
        help="that a call of the data plane fails: with 429, 503, or a connection reset before or after it is applied",
    )
    parser.add_argument("--seed", type=int, help="of --fail, so that it fails the same way again")
    parser.add_argument(
        "--rate", type=float, metavar="N", help="requests in a second of one namespace, beyond which: 429"
    )
    parser.add_argument("--lag", type=float, default=0.0, metavar="SECONDS", help="until a write is visible")
    parser.add_argument("--ready-after", type=float, default=0.0, metavar="SECONDS", help="until a new index is ready")
    parser.add_argument("--key", action="append", help="an API key to accept (default: any); may be repeated")
    parser.add_argument("--request-bytes", type=int, metavar="N", help="the limit of one write (default 2 MiB)")
    return parser


if __name__ == "__main__":
    main()
