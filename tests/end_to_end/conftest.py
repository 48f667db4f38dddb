"""`vecmig` as a command, from a snapshot into a real PostgreSQL; each test in a directory and a schema of its own.

Of Pinecone there is the double, to which the API key `test` opens.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from tests.command import Ran, edit
from tests.doubles.pinecone import Double, running
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.metadata import dumps
from vecmig.model.record import Digest, Key
from vecmig.model.secret import Secret
from vecmig.protocols import Source

Row = Mapping[str, Any]  # id, namespace, metadata (an object, or text) and `vector:` or `sparse:` columns
PLAIN = (VectorField("", 8, "cosine"),)
SPEC = """\
version: 1
name: kb
sources:
  s: {type: snapshot, path: source}
targets:
  t: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}
verification: {search: {queries: {sample: 5}, top_k: 3}}
migrations:
  - {name: m, source: s, target: t}
execution: {workers: 2}
"""


def rows(numbers: Sequence[int], version: int = 0, dimensions: int = 8) -> list[dict[str, Any]]:
    """Return a record for each number; what it holds follows from number and version."""
    return [
        {
            "id": f"r{n}",
            "namespace": ("", "de", "en")[n % 3],
            "metadata": {"n": n, "version": version, "title": f"Nr. {n} ü", "tags": ["a", "b"][: n % 3]},
            "vector:": np.random.default_rng((n, version)).standard_normal(dimensions).astype(np.float32).tolist(),
        }
        for n in numbers
    ]


def batch_of(records: Sequence[Row], vectors: Sequence[VectorField]) -> RecordBatch:
    """Return records as a batch; what a row leaves out is empty."""
    filled = []
    for record in records:
        metadata = record.get("metadata", {})
        text = metadata if isinstance(metadata, str) else dumps(metadata).decode()
        filled.append({"namespace": "", **record, "metadata": text})
    return RecordBatch(pa.RecordBatch.from_pylist(filled, schema_of(vectors)))


def digest(source: Source, collection: str) -> Digest:
    """Return the digest of all records, as they are read now."""
    total = Digest()
    for part in source.partitions(collection, 1):
        for batch, _ in source.read(part, None):
            total += digest_of(batch)
    return total


@dataclass(frozen=True, slots=True)
class Site:
    """A directory with a spec, a snapshot `source` in it, a PostgreSQL, and `vecmig` run as a command."""

    directory: Path
    dsn: str
    run: Callable[..., Ran]

    def spec(self, text: str) -> None:
        (self.directory / "vecmig.yaml").write_text(text)

    def edit(self, old: str, new: str) -> None:
        """Change the spec."""
        edit(self.directory / "vecmig.yaml", old, new)

    def store(self, records: Sequence[Row], vectors: Sequence[VectorField] = PLAIN, path: str = "source") -> None:
        """Write records to a snapshot, which is made if it is not there."""
        options = SnapshotOptions(str(self.directory / path))
        with closing(options.open()) as snapshot:
            snapshot.create(Collection(options.collection, tuple(vectors), mark="vecmig:test"))
            assert not snapshot.upsert(options.collection, batch_of(records, vectors))

    def remove(self, keys: Sequence[Key], path: str = "source") -> None:
        options = SnapshotOptions(str(self.directory / path))
        with closing(options.open()) as snapshot:
            snapshot.delete(options.collection, keys)

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement beside vecmig; return its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def digests(self, table: str = "kb", path: str = "source") -> tuple[Digest, Digest]:
        """Return the digests of a snapshot and of a table."""
        with (
            closing(SnapshotOptions(str(self.directory / path)).open()) as source,
            closing(PgvectorOptions(Secret(self.dsn), table).open()) as target,
        ):
            return digest(source, str(self.directory / path)), digest(target, table)

    def apply(self, *arguments: str) -> dict[str, Any]:
        """Apply, which must succeed; return the outcome."""
        ran = self.run("apply", "--auto-approve", "--json", *arguments)
        assert ran.code == 0, ran.err + ran.out
        outcome: dict[str, Any] = json.loads(ran.out)
        return outcome

    def settled(self) -> None:
        """The last apply verified, and another one has nothing to do."""
        again = self.run("apply", "--auto-approve")
        assert again.code == 0, again.err + again.out
        assert again.out.startswith("No changes."), again.out


@pytest.fixture
def site(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, vecmig: Callable[..., Ran]) -> Site:
    """A site whose spec is SPEC; the snapshot is still to be stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database)
    made = Site(tmp_path, database, vecmig)
    made.spec(SPEC)
    return made


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A Pinecone; specs find it by `{{ vars.pinecone }}`."""
    monkeypatch.setenv("PINECONE_API_KEY", "key-of-the-tests")
    with running() as double:
        monkeypatch.setenv("VECMIG_VAR_pinecone", double.url)
        yield double
