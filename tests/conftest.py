"""Fixtures that every test may use."""

import os

import pytest

from vecmig.model import secret

os.environ["COLUMNS"] = "100"  # of what commands print, whatever terminal the tests run in

pytest_plugins = ["tests.command", "tests.openai_server", "tests.servers", "tests.weaviate_server"]


@pytest.fixture(autouse=True)
def no_secret_resolved() -> None:
    """Begin as a process does: what tests before used as a key is an ordinary word in what this one prints."""
    secret._revealed.clear()
