"""The contract of every connector, for each type of vector."""

from collections.abc import Iterator

import pytest

from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.model.secret import Secret
from vecmig.protocols import Target
from vecmig.testing.contract import ConnectorContract


class TestVector(ConnectorContract):
    @pytest.fixture
    def options(self, database: str) -> PgvectorOptions:
        return PgvectorOptions(Secret(database), "vecmig_contract", page_rows=2)

    @pytest.fixture
    def target(self, options: PgvectorOptions) -> Iterator[Target]:
        connector = options.open()
        yield connector
        connector.close()
