"""Texts that are over a model's limit: cut, or split and averaged, or refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecmig.model.plan import TooLong
from vecmig.protocols import Embedder


@dataclass(frozen=True, slots=True)
class Pieces:
    """What of one text is embedded: one piece for most, several whose mean is taken."""

    texts: tuple[str, ...]
    weights: tuple[int, ...] = (1,)  # their tokens


def pieces_of(texts: Sequence[str], embedder: Embedder, too_long: TooLong) -> list[Pieces | None]:
    """Return what is embedded of each text; None where it is too long, and such are to be put aside."""
    most = embedder.limits.max_text_tokens
    if most is None:
        return [Pieces((text,)) for text in texts]
    # a character is four bytes at most, and no token is shorter than one; a prefix and a model's own marks come on top
    surely = (most - embedder.count_tokens([""])[0]) // 4
    return [Pieces((text,)) if len(text) <= surely else _cut(text, most, embedder, too_long) for text in texts]


def _cut(text: str, most: int, embedder: Embedder, too_long: TooLong) -> Pieces | None:
    if embedder.count_tokens([text])[0] <= most:
        return Pieces((text,))
    if too_long == "truncate":
        return Pieces((embedder.truncate(text, most),))
    if too_long == "quarantine":
        return None
    texts: list[str] = []
    rest = text
    while rest:
        piece = embedder.truncate(rest, most) or rest[:1]
        if piece.strip():
            texts.append(piece)
        rest = rest[len(piece) :]
    return Pieces(tuple(texts), tuple(embedder.count_tokens(texts)))


def mean_of(vectors: Sequence[NDArray[np.float32]], weights: Sequence[int]) -> NDArray[np.float32]:
    """Return (d,) the vectors' mean by weight, of length 1; the vector itself where there is one."""
    if len(vectors) == 1:
        return vectors[0]
    mean = np.average(np.stack(vectors).astype(np.float64), axis=0, weights=weights)
    norm = float(np.linalg.norm(mean))
    return (mean / norm if norm else mean).astype(np.float32)
