"""A migration that is killed, run again, and compared with its source."""

import atexit
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

from tests.crash.process import Running, begun
from vecmig.migration import Project
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Digest, Key
from vecmig.model.state import State
from vecmig.protocols import ConnectorOptions, Source, Target
from vecmig.spec.load import load
from vecmig.storage.file import FileStateStore

KILLED = -9
PATIENCE_S = 60.0
RECORDS, PART = 3_000, 150  # parts of a snapshot: each is read, written and checkpointed on its own
SNAPSHOT = "{type: snapshot, path: source}"
POSTGRES = '{type: pgvector, dsn: "{{ env.CRASH_DSN }}", table: kb}'


def pinecone(index: str) -> str:
    """Return an index as a spec has it."""
    return f'{{type: pinecone, api_key: "{{{{ env.CRASH_KEY }}}}", host: "{{{{ vars.pinecone }}}}", index: {index}}}'


@functools.cache
def code() -> Path:
    """Return a copy of the code, as it is at the first call: a change of it in the midst of the tests is no crash."""
    here, copy = Path(__file__).parents[2], Path(tempfile.mkdtemp(prefix="vm-code"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for part in ("vecmig", "tests/crash"):
        shutil.copytree(here / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@dataclass(frozen=True, slots=True)
class Scenario:
    """A spec in a directory of its own."""

    directory: Path
    dsn: str
    ends: tuple[str, str] = (SNAPSHOT, POSTGRES)  # source and target, as a spec has them
    pinecone: str = ""  # the address of one, where an end is there
    records: int = RECORDS
    in_small_pages: bool = False  # so that a run that nothing kills from inside takes many requests, too

    def begin(self) -> None:
        """Write the spec and the source."""
        (self.directory / "vecmig.yaml").write_text(
            f"""
version: 1
name: crash
vars: {{pinecone: "{self.pinecone}"}}
sources: {{s: {self.ends[0]}}}
targets: {{t: {self.ends[1]}}}
fields: {{n: {{type: int, filter: true}}}}
verification: {{search: {{queries: {{sample: 5}}}}, thresholds: {{overlap: 0, recall: 0}}}}
migrations: [{{name: m, source: s, target: t, prune: true}}]
execution: {{workers: 2}}
"""
        )
        write_source(self.source, range(self.records))

    def run(self, module: str, *arguments: str) -> int:
        """Run a module with arguments; return its exit code."""
        process = self.start(module, *arguments)
        try:
            return process.wait(2 * PATIENCE_S)
        finally:
            process.kill()

    def start(self, module: str, *arguments: str) -> Running:
        """Start a module with arguments; its messages go to `complaint`."""
        errors = self.directory / "stderr"
        errors.write_text("")
        environment = os.environ | self.secrets | {"PYTHONPATH": str(code())}
        return begun(code(), self.directory, errors, environment, module, *arguments)

    def apply(self) -> int:
        return self.start_apply().wait(2 * PATIENCE_S)

    def start_apply(self) -> Running:
        if self.in_small_pages:
            return self.start("tests.crash.mortal", "before save", "0", "--", "apply", "--auto-approve")
        return self.start("vecmig", "apply", "--auto-approve")

    def apply_dying_after(self, seconds: float) -> bool:
        """Apply, killed so long after it began to work; return False if it was ready by then."""
        self.lock.unlink(missing_ok=True)  # which a killed run leaves behind
        process = self.start_apply()
        wait_until(lambda: self.lock.exists() or process.poll() is not None)
        time.sleep(seconds)
        killed = process.poll() is None
        process.kill()
        process.wait()
        return killed

    def slow_down(self, records_per_s: int) -> None:
        """Let the load take its time, so that there is time to disturb it."""
        path = self.directory / "vecmig.yaml"
        path.write_text(path.read_text() + f"limits: {{write_records_per_s: {records_per_s}}}\n")

    def change_source(self) -> None:
        """Add 300 records, alter 300 and remove 240: a store that shows its counts only shows that."""
        write_source(self.source, range(self.records, self.records + 300))
        write_source(self.source, range(240, 540), version=1)
        with closing(opened(self.source)) as store:
            store.delete(self.source.collection, [Key(f"ns{n % 3}", f"r{n}") for n in range(240)])

    @property
    def secrets(self) -> dict[str, str]:
        return {"CRASH_DSN": self.dsn, "CRASH_KEY": "test"}

    @property
    def source(self) -> ConnectorOptions:
        (migration,) = self.project().migrations
        return migration.source.options

    @property
    def lock(self) -> Path:
        """The file that stands beside the lock while a run holds it."""
        return self.directory / ".vecmig" / "crash" / "default.lock.json"

    def state(self) -> State | None:
        return FileStateStore(str(self.directory), "crash", "default").load()

    def done(self) -> int:
        """Return how many records of an unfinished plan are known to be written."""
        state = self.state()
        return sum(each.rows for each in state.checkpoints) if state else 0

    def apply_dying(self, point: str, at: int) -> int:
        """Apply, killed at the `at`-th passage of a point of `mortal`."""
        return self.run("tests.crash.mortal", point, str(at), "--", "apply", "--auto-approve")

    @property
    def complaint(self) -> str:
        """What the last run printed as its error."""
        return (self.directory / "stderr").read_text()

    def project(self) -> Project:
        os.environ |= self.secrets
        return load(str(self.directory / "vecmig.yaml"))

    def digests(self) -> tuple[Digest, Digest]:
        """Return the digests of all records of source and target, as they are now."""
        (migration,) = self.project().migrations
        with closing(migration.source.open_source()) as source, closing(migration.target.open_target()) as target:
            return (
                whole_digest(source, migration.source.options.collection),
                whole_digest(target, migration.target.options.collection),
            )


def wait_until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait until something holds. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come about")
        time.sleep(0.005)


def opened(options: ConnectorOptions) -> Target:
    return cast(Target, options.open())


def write_source(options: ConnectorOptions, numbers: Sequence[int], dimensions: int = 8, version: int = 0) -> None:
    """Write a record for each number, as `records` has them."""
    with closing(opened(options)) as store:
        store.create(Collection(options.collection, (VectorField("", dimensions, "cosine"),), mark="crash"))
        for start in range(0, len(numbers), PART):
            store.upsert(options.collection, records(numbers[start : start + PART], dimensions, version))
        list(store.build_index(Collection(options.collection, (VectorField("", dimensions, "cosine"),), mark="crash")))


def records(numbers: Sequence[int], dimensions: int = 8, version: int = 0) -> RecordBatch:
    """Return a record for each number; what it holds follows from number and version."""
    vectors = np.stack([np.random.default_rng((n, version)).standard_normal(dimensions) for n in numbers])
    columns = {
        "id": pa.array([f"r{n}" for n in numbers], pa.string()),
        "namespace": pa.array([f"ns{n % 3}" for n in numbers], pa.string()),
        "metadata": pa.array([f'{{"n": {n}, "version": {version}}}' for n in numbers], pa.string()),
        "vector:": vector_column(vectors.astype(np.float32)),
    }
    return RecordBatch(pa.RecordBatch.from_pydict(columns))


def whole_digest(source: Source, collection: str) -> Digest:
    total = Digest()
    for part in source.partitions(collection, 1):
        for batch, _ in source.read(part, None):
            total += digest_of(batch)
    return total
