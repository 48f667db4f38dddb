"""The double as a process of its own, from the root of the repository: `python -m tests.doubles.weaviate --help`."""

import argparse
import signal
import sys
import threading

from tests.doubles.weaviate.errors import Code
from tests.doubles.weaviate.faults import Fault
from tests.doubles.weaviate.partitions import Lag
from tests.doubles.weaviate.server import running

INJECTED = (
    Fault.status(Code.UNAVAILABLE),
    Fault.status(Code.RESOURCE_EXHAUSTED),
    Fault.reset(),
    Fault.reset(applied=True),
)
"""What `--fail` chooses among."""
DATA_OPERATIONS = frozenset(["search", "batch_objects", "batch_delete", "aggregate"])


def main() -> None:
    """Serve until SIGTERM or SIGINT. The first line printed is the address of the REST API, and of gRPC, once it
    answers: `http://127.0.0.1:8080 127.0.0.1:50051`."""
    arguments = _parser().parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with running(arguments.port, arguments.grpc_port, arguments.seed) as double:
        for fault in INJECTED if arguments.fail else ():
            double.faults.add(fault, on=DATA_OPERATIONS, probability=arguments.fail / len(INJECTED))
        double.store.lag = Lag(arguments.lag)
        double.store.is_async = arguments.lag > 0
        if arguments.key:
            double.gate.accepted_keys = set(arguments.key)
        if arguments.message_bytes:
            double.limits.message_bytes = arguments.message_bytes
        print(f"{double.url} 127.0.0.1:{double.grpc_port}", flush=True)  # noqa: T201
        stopped.wait()
        sys.stderr.write(f"{len(double.requests)} requests\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.doubles.weaviate",
        description="A Weaviate on the loopback interface, which holds its objects in memory.",
    )
    parser.add_argument("--port", type=int, default=8080, help="of the REST API; 0: a free one (default 8080)")
    parser.add_argument("--grpc-port", type=int, default=50051, help="of gRPC; 0: a free one (default 50051)")
    parser.add_argument(
        "--fail",
        type=float,
        default=0.0,
        metavar="PROBABILITY",
        help="that a call for data fails: as unavailable, exhausted, or by a connection reset before or after it is "
        "applied",
    )
    parser.add_argument("--seed", type=int, help="of --fail, so that it fails the same way again")
    parser.add_argument("--lag", type=float, default=0.0, metavar="SECONDS", help="until a vector is indexed")
    parser.add_argument("--key", action="append", help="an API key to accept (default: everybody); may be repeated")
    parser.add_argument("--message-bytes", type=int, metavar="N", help="the limit of one gRPC message (default 100 MB)")
    return parser


if __name__ == "__main__":
    main()
