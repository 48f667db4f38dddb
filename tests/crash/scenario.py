"""A migration that is killed, run again, and compared with its source."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.migration import Project
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Digest
from vecmig.protocols import Source
from vecmig.spec.load import load

ROOT = Path(__file__).parents[2]  # where `tests` can be imported from
KILLED = -9
RECORDS, PART = 3_000, 150  # parts of a snapshot: each is read, written and checkpointed on its own


@dataclass(frozen=True, slots=True)
class Scenario:
    """A spec in a directory of its own; its source is a snapshot, its target a PostgreSQL."""

    directory: Path
    dsn: str

    def begin(self) -> None:
        """Write the source and the spec."""
        write_source(self.directory / "source", range(RECORDS))
        (self.directory / "vecmig.yaml").write_text(
            f"""
version: 1
name: crash
sources: {{s: {{type: snapshot, path: source}}}}
targets: {{t: {{type: pgvector, dsn: "{{{{ env.CRASH_DSN }}}}", table: kb}}}}
fields: {{n: {{type: int, filter: true}}}}
verification: {{search: {{queries: {{sample: 5}}}}, thresholds: {{overlap: 0, recall: 0}}}}
migrations: [{{name: m, source: s, target: t, prune: true}}]
execution: {{workers: 2}}
"""
        )

    def run(self, *command: str, timeout_s: float = 120, kill_after_s: float | None = None) -> int:
        """Run a module with arguments; return its exit code, KILLED where it was killed."""
        with (self.directory / "stderr").open("w") as complaint:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.directory,
                env=os.environ | {"CRASH_DSN": self.dsn, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=complaint,
            )
        try:
            return process.wait(timeout_s if kill_after_s is None else kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            if kill_after_s is None:
                raise
            return KILLED

    def apply(self, kill_after_s: float | None = None) -> int:
        return self.run("-m", "vecmig", "apply", "--auto-approve", kill_after_s=kill_after_s)

    def apply_dying(self, point: str, at: int) -> int:
        """Apply, killed at the `at`-th passage of a point of `mortal`."""
        return self.run("-m", "tests.crash.mortal", point, str(at), "--", "apply", "--auto-approve")

    @property
    def complaint(self) -> str:
        """What the last run printed as its error."""
        return (self.directory / "stderr").read_text()

    def project(self) -> Project:
        os.environ["CRASH_DSN"] = self.dsn
        return load(str(self.directory / "vecmig.yaml"))

    def digests(self) -> tuple[Digest, Digest]:
        """Return the digests of all records of source and target, as they are now."""
        (migration,) = self.project().migrations
        with closing(migration.source.open_source()) as source, closing(migration.target.open_target()) as target:
            return (
                whole_digest(source, migration.source.options.collection),
                whole_digest(target, migration.target.options.collection),
            )


def write_source(path: Path, numbers: Sequence[int], dimensions: int = 8, version: int = 0) -> None:
    """Write a snapshot with a record for each number; what it holds follows from number and version."""
    options = SnapshotOptions(str(path))
    with closing(options.open()) as store:
        store.create(Collection(options.collection, (VectorField("", dimensions, "cosine"),), mark="crash"))
        for start in range(0, len(numbers), PART):
            part = numbers[start : start + PART]
            vectors = np.stack([np.random.default_rng((n, version)).standard_normal(dimensions) for n in part])
            columns = {
                "id": pa.array([f"r{n}" for n in part], pa.string()),
                "namespace": pa.array([f"ns{n % 3}" for n in part], pa.string()),
                "metadata": pa.array([f'{{"n": {n}, "version": {version}}}' for n in part], pa.string()),
                "vector:": vector_column(vectors.astype(np.float32)),
            }
            store.upsert(options.collection, RecordBatch(pa.RecordBatch.from_pydict(columns)))
        list(store.build_index(Collection(options.collection, (VectorField("", dimensions, "cosine"),), mark="crash")))


def whole_digest(source: Source, collection: str) -> Digest:
    total = Digest()
    for part in source.partitions(collection, 1):
        for batch, _ in source.read(part, None):
            total += digest_of(batch)
    return total
