"""Texts over a model's limit: their beginning, the mean of their pieces, or none of it."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.embedders.openai.tokens import tokenizer
from vecmig.embedders.python.options import PythonOptions
from vecmig.embedding.texts import Pieces, mean_of, pieces_of
from vecmig.model.plan import TooLong
from vecmig.protocols import Embedder

LONG = " ".join(f"sentence {n} is about naïve 東京 🙂 things." for n in range(40))


@pytest.fixture(params=["tokens", "estimate", "prefixed"])
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    """A model of 50 tokens; nothing is sent anywhere."""
    prefix = "Represent this passage for searching: " if request.param == "prefixed" else None
    if request.param == "estimate":
        options: OpenAIOptions | PythonOptions = PythonOptions(
            "tests.embedders.python.models:hashed", max_text_tokens=50
        )
    else:
        options = OpenAIOptions(max_text_tokens=50, passage_prefix=prefix)
    with closing(options.open("text-embedding-3-small", None)) as opened:
        yield opened


@pytest.mark.parametrize("too_long", ["truncate", "split_and_average", "quarantine"])
def test_a_text_within_the_limit_is_left_alone(embedder: Embedder, too_long: TooLong) -> None:
    for text in ("short", LONG[:60], embedder.truncate(LONG, 50)):
        (found,) = pieces_of([text], embedder, too_long)
        assert found is not None
        assert found.texts == (text,)


def test_truncated_it_is_the_longest_beginning_that_fits(embedder: Embedder) -> None:
    (found,) = pieces_of([LONG], embedder, "truncate")
    assert found is not None
    (text,) = found.texts
    assert LONG.startswith(text)
    assert 45 < embedder.count_tokens([text])[0] <= 50


def test_split_its_pieces_are_all_of_it_and_each_fits(embedder: Embedder) -> None:
    (found,) = pieces_of([LONG], embedder, "split_and_average")
    assert found is not None
    assert "".join(found.texts) == LONG
    assert len(found.texts) > 5
    assert max(embedder.count_tokens(found.texts)) <= 50
    assert list(found.weights) == list(embedder.count_tokens(found.texts))


def test_put_aside_there_is_nothing_to_embed(embedder: Embedder) -> None:
    assert pieces_of([LONG, "short"], embedder, "quarantine") == [None, Pieces(("short",))]


@pytest.mark.parametrize("too_long", ["truncate", "split_and_average"])
def test_a_prefix_counts_also_with_a_text_that_alone_would_fit(too_long: TooLong) -> None:
    options = OpenAIOptions(max_text_tokens=40, passage_prefix="Represent this passage for searching: ")
    with closing(options.open("text-embedding-3-small", None)) as embedder:
        text = "𓀀" * 10  # few characters, forty tokens
        assert tokenizer("cl100k_base").count(text) == 40 < embedder.count_tokens([text])[0]
        (found,) = pieces_of([text], embedder, too_long)
        assert found is not None
        assert max(embedder.count_tokens(found.texts)) <= 40


def test_the_mean_weighs_each_piece_by_its_tokens_and_has_length_one() -> None:
    a, b = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)
    found = mean_of([a, b], [30, 10])
    assert found.dtype == np.float32
    assert found == pytest.approx([0.9487, 0.3162, 0], abs=1e-4)
    assert np.linalg.norm(found) == pytest.approx(1)


def test_the_vector_of_one_piece_is_bit_for_bit_the_models() -> None:
    vector = np.array([0.3, 0.4], np.float32)
    assert mean_of([vector], [7]) is vector


def test_vectors_that_cancel_out_are_no_nan() -> None:
    assert mean_of([np.array([1.0, 0], np.float32), np.array([-1.0, 0], np.float32)], [1, 1]).tolist() == [0, 0]
