from pathlib import Path

import pytest
from msgspec.structs import replace

from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.collection import Collection
from vecmig.protocols import Target
from vecmig.testing.contract import COLLECTION, ConnectorContract


class TestLocalDirectory(ConnectorContract):
    @pytest.fixture
    def options(self, tmp_path: Path) -> SnapshotOptions:
        return SnapshotOptions(str(tmp_path / "kb"), page_rows=2)

    @pytest.fixture
    def target(self, options: SnapshotOptions) -> Target:
        return options.open()

    @pytest.fixture
    def collection(self, options: SnapshotOptions) -> Collection:
        return replace(COLLECTION, name=options.path)


class TestObjectStore(TestLocalDirectory):
    @pytest.fixture
    def options(self, request: pytest.FixtureRequest) -> SnapshotOptions:
        return SnapshotOptions(f"memory://{request.node.name.replace('[', '-').replace(']', '')}/kb", page_rows=2)
