"""The contract of every connector, for dense vectors of 32 and of 16 bits."""

from collections.abc import Iterator

import numpy as np
import pytest
from msgspec.structs import replace

from vecmig.connectors.pgvector.limits import METRICS
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import Collection
from vecmig.model.secret import Secret
from vecmig.protocols import Counts, Target
from vecmig.testing.contract import COLLECTION, COUNTS, ConnectorContract


class TestVector(ConnectorContract):
    metrics = METRICS

    @pytest.fixture
    def options(self, database: str) -> PgvectorOptions:
        return PgvectorOptions(Secret(database), "vecmig_contract", page_rows=2)

    @pytest.fixture
    def target(self, options: PgvectorOptions) -> Iterator[Target]:
        connector = options.open()
        yield connector
        connector.close()


class TestHalfvec(TestVector):
    """What is compared bit for bit needs vectors that 16 bits hold: the rest of the contract does not care."""

    test_vectors_come_back_bit_for_bit = None  # type: ignore[assignment]  # test_roundtrip.py has it with 16 bits
    test_upsert_twice_is_once = None  # type: ignore[assignment]
    test_fetch_leaves_out_what_is_missing_and_keeps_the_order_of_keys = None  # type: ignore[assignment]

    @pytest.fixture
    def collection(self, options: PgvectorOptions) -> Collection:
        return replace(options, vector_type="halfvec").complete(COLLECTION)

    def store(self, target: Target, collection: Collection, batch: RecordBatch, expected: Counts = COUNTS) -> None:
        rows, vectors = batch.present_vectors("")
        if len(rows) == len(batch):
            batch = batch.replace("vector:", vector_column(vectors.astype(np.float16).astype(np.float32)))
        super().store(target, collection, batch, expected)
