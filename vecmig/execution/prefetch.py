"""Work ahead: reading and preparing the next batch while this one is written."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(items: Generator[T, None, None], ahead: int = 1) -> Iterator[T]:
    """Yield the items, which are made in a thread of their own, at most `ahead` before they are asked for.

    An error is raised where its item would have come; left early, it waits for the items under way and closes `items`.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as pool:
        waiting: deque[Future[T | None]] = deque()
        try:
            waiting.extend(pool.submit(next, items, None) for _ in range(ahead))
            while True:
                waiting.append(pool.submit(next, items, None))
                item = waiting.popleft().result()
                if item is None:
                    return
                yield item
        finally:
            pool.submit(items.close).result()  # in its own thread: it may be inside a client's call there
