import pytest

from vecmig.connectors.memory import MemoryOptions
from vecmig.protocols import Target
from vecmig.testing.contract import COLLECTION, KEYS, ConnectorContract, SourceContract, records


class TestMemory(ConnectorContract):
    @pytest.fixture
    def options(self, request: pytest.FixtureRequest) -> MemoryOptions:
        return MemoryOptions("vecmig_contract", database=request.node.nodeid, page_rows=2)

    @pytest.fixture
    def target(self, options: MemoryOptions) -> Target:
        return options.open()


def test_a_connector_that_breaks_the_contract_is_told_what_was_found(request: pytest.FixtureRequest) -> None:
    lossy = MemoryOptions(COLLECTION.name, database=request.node.nodeid).open()
    lossy.create(COLLECTION)
    lossy.upsert(COLLECTION.name, records(KEYS[1:]))
    with pytest.raises(AssertionError, match=r"At index 0 diff: Key\(namespace='one', id='b'\) != Key\(.*id='a'\)"):
        SourceContract().test_partitions_are_disjoint_and_cover_everything(lossy, COLLECTION, KEYS, at_most=1)
