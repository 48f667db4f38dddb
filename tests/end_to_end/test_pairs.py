"""All nine pairs of Pinecone, pgvector and Weaviate, from a snapshot and back into one: the digest stays."""

from contextlib import closing
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest

from tests.doubles.pinecone import Double
from tests.end_to_end.conftest import PLAIN, Row, batch_of, digest, rows
from tests.end_to_end.pinecone import options as pinecone_index
from tests.end_to_end.test_roundtrip import migrate
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.model.collection import Collection
from vecmig.model.secret import Secret
from vecmig.protocols import ConnectorOptions

STORES = ("pinecone", "pgvector", "weaviate")
METADATA = {
    "Title": "Grüße",
    "title": "another field, where case is all that differs",
    "count": 3,
    "price": 0.1,
    "big": 2**53 + 1,
    "tags": ["a", "b"],
    "mixed": [1, "x", None],
    "none": None,
    "empty": [],
    "nested": {"a": {"b": [1.5]}},
    "$odd key": True,
    "id": "a name that a store keeps for itself",
    "when": "2026-01-01",
}


def records() -> list[Row]:
    """Return records of three namespaces with equal ids, of every kind of metadata."""
    return [
        {**row, "id": id, "namespace": namespace, "metadata": {**METADATA, "n": n} if n % 2 else {"n": n}}
        for namespace in ("", "de", "acme corp")
        for n, (row, id) in enumerate(zip(rows(range(6)), ["a", "ü", "7", "x/y", str(uuid4()), "A"], strict=True))
    ]


def end(store: str, name: str, double: Double, database: str, server: WeaviateServer) -> ConnectorOptions:
    match store:
        case "pinecone":
            return pinecone_index(double, name)
        case "pgvector":
            return PgvectorOptions(Secret(database), f"{name}_table")
    grpc = f"grpc://{server.grpc_host}:{server.grpc_port}"
    return WeaviateOptions(f"Pairs_{name}_{uuid4().hex[:8]}", url=server.url, grpc_url=grpc, page_rows=4)


@pytest.mark.parametrize(("source", "target"), list(product(STORES, STORES)))
def test_records_keep_their_digest_from_any_store_to_any_other(
    tmp_path: Path, double: Double, database: str, weaviate_server: WeaviateServer, source: str, target: str
) -> None:
    there, back = (SnapshotOptions(str(tmp_path / name)) for name in ("there", "back"))
    with closing(there.open()) as snapshot:
        snapshot.create(Collection(there.collection, PLAIN, mark="vecmig:test"))
        assert not snapshot.upsert(there.collection, batch_of(records(), PLAIN))
        expected = digest(snapshot, there.collection)
    one, two = (
        end(store, name, double, database, weaviate_server) for store, name in ((source, "one"), (target, "two"))
    )
    steps = [(there, one), (one, two), (two, back)]
    for number, (left, right) in enumerate(steps):
        report = migrate(tmp_path, f"step-{number}", left, right)
        assert report.verdict == "passed", report
        assert report.records
        assert report.records.matching == 18
    with closing(back.open()) as snapshot:
        assert digest(snapshot, back.collection) == expected
