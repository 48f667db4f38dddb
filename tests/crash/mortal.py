"""`vecmig`, but it kills itself with SIGKILL at the n-th time that it passes a point: `mortal POINT N -- ARGUMENTS`.

Nothing in the product knows of this: the points are laid around its functions here.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from vecmig.cli.main import main
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.storage.file import FileStateStore

POINTS = [
    f"{when} {what}"
    for what in ("save", "replace", "create", "upsert", "checkpoint", "delete", "index")
    for when in ("before", "after")
]


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


def run() -> None:
    point, at = sys.argv[1], int(sys.argv[2])
    assert point in POINTS, point
    reaper = Reaper(point, at)
    for name in ("create", "upsert", "delete"):
        reaper.around(PgvectorConnector, name, name)
    reaper.around(PgvectorConnector, "build_index", "index")
    reaper.around(FileStateStore, "save", "save")
    reaper.around(FileStateStore, "checkpoint", "checkpoint")
    reaper.around(os, "replace", "replace")  # the state's temporary file becomes the state
    sys.argv = ["vecmig", *sys.argv[sys.argv.index("--") + 1 :]]
    main()


if __name__ == "__main__":
    run()
