"""Bad records put aside: a Parquet file for those that were found together, with a reason each."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vecmig.errors import StateError
from vecmig.model.batch import RecordBatch, Rejected
from vecmig.model.plan import Partition
from vecmig.storage.durable import replace_durably, sync_directory


class Quarantine:
    """A directory of rejected records, whole. Putting the same records of a batch again replaces their file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def clear(self, migration: str) -> None:
        """Remove what an earlier run of the same plan put aside for a migration: all its records are looked at anew."""
        for path in self.directory.glob("*.parquet"):
            if re.fullmatch(re.escape(migration) + "-[0-9a-f]{16}", path.stem):
                path.unlink()

    def put(self, migration: str, part: Partition, cursor: str, bad: RecordBatch, reasons: Sequence[Rejected]) -> None:
        """Store rejected records of one batch; durable on return. The n-th of `bad` has the n-th reason."""
        # named after the records, too: conversion and target reject in one batch, and none may overwrite the other's
        keys = [(each.key.namespace, each.key.id) for each in reasons]
        name = hashlib.sha256(repr((migration, part, cursor, keys)).encode()).hexdigest()[:16]
        table = bad.table.append_column("reason", pa.array([each.reason for each in reasons], pa.string()))
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_batches([table]), sink)
        try:
            if not self.directory.exists():
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_directory(self.directory.parent)
            replace_durably(self.directory / f"{migration}-{name}.parquet", sink.getvalue().to_pybytes())
        except OSError as error:
            raise StateError(
                f"cannot put aside {len(reasons):,} bad records in {self.directory}: {error.strerror or error}; they are not"
                " counted as moved: make room, then run again"
            ) from error
