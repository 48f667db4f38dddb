"""Whether a new vector index takes sparse values beside the dense vector: one record written, read back and deleted.

The service's own pages disagree: the SDK's `indexes.create` says that such an index refuses them, its tests that it
keeps them. A load should find out before its first record, and above all not lose the half of each in silence.
"""

import time

import numpy as np

from vecmig.connectors.pinecone.client.api import Api, Record
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.errors import Refused
from vecmig.errors import TransientError

NAMESPACE, ID = "vecmig-probe", "probe"  # of their own, so that they meet no record
TIMEOUT_S = 60.0  # a write shows after seconds
WAIT_S = 0.2


def is_needed(api: Api, calls: Calls) -> bool:
    """Return whether the index holds no record of anybody's yet."""
    known = calls.send("stats", api.stats) | calls.send("namespaces", api.namespaces)  # each of them may lag
    return known.keys() <= {NAMESPACE}


def keeps_sparse(api: Api, calls: Calls, dimensions: int) -> bool:
    """Write a record and see what becomes of it; safe to repeat. Raises TransientError where it does not show."""
    record = Record(ID, np.ones(dimensions, np.float32), ([1], [1.0]), {})
    try:
        calls.send("upsert", lambda: api.upsert(NAMESPACE, [record]))
    except Refused:
        return False
    found = None
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while (found := calls.send("fetch", lambda: api.fetch(NAMESPACE, [ID])).get(ID)) is None:
            _wait(deadline, calls, "shows no record a minute after it took one")
    finally:
        calls.send("delete", lambda: api.delete(NAMESPACE, [ID]))
    while NAMESPACE in calls.send("stats", api.stats):
        _wait(deadline, calls, "counts a record a minute after it was deleted")
    return found.sparse == record.sparse


def _wait(deadline: float, calls: Calls, what: str) -> None:
    if time.monotonic() > deadline:
        raise TransientError(f"pinecone {calls.index!r} {what}; run `vecmig apply` again")
    time.sleep(WAIT_S)
