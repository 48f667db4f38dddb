"""`vecmig`, but it kills itself with SIGKILL at the n-th time that it passes a point: `mortal POINT N -- ARGUMENTS`.

At time 0 it never comes to that.

Nothing in the product knows of this: the points are laid around its functions here.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

from vecmig.cli.main import main
from vecmig.migration import Endpoint
from vecmig.protocols import Source, Target
from vecmig.retry import retrying
from vecmig.storage.file import FileStateStore

POINTS = [
    f"{when} {what}"
    for what in ("save", "replace", "create", "upsert", "checkpoint", "delete", "index")
    for when in ("before", "after")
]
PATIENCE = (
    "CRASH_PATIENCE_S"  # of the environment: with a store that is away while records are moved, instead of a minute
)
PAGE_BYTES = 150 << 10  # of Pinecone: so that there are cursors to go on from
PAGE_ROWS = CHUNK_ROWS = 40  # of Weaviate
SWITCHES = [f"{when} {what}" for what in ("switch", "alias", "drop") for when in ("before", "after")]
REQUESTS = ["before request", "after request"]  # to Pinecone or Weaviate, of which an upsert takes several


class Reaper:
    """Counts the passages of one point, and kills at the chosen one."""

    def __init__(self, point: str, at: int) -> None:
        self.point, self.left = point, at

    def passes(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, what: str) -> None:
        """Put `before what` and `after what` around a function of `owner`."""
        inner: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.passes(f"before {what}")
            result = inner(*args, **kwargs)
            if isinstance(result, Iterator):
                return self._each(result, what)
            self.passes(f"after {what}")
            return result

        setattr(owner, name, call)

    def _each(self, items: Iterator[Any], what: str) -> Iterator[Any]:
        yield from items
        self.passes(f"after {what}")


def watch_targets(reaper: Reaper) -> None:
    """Lay the points around whatever connector is opened as a target."""
    open_target, watched, lock = Endpoint.open_target, set[type](), Lock()

    def opened(endpoint: Endpoint) -> Target:
        target = open_target(endpoint)
        with lock:
            if type(target) not in watched:
                watched.add(type(target))
                for name in ("create", "upsert", "delete", "switch", "drop"):
                    reaper.around(type(target), name, name)
                reaper.around(type(target), "build_index", "index")
                if endpoint.type == "pinecone":
                    from vecmig.connectors.pinecone.client.vectors import VectorsApi

                    reaper.around(VectorsApi, "upsert", "request")
                if endpoint.type == "weaviate":
                    from vecmig.connectors.weaviate.records import send, write
                    from vecmig.connectors.weaviate.schema import aliases

                    write.CHUNK_ROWS = CHUNK_ROWS
                    reaper.around(send, "put", "request")
                    for name in ("make", "move", "remove"):
                        reaper.around(aliases, name, "alias")
        return target

    Endpoint.open_target = opened  # type: ignore[assignment, method-assign]


def make_pages_small() -> None:
    """Let Pinecone and Weaviate be read in small pages."""
    open_source = Endpoint.open_source

    def opened(endpoint: Endpoint) -> Source:
        if endpoint.type == "pinecone":
            from vecmig.connectors.pinecone.client import opening

            opening.PAGE_BYTES = PAGE_BYTES
        if endpoint.type == "weaviate":
            from vecmig.connectors.weaviate.records import read

            read.PAGE_ROWS = PAGE_ROWS
        return open_source(endpoint)

    Endpoint.open_source = opened  # type: ignore[assignment, method-assign]


def run() -> None:
    point, at = sys.argv[1], int(sys.argv[2])
    assert point in (*POINTS, *REQUESTS, *SWITCHES), point
    reaper = Reaper(point, at)
    watch_targets(reaper)
    make_pages_small()
    if patience_s := os.environ.get(PATIENCE):
        retrying.__defaults__ = (float(patience_s),)
    reaper.around(FileStateStore, "save", "save")
    reaper.around(FileStateStore, "checkpoint", "checkpoint")
    reaper.around(os, "replace", "replace")  # the state's temporary file becomes the state
    sys.argv = ["vecmig", *sys.argv[sys.argv.index("--") + 1 :]]
    main()


if __name__ == "__main__":
    run()
