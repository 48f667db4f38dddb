"""Waiting until the vector index has caught up: `ready` and the shards' own page say so too early."""

import time
from typing import Any

from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.errors import TransientError

SILENT = ("UNAVAILABLE", "TIMEOUT")  # nodes that do not say what waits there
WAIT_S = 0.2  # between two looks; both of the last must find nothing


def settle(calls: Calls, layout: Layout, timeout_s: float) -> None:
    """Return when every shard reports an empty queue twice. Raises TransientError if that takes too long."""
    deadline = time.monotonic() + timeout_s
    clean = 0
    while clean < 2:
        waiting = _waiting(calls, layout)
        clean = clean + 1 if not waiting else 0
        if waiting and time.monotonic() > deadline:
            raise TransientError(
                f"weaviate {layout.stored!r}: {waiting} after {timeout_s:,.0f} s; run `vecmig verify` later"
            )
        time.sleep(WAIT_S)


def _waiting(calls: Calls, layout: Layout) -> str:
    """Return what is waited for, for people; empty where every node reports that the queues of all shards are."""
    nodes: Any = calls.rest("nodes", "get", f"/nodes/{layout.stored}?output=verbose") or {}
    shards = [each for node in nodes.get("nodes") or [] for each in node.get("shards") or []]
    silent = sum(node.get("status") in SILENT for node in nodes.get("nodes") or [])
    if not shards and not silent and not layout.has_tenants:  # those of tenants that sleep are not reported
        return "no node reports a shard of it, so that nobody knows what is not indexed yet"
    waiting = silent + sum(
        max(int(each.get("vectorQueueLength") or 0), int(each.get("vectorIndexingStatus", "READY") == "INDEXING"))
        for each in shards
    )
    return f"{waiting:,} vectors are not indexed yet" if waiting else ""
