"""A provider on the double, as a spec would have it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.doubles.openai import Double
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.model.secret import Secret
from vecmig.protocols import Embedder

SMALL, LARGE, ADA = "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"


def options(double: Double, *keys: str, **more: Any) -> OpenAIOptions:
    return OpenAIOptions(tuple(map(Secret, keys or ("sk-one",))), **{"base_url": double.url, **more})


@contextmanager
def opened(
    double: Double, *keys: str, model: str = SMALL, dimensions: int | None = None, **more: Any
) -> Iterator[Embedder]:
    with closing(options(double, *keys, **more).open(model, dimensions)) as embedder:
        yield embedder
