import pytest

from vecmig.connectors.memory import MemoryOptions
from vecmig.protocols import Target
from vecmig.testing.contract import ConnectorContract


class TestMemory(ConnectorContract):
    @pytest.fixture
    def options(self, request: pytest.FixtureRequest) -> MemoryOptions:
        return MemoryOptions("vecmig_contract", database=request.node.nodeid, page_rows=2)

    @pytest.fixture
    def target(self, options: MemoryOptions) -> Target:
        return options.open()
