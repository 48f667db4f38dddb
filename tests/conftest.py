"""Fixtures that every test may use."""

pytest_plugins = ["tests.openai_server", "tests.servers", "tests.weaviate_server"]
