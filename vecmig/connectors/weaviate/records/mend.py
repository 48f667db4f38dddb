"""Indexing anew what a run that died may have left stored, but out of the index, where no search finds it: see `send`.

Which objects those are, nobody knows then. But no request lives longer than its time limit, so that they are among those
of the last half minute before Weaviate was written no more.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from vecmig.connectors.weaviate.client.session import TIMEOUT_S
from vecmig.connectors.weaviate.records.decode import batch_of
from vecmig.connectors.weaviate.records.read import LAST, Range, Reading, pages
from vecmig.connectors.weaviate.records.send import Writing
from vecmig.connectors.weaviate.records.write import upsert
from vecmig.connectors.weaviate.schema import names, tenants
from vecmig.protocols import Counts, IndexProgress

REACH_S = int(TIMEOUT_S) + 10  # nodes of a cluster have clocks of their own
PAUSE_S = 1  # without a write: a run may have died there, also one that was mending


def mend(reading: Reading, writing: Writing, counts: Counts) -> Iterator[IndexProgress]:
    """Write anew, indexes and all, what was written shortly before each pause. `counts`: records of each namespace."""
    with ExitStack() as stack:
        if reading.layout.has_tenants:
            stack.enter_context(tenants.awake(reading.calls, reading.layout, map(names.tenant, counts)))
        yield from _mend(reading, writing, counts)


def _mend(reading: Reading, writing: Writing, counts: Counts) -> Iterator[IndexProgress]:
    total, gone = 2 * sum(counts.values()), 0
    seconds: set[int] = set()
    for namespace in counts:
        for page in pages(reading, Range(namespace, 0, LAST), "", ()):
            seconds.update(each.updated_s for each in page)
            gone += len(page)
            yield _progress(gone, total)
    doubtful, vectors = before_pauses(seconds), reading.chosen(None)
    for namespace in counts:
        for page in pages(reading, Range(namespace, 0, LAST), "", vectors):
            found = [each for each in page if each.updated_s in doubtful]
            if found:
                batch = batch_of(reading.layout, reading.encoding, [namespace] * len(found), found, vectors)
                writing.unsure.update(each.uuid for each in found)
                upsert(writing, batch)
            gone += len(page)
            yield _progress(gone, total)


def before_pauses(seconds: Iterable[int]) -> set[int]:
    """Return those of the seconds with writes that are less than REACH_S before one after which there was a pause."""
    found: set[int] = set()
    end = later = None
    for second in sorted(seconds, reverse=True):
        if end is None or later is None or later - second > PAUSE_S:
            end = second
        if end - second <= REACH_S:
            found.add(second)
        later = second
    return found


def _progress(gone: int, total: int) -> IndexProgress:
    return IndexProgress("", "mending", min(1.0, gone / total))
