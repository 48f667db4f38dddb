"""Fixtures that every test may use."""

import os

os.environ["COLUMNS"] = "100"  # of what commands print, whatever terminal the tests run in

pytest_plugins = ["tests.openai_server", "tests.servers", "tests.weaviate_server"]
