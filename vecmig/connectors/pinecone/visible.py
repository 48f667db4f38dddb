"""Waiting until one's own writes can be read: Pinecone acknowledges a write before it shows it."""

import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from threading import Lock

import numpy as np

from vecmig.connectors.pinecone.api import Api, Record
from vecmig.connectors.pinecone.calls import Calls
from vecmig.errors import TransientError
from vecmig.protocols import Counts

REMEMBERED = 64  # the last records of as many requests: far more than are under way at once
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0

Place = tuple[str, str]  # namespace and id
_written: dict[str, deque[tuple[Place, Record | None]]] = {}  # of this process, by host; None: it was deleted
_lock = Lock()


def note_written(host: str, namespace: str, record: Record) -> None:
    _note(host, (namespace, record.id), record)


def note_deleted(host: str, namespace: str, id: str) -> None:
    _note(host, (namespace, id), None)


def settle(api: Api, calls: Calls, expected: Counts, timeout_s: float) -> None:
    """Wait until the last writes of this process are visible, and `expected` is counted in the namespaces it names.

    Raises TransientError if they are not in time. Forgets what it saw.
    """
    deadline, wait_s = time.monotonic() + timeout_s, FIRST_WAIT_S
    while (unseen := _unseen(api, calls)) or (counted := _miscounted(api, calls, expected)):
        if time.monotonic() + wait_s > deadline:
            what = f"record {unseen[0]!r}" if unseen else f"the count ({counted})"
            raise TransientError(
                f"pinecone {calls.index!r}: {what} does not show what was written {timeout_s:.0f} s ago;"
                " run `vecmig verify` later"
            )
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _note(host: str, place: Place, record: Record | None) -> None:
    with _lock:
        notes = _written.setdefault(host, deque(maxlen=REMEMBERED))
        notes.append((place, record))


def _unseen(api: Api, calls: Calls) -> list[str]:
    """Return ids whose last write is not visible yet; forget all where there are none."""
    with _lock:
        notes = tuple(_written.get(calls.host, ()))
    last = dict(notes)
    unseen = []
    for namespace in {namespace for namespace, _ in last}:
        ids = [id for name, id in last if name == namespace]
        found = calls.send("fetch", partial(api.fetch, namespace, ids))
        unseen += [id for id in ids if not _same(last[namespace, id], found.get(id))]
    if not unseen and notes:
        with _lock:
            if tuple(_written.get(calls.host, ())) == notes:
                del _written[calls.host]
    return unseen


def _miscounted(api: Api, calls: Calls, expected: Counts) -> str:
    if not expected:
        return ""
    counted = calls.send("stats", api.stats)
    return ", ".join(
        f"{counted.get(name, 0):,} of {rows:,} in namespace {name!r}"
        for name, rows in expected.items()
        if counted.get(name, 0) != rows
    )


def _same(written: Record | None, found: Record | None) -> bool:
    if written is None or found is None:
        return written is found
    return (
        np.array_equal(np.asarray(written.values or [], np.float32), np.asarray(found.values or [], np.float32))
        and (written.sparse is None) == (found.sparse is None)
        and _numbers(written.metadata) == _numbers(found.metadata)
    )


def _numbers(metadata: Mapping[str, object]) -> dict[str, object]:
    return {k: float(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in metadata.items()}
