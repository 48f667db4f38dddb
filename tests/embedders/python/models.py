"""Functions and classes that a user could have."""

from collections.abc import Sequence
from threading import Lock
from time import sleep

import numpy as np
import xxhash
from numpy.typing import NDArray

DIMENSIONS = 24


def hashed(texts: Sequence[str]) -> NDArray[np.float64]:
    """A vector for each text by its words, in double precision, as many libraries give them."""
    return np.stack([_vector(text) for text in texts])


def lists(texts: Sequence[str]) -> list[list[float]]:
    return hashed(texts).tolist()  # type: ignore[no-any-return]  # NumPy's own type is Any


def short(texts: Sequence[str]) -> NDArray[np.float64]:
    return hashed(texts)[:-1]


def flat(texts: Sequence[str]) -> NDArray[np.float64]:
    return _vector(texts[0])


def words(texts: Sequence[str]) -> list[str]:
    return list(texts)


def uneven(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0] * (n + 1) for n in range(len(texts))]


def nothing(texts: Sequence[str]) -> NDArray[np.float64]:
    """NaN for a text that says so."""
    made = hashed(texts)
    made[["NaN" in text for text in texts]] = np.nan
    return made


def fails(texts: Sequence[str]) -> NDArray[np.float64]:
    raise KeyError(f"no vector for {texts[0]!r}")


class Model:
    """Made once, with arguments, and not for two threads at a time."""

    made = 0

    def __init__(self, scale: float = 1.0, seed: str = "") -> None:
        if scale <= 0:
            raise ValueError("scale")
        type(self).made += 1
        self._scale, self._seed, self._lock = scale, seed, Lock()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("two threads at a time")
        try:
            sleep(0.001)
            return self._scale * hashed([self._seed + text for text in texts])
        finally:
            self._lock.release()


class Called(Model):
    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return self.encode(texts)


class Neither:
    pass


number = 3


def _vector(text: str) -> NDArray[np.float64]:
    total = np.zeros(DIMENSIONS)
    for word in [text, *text.lower().split()]:
        seed = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        total += np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return total
