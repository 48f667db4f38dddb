"""POST /v1/embeddings: a request's body -> an answer's."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.doubles.openai.errors import Refused
from tests.doubles.openai.faults import Change
from tests.doubles.openai.model import embedded, tokens


@dataclass(frozen=True, slots=True)
class Model:
    dimensions: int
    shortens: bool = True
    ignores_dimensions: bool = False  # as some servers do
    ignores_encoding: bool = False  # answers with numbers always


MODELS = {
    "text-embedding-3-small": Model(1536),
    "text-embedding-3-large": Model(3072),
    "text-embedding-ada-002": Model(1536, shortens=False),
}


@dataclass(frozen=True, slots=True)
class Asked:
    model: str
    texts: list[str]
    dimensions: int
    is_base64: bool
    counts: list[int]
    input_type: str | None = None


def asked_for(body: Any, models: dict[str, Model]) -> Asked:
    """Read a request. Raises Refused."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise Refused("you must provide a model parameter", param="model")
    name = body["model"]
    if name not in models:
        raise Refused(
            f"The model `{name}` does not exist or you do not have access to it.", 404, code="model_not_found"
        )
    model, texts = models[name], body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise Refused("'$.input' is invalid. Please check the API reference.")
    wanted = body.get("dimensions")
    if wanted is not None and not model.ignores_dimensions:
        if not model.shortens:
            raise Refused("This model does not support specifying dimensions.")
        if not isinstance(wanted, int) or not 1 <= wanted <= model.dimensions:
            raise Refused(
                f"Invalid value for 'dimensions' = {wanted}. Must be less than or equal to {model.dimensions}."
            )
    if body.get("encoding_format", "float") not in ("float", "base64"):
        raise Refused("Invalid value for 'encoding_format'.", param="encoding_format")
    dimensions = model.dimensions if wanted is None or model.ignores_dimensions else wanted
    is_base64 = body.get("encoding_format") == "base64" and not model.ignores_encoding
    return Asked(name, texts, dimensions, is_base64, [tokens(text) for text in texts], body.get("input_type"))


def answer(asked: Asked, own: int, change: Change | None = None) -> dict[str, Any]:
    """Return the body of an answer, changed as a fault says."""
    vectors = [embedded(asked.model, text, own, asked.dimensions) for text in asked.texts]
    if change == "nan":
        vectors[-1] = np.full_like(vectors[-1], np.nan)
    if change == "uneven":
        vectors[-1] = vectors[-1][:-1]
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": base64.b64encode(vector.tobytes()).decode() if asked.is_base64 else vector.tolist(),
        }
        for place, vector in enumerate(vectors)
    ]
    if change == "short":
        data = data[:-1]
    if change == "long":
        data = [*data, data[-1]]
    if change in ("shuffled", "unindexed"):
        data = data[::-1]
    if change == "unindexed":
        data = [{key: value for key, value in item.items() if key != "index"} for item in data[::-1]]
    if change == "twice":
        data[-1] = {**data[-1], "index": 0}
    total = sum(asked.counts)
    whole: dict[str, Any] = {"object": "list", "data": data, "model": asked.model}
    return whole if change == "no usage" else whole | {"usage": {"prompt_tokens": total, "total_tokens": total}}
