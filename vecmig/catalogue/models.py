"""What is known of embedding models before one is asked: sizes, prices, limits, and whether they may be shortened."""

from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class ModelFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """One model. None: not known; `shortens` None: its vectors may not be cut."""

    dimensions: int | None = None
    shortens: int | None = None  # the fewest dimensions that a vector may be cut to
    usd_per_million_tokens: float | None = None
    max_text_tokens: int | None = None
    tokenizer: str | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    passage_prefix: str = ""
    query_prefix: str = ""


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    date: str
    sources: dict[str, str]
    models: dict[str, ModelFacts]


@cache
def catalogue() -> Catalogue:
    """Return the table that the package brings."""
    import yaml  # only here: `--help` passes through this module

    text = files("vecmig.catalogue").joinpath("models.yaml").read_text("utf-8")
    return msgspec.convert(yaml.safe_load(text), Catalogue)


def facts_of(model: str) -> ModelFacts:
    """Return what is known of `provider/model`; empty where nothing is."""
    return catalogue().models.get(model, ModelFacts())
