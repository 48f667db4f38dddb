"""A migration to be disturbed."""

from pathlib import Path

import pytest

from tests.crash.scenario import Scenario


@pytest.fixture
def scenario(tmp_path: Path, database: str) -> Scenario:
    """A migration that has not begun."""
    made = Scenario(tmp_path, database)
    made.begin()
    return made
