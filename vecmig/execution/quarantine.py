"""Bad records put aside: a Parquet file for each batch that had some, with a reason each."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vecmig.model.batch import RecordBatch, Rejected
from vecmig.model.plan import Partition


class Quarantine:
    """A directory of rejected records, whole, as the source gave them. Writing a batch again replaces its file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, migration: str, part: Partition, cursor: str, bad: RecordBatch, reasons: Sequence[Rejected]) -> None:
        """Store the rejected records of one batch; durable on return. The n-th of `bad` has the n-th reason."""
        name = hashlib.sha256(repr((migration, part, cursor)).encode()).hexdigest()[:16]
        table = bad.table.append_column("reason", pa.array([each.reason for each in reasons], pa.string()))
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"{migration}-{name}.parquet"
        temporary = path.with_suffix(".tmp")
        pq.write_table(pa.Table.from_batches([table]), temporary)
        temporary.replace(path)
