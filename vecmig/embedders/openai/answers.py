"""An answer's bytes -> vectors, with every doubt about them removed."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from vecmig.errors import ConnectorError, LostAnswer


class _Item(Struct):
    embedding: bytes | list[float]  # base64 of float32, or numbers from a server that knows nothing else
    index: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(Struct):
    data: list[_Item]
    usage: _Usage | None = None


# made here, not by the first answer: threads that get theirs at once would make it together, of which msgspec 0.22 dies
_DECODER = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    vectors: NDArray[np.float32]  # (n, d)
    tokens: int | None  # that were charged, if it says so


def read_answer(body: bytes, texts: int, where: str) -> Answer:
    """Return the vectors in the order of the texts. Raises LostAnswer for an answer that is cut short or mixed up."""
    try:
        answer = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LostAnswer(f"{where}: the answer is not one of OpenAI's API ({len(body):,} bytes)") from error
    if len(answer.data) != texts:
        raise LostAnswer(f"{where}: {len(answer.data):,} vectors came for {texts:,} texts")
    try:
        found = [_vector(item.embedding) for item in answer.data]
    except ValueError as error:
        raise LostAnswer(f"{where}: a vector of the answer cannot be read") from error
    if len(lengths := {len(vector) for vector in found}) != 1 or 0 in lengths:
        raise LostAnswer(f"{where}: the vectors of one answer are {_listed(sorted(lengths))} long")
    vectors = np.empty((texts, lengths.pop()), np.float32)
    places = [place if item.index is None else item.index for place, item in enumerate(answer.data)]
    if sorted(places) != list(range(texts)):
        raise LostAnswer(f"{where}: the answer does not say which vector is of which text")
    for place, vector in zip(places, found, strict=True):
        vectors[place] = vector
    usage = answer.usage or _Usage()
    return Answer(vectors, usage.total_tokens or usage.prompt_tokens)


def check_dimensions(vectors: NDArray[np.float32], expected: int, is_asked: bool, where: str) -> None:
    """Raise ConnectorError where the vectors are not as long as they must be."""
    found = vectors.shape[1]
    if found != expected:
        why = (
            f"where {expected:,} were asked for: the server cannot shorten them; set `dimensions` to {found}, or leave it out"
            if is_asked
            else f"where this model has {expected:,}: is another model served under its name?"
        )
        raise ConnectorError(f"{where}: the vectors have {found:,} dimensions {why}")


def _vector(embedding: bytes | Sequence[float]) -> NDArray[np.float32]:
    if isinstance(embedding, bytes):
        return np.frombuffer(embedding, "<f4")
    return np.asarray(embedding, np.float32)


def _listed(lengths: Sequence[int]) -> str:
    return " and ".join(map(str, lengths[:2])) + " and others" * (len(lengths) > 2)
