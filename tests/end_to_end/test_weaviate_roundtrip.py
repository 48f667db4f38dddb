"""Through Weaviate and back: whatever the records are, the digest stays."""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.connectors.weaviate.places import opened
from tests.end_to_end.conftest import PLAIN, Row, batch_of, digest
from tests.end_to_end.test_roundtrip import VECTORS, migrate, record
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.collection import Collection, Metric, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Digest

TENANT_BYTES = 38  # of a namespace that is no name of a tenant as it stands
records = st.lists(
    record().filter(lambda each: len(each["namespace"].encode()) <= TENANT_BYTES),
    max_size=20,
    unique_by=lambda each: (each["namespace"], each["id"]),
)


def snapshot(directory: Path, rows: Sequence[Row], vectors: Sequence[VectorField]) -> tuple[SnapshotOptions, Digest]:
    """Write the records to a snapshot; return it with their digest."""
    there, expected = SnapshotOptions(str(directory / "there")), Digest()
    with closing(there.open()) as opened:
        opened.create(Collection(there.collection, tuple(vectors), mark="vecmig:test"))
        if rows:
            batch = batch_of(rows, vectors)
            expected = digest_of(batch)
            assert not opened.upsert(there.collection, batch)
    return there, expected


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=records)
@example(rows=[])
def test_any_records_keep_their_digest_there_and_back(
    tmp_path: Path, weaviate_server: WeaviateServer, rows: list[dict[str, Any]]
) -> None:
    shutil.rmtree(tmp_path)  # each example begins anew
    tmp_path.mkdir()
    there, expected = snapshot(tmp_path, rows, VECTORS)
    back = SnapshotOptions(str(tmp_path / "back"))
    with opened(weaviate_server, page_rows=3) as connector:
        kb = connector.options
        assert migrate(tmp_path, "out", there, kb).verdict == "passed"
        assert digest(connector, kb.collection) == expected
        assert migrate(tmp_path, "home", kb, back).verdict == "passed"
    with closing(back.open()) as home:
        assert digest(home, back.collection) == expected


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2", "l1"])
def test_every_bit_of_a_float_survives(tmp_path: Path, weaviate_server: WeaviateServer, metric: Metric) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 4_000, np.uint32).view(np.float32)
    matrix = bits[np.isfinite(bits)][: 8 * 400].reshape(-1, 8)
    fields = (replace(PLAIN[0], metric=metric),)
    rows = [{"id": str(n), "vector:": row.tolist()} for n, row in enumerate(matrix)]
    there, expected = snapshot(tmp_path, rows, fields)
    with opened(weaviate_server) as connector:
        kb = connector.options
        migrate(tmp_path, "out", there, kb)
        assert digest(connector, kb.collection) == expected
        keys = batch_of(rows, fields).keys
        assert connector.fetch(kb.collection, keys).vectors("").tobytes() == matrix.tobytes()
