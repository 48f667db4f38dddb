"""Snapshot -> PostgreSQL -> snapshot: whatever the records are, the digest stays."""

import shutil
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.end_to_end.conftest import PLAIN, batch_of, digest
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.migration import Endpoint, Migration, Project
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Digest
from vecmig.model.report import Report
from vecmig.model.secret import Secret
from vecmig.model.settings import Execution, Verification
from vecmig.protocols import ConnectorOptions
from vecmig.storage.file import FileStateStore
from vecmig.workflow.plan import make_plan
from vecmig.workflow.run import execute, prepare

DIMENSIONS = 3
VECTORS = (VectorField("", DIMENSIONS, "l2"), VectorField("title", 2, "dot"))

# any text but what no store can hold: NUL, and halves of surrogate pairs (category Cs)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
# as text, also such as no parser of doubles or of 64 bits would keep
numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
values = st.recursive(
    st.none()
    | st.booleans()
    | texts
    | st.integers(-(2**63), 2**63 - 1)
    | numbers.map(lambda text: orjson.Fragment(text.encode())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 1e-45, -1.4e-45, 3.4e38])


def vectors(size: int) -> st.SearchStrategy[list[float] | None]:
    return st.none() | st.lists(floats, min_size=size, max_size=size)


@st.composite
def record(draw: st.DrawFn) -> dict[str, Any]:
    metadata = draw(st.dictionaries(texts, values, max_size=4))
    return {
        "id": draw(texts.filter(bool)),
        "namespace": draw(texts),
        "metadata": orjson.dumps(metadata).decode(),
        "vector:": draw(vectors(DIMENSIONS)),
        "vector:title": draw(vectors(2)),
    }


records = st.lists(record(), max_size=20, unique_by=lambda each: (each["namespace"], each["id"]))


def migrate(directory: Path, name: str, source: ConnectorOptions, target: ConnectorOptions) -> Report:
    """Plan and apply as the command does; return the verification."""
    ends = (Endpoint("s", "source", source), Endpoint("t", "target", target))
    migration = Migration("m", *ends, verification=Verification(search=None))
    project = Project(name, "default", "-", str(directory), "-", (migration,), execution=Execution(workers=2))
    store = FileStateStore(str(directory), name, "default")
    with store.lock(0):
        assert make_plan(project, None).actions
        events = list(execute(project, prepare(project, None, None), store, Event()))
    (report,) = (event for event in events if isinstance(event, Report))
    return report


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given=records)
@example(given=[])
def test_any_records_keep_their_digest_there_and_back(
    tmp_path: Path, database: str, given: list[dict[str, Any]]
) -> None:
    shutil.rmtree(tmp_path)  # each example begins anew
    tmp_path.mkdir()
    there, back = (SnapshotOptions(str(tmp_path / name)) for name in ("there", "back"))
    table = PgvectorOptions(Secret(database), "kb", page_rows=7)
    expected = Digest()
    with closing(there.open()) as snapshot:
        snapshot.create(Collection(there.collection, VECTORS, mark="vecmig:test"))
        if given:
            batch = batch_of(given, VECTORS)
            expected = digest_of(batch)
            assert not snapshot.upsert(there.collection, batch)
    try:
        assert migrate(tmp_path, "out", there, table).verdict == "passed"
        assert migrate(tmp_path, "home", table, back).verdict == "passed"
        with closing(table.open()) as stored, closing(back.open()) as snapshot:
            assert digest(stored, "kb") == expected
            assert digest(snapshot, back.collection) == expected
    finally:
        with closing(table.open()) as connector:
            connector.drop("kb")


def test_every_bit_of_a_float_survives(tmp_path: Path, database: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 4_000, np.uint32).view(np.float32)
    matrix = bits[np.isfinite(bits)][: 8 * 400].reshape(-1, 8)
    there, back = (SnapshotOptions(str(tmp_path / name)) for name in ("there", "back"))
    table = PgvectorOptions(Secret(database), "kb")
    fields = (replace(PLAIN[0], metric="l2"),)
    batch = batch_of([{"id": str(n), "vector:": row.tolist()} for n, row in enumerate(matrix)], fields)
    with closing(there.open()) as snapshot:
        snapshot.create(Collection(there.collection, fields, mark="vecmig:test"))
        snapshot.upsert(there.collection, batch)
    migrate(tmp_path, "out", there, table)
    migrate(tmp_path, "home", table, back)
    with closing(back.open()) as snapshot:
        keys = batch.keys
        found = snapshot.fetch(back.collection, keys)
        assert found.vectors("").tobytes() == batch.vectors("").tobytes()
