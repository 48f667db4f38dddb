"""The contract that every embedding provider passes; a plug-in outside this repository subclasses it, too."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import numpy as np
import pytest
from numpy.typing import NDArray

from vecmig.errors import RefusedText
from vecmig.protocols import Embedder, EmbedderOptions

TEXTS = [
    "A cat sleeps on the warm roof.",
    "The parliament passed the budget after a long debate.",
    "Boil the pasta for nine minutes, then drain it.",
    "Two neutron stars merged, and gold was made.",
    "Der Zug nach Wien fährt heute später ab.",
]
ODD = ["a\nb\t c", "naïve café — 東京 🙂", "x", "null\0byte", "{{ text }}", "  spaces  "]
"""What documents hold that no model was made for."""
ALIKE = 0.999  # cosine: batches of other sizes are summed in another order


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n,) the cosine of each row of `a` and the same row of `b`."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    found: NDArray[np.float64] = (x * y).sum(axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))
    return found


class EmbedderContract:
    """Give the fixtures `options` and `model`; `dimensions` where the spec is to say them, `vendor` modules that are slow."""

    vendor: tuple[str, ...] = ()  # modules that may be imported only once the provider is opened

    @pytest.fixture
    def dimensions(self) -> int | None:
        return None

    @pytest.fixture
    def embedder(self, options: EmbedderOptions, model: str, dimensions: int | None) -> Iterator[Embedder]:
        with closing(options.open(model, dimensions)) as opened:
            yield opened

    def test_options_survive_pickling(self, options: EmbedderOptions) -> None:
        assert pickle.loads(pickle.dumps(options)) == options

    def test_options_need_no_library_of_the_provider(self, options: EmbedderOptions) -> None:
        module = type(options).__module__
        code = f"import sys, {module}; print([name for name in {self.vendor!r} if name in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_options_stay_the_same_where_no_path_is_relative(self, options: EmbedderOptions) -> None:
        once = options.anchored("/somewhere")
        assert once.anchored("/elsewhere") == once

    def test_each_text_has_a_vector_in_the_order_of_the_texts(self, embedder: Embedder, dimensions: int | None) -> None:
        made = embedder.embed(TEXTS, "passage").vectors
        assert made.dtype == np.float32
        assert made.shape == (len(TEXTS), dimensions or made.shape[1])
        assert np.isfinite(made).all()
        backwards = embedder.embed(TEXTS[::-1], "passage").vectors[::-1]
        assert (cosines(made, backwards) > ALIKE).all()
        others = made / np.linalg.norm(made, axis=1, keepdims=True)
        assert (others @ others.T - np.eye(len(TEXTS)) < ALIKE).all(), "texts differ, and so do their vectors"

    def test_a_text_has_the_same_vector_alone_and_in_a_batch(self, embedder: Embedder) -> None:
        whole = embedder.embed(TEXTS, "passage").vectors
        single = np.concatenate([embedder.embed([text], "passage").vectors for text in TEXTS])
        assert (cosines(whole, single) > ALIKE).all()

    def test_queries_are_as_long_as_passages(self, embedder: Embedder) -> None:
        passages, queries = (embedder.embed(TEXTS[:2], kind).vectors for kind in ("passage", "query"))
        assert queries.shape == passages.shape

    def test_odd_texts_have_vectors_too(self, embedder: Embedder) -> None:
        assert np.isfinite(embedder.embed(ODD, "passage").vectors).all()

    def test_half_a_character_is_refused_or_embedded(self, embedder: Embedder) -> None:
        with suppress(RefusedText):
            assert embedder.embed(["\ud83d"], "passage").vectors.shape[0] == 1

    def test_as_many_texts_as_a_request_may_hold_are_taken(self, embedder: Embedder) -> None:
        count = min(embedder.limits.max_items, 100)  # a real model is slow
        assert len(embedder.embed([f"text {n}" for n in range(count)], "passage").vectors) == count

    def test_what_is_charged_grows_with_the_texts(self, embedder: Embedder) -> None:
        one, all_ = (embedder.embed(texts, "passage").tokens for texts in (TEXTS[:1], TEXTS))
        assert 0 < one < all_

    def test_every_text_has_tokens_and_a_longer_one_more(self, embedder: Embedder) -> None:
        counts = embedder.count_tokens([TEXTS[0], f"{TEXTS[0]} {TEXTS[1]}", *ODD])
        assert len(counts) == 2 + len(ODD)
        assert all(count > 0 for count in counts)
        assert counts[1] > counts[0]
        assert list(embedder.count_tokens([])) == []

    def test_a_text_is_cut_to_its_longest_beginning_within_a_limit(self, embedder: Embedder) -> None:
        text = " ".join([*TEXTS, *ODD, *TEXTS])
        whole = embedder.count_tokens([text])[0]
        assert embedder.truncate(text, whole) == text
        for limit in (whole // 2, whole // 3, whole - 1):
            cut = embedder.truncate(text, limit)
            assert text.startswith(cut)
            assert limit // 2 < embedder.count_tokens([cut])[0] <= limit

    def test_a_text_at_the_limit_is_embedded(self, embedder: Embedder) -> None:
        most = embedder.limits.max_text_tokens
        if most is None:
            pytest.skip("this model has no limit that is known")
        text = embedder.truncate("word " * most * 2, most)
        assert np.isfinite(embedder.embed([text], "passage").vectors).all()

    def test_the_identity_is_one_line_that_names_the_model_and_stays(
        self, options: EmbedderOptions, model: str, dimensions: int | None, embedder: Embedder
    ) -> None:
        assert model in embedder.identity
        assert "\n" not in embedder.identity
        embedder.embed(TEXTS[:1], "passage")
        with closing(options.open(model, dimensions)) as again:
            assert again.identity == embedder.identity, "also after the first answer: the cache rests on it"

    def test_several_threads_are_served_at_once(self, embedder: Embedder) -> None:
        alone = embedder.embed(TEXTS, "passage").vectors
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: embedder.embed([TEXTS[n % 5]], "passage").vectors, range(20)))
            counts = list(pool.map(lambda n: embedder.count_tokens([TEXTS[n % 5]])[0], range(20)))
        assert (cosines(np.concatenate(answers), np.tile(alone, (4, 1))) > ALIKE).all()
        assert counts == list(embedder.count_tokens(TEXTS)) * 4
