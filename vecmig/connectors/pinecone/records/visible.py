"""Waiting until one's own writes can be read: Pinecone acknowledges a write before it shows it."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vecmig.connectors.pinecone.client.api import Api, Record
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.records.fetching import fetch, pieces
from vecmig.errors import TransientError
from vecmig.protocols import Counts

REMEMBERED = 64  # the last records of as many requests: far more than are under way at once
OVERWRITTEN_S = 60.0  # Pinecone takes 10 to 30 s to show a write
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0

Place = tuple[str, str]  # namespace and id
_namespaces: dict[str, set[str]] = {}  # of this process, by host: those that were written, however long ago
_written: dict[str, deque[tuple[Place, Record | None]]] = {}  # of this process, by host; None: it was deleted
_noted_at: dict[str, float] = {}  # of this process, by host: when it wrote last, on the monotonic clock
_lock = Lock()


def note_written(host: str, namespace: str, records: Sequence[Record]) -> None:
    """Remember a request that was acknowledged."""
    _note(host, namespace, {record.id: record for record in records})


def note_deleted(host: str, namespace: str, ids: Sequence[str]) -> None:
    _note(host, namespace, dict.fromkeys(ids))


def settle(api: Api, calls: Calls, expected: Counts, timeout_s: float, overwritten_s: float = OVERWRITTEN_S) -> None:
    """Wait until the last writes of this process are visible, and `expected` is counted in the namespaces it names.

    A record that still has other content `overwritten_s` after the last write was written by somebody else since. A
    namespace that was written must be counted in any case, for reading goes through those that are. Raises
    TransientError if they are not in time. Forgets what it saw.
    """
    began, wait_s = time.monotonic(), FIRST_WAIT_S
    deadline, written_at = began + timeout_s, _noted_at.get(calls.host, began)
    while behind := _tried(api, calls, expected, strict=time.monotonic() - written_at < overwritten_s):
        now = time.monotonic()
        left_s = deadline - now
        if left_s <= 0:
            raise TransientError(
                f"pinecone index {calls.index!r} does not show yet what was written: after {now - written_at:,.0f} s"
                f" {behind}. It becomes visible by and by: run `vecmig verify` later"
            )
        time.sleep(min(wait_s, left_s))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _note(host: str, namespace: str, changes: Mapping[str, Record | None]) -> None:
    """Remember the last of the changes; what an earlier request did to any of their ids is not to be waited for."""
    if not changes:
        return
    last = list(changes)[-1]
    record = changes[last]
    if record is not None and record.values is not None:
        record = record._replace(values=record.values.copy())  # a view would keep its whole batch
    with _lock:
        _noted_at[host] = time.monotonic()
        older = [each for each in _written.get(host, ()) if each[0][0] != namespace or each[0][1] not in changes]
        _written[host] = deque([*older, ((namespace, last), record)], maxlen=REMEMBERED)
        if record is None:
            _namespaces.get(host, set()).discard(namespace)  # it may be empty by now
        else:
            _namespaces.setdefault(host, set()).add(namespace)


def _tried(api: Api, calls: Calls, expected: Counts, strict: bool) -> str:
    """Return what is not visible yet, or why that is not known."""
    try:
        return _behind(api, calls, expected, strict)
    except TransientError as error:
        return str(error)


def _behind(api: Api, calls: Calls, expected: Counts, strict: bool) -> str:
    """Return what is not visible yet, in words; forget all writes, and return nothing, where all is.

    Not `strict`: a record that has other content than was written was written since by somebody else.
    """
    with _lock:
        notes, namespaces = tuple(_written.get(calls.host, ())), frozenset(_namespaces.get(calls.host, ()))
    last = dict(notes)
    unseen = 0
    for namespace in {namespace for namespace, _ in last}:
        ids = [id for name, id in last if name == namespace]
        records: dict[str, Record] = {}
        for some in pieces(api, ids):
            records |= fetch(api, calls, namespace, some)
        unseen += sum(not _shows(last[namespace, id], records.get(id), strict) for id in ids)
    if unseen:
        return f"{unseen:,} of the last {len(last):,} requests cannot be read back"
    least = dict.fromkeys(namespaces, 1)
    counted = calls.send("stats", api.stats) if least or expected else {}
    wrong = [
        f"{counted.get(name, 0):,} of {rows:,} in namespace {name!r}"
        for name, rows in {**least, **expected}.items()
        if (counted.get(name, 0) != rows if name in expected else counted.get(name, 0) < rows)
    ]
    if wrong:
        return f"it counts {', '.join(wrong)}"
    with _lock:
        if tuple(_written.get(calls.host, ())) == notes:
            _written.pop(calls.host, None)
            _namespaces.pop(calls.host, None)
    return ""


def _shows(written: Record | None, found: Record | None, strict: bool) -> bool:
    if written is None or found is None:
        return written is found
    return not strict or (
        _vectors_equal(written.values, found.values)
        and (written.sparse is None) == (found.sparse is None)
        and _numbers(written.metadata) == _numbers(found.metadata)
    )


def _vectors_equal(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def _numbers(metadata: Mapping[str, object]) -> dict[str, object]:
    return {k: float(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in metadata.items()}
