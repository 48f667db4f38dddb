from pathlib import Path

import pytest

from tests.execution.world import World


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(request.node.nodeid, tmp_path)
