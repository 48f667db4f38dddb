"""Placeholder."""
from collections.abc import Iterator
from vecmig.execution.copy import Tools
from vecmig.migration import Migration
from vecmig.model.plan import ReconcileRecords
from vecmig.model.state import Progress


def reconcile(migration: Migration, action: ReconcileRecords, workers: int, tools: Tools) -> Iterator[Progress]:
    yield from ()
