"""Documents whose vectors one model made, for tests that retire it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from tests.doubles.openai import Double
from tests.end_to_end.conftest import Site
from vecmig.model.collection import VectorField

OLD, NEW = "text-embedding-ada-002", "text-embedding-3-small"
TOPICS = ("cats", "dogs", "fish"), ("rain", "snow", "sun", "wind")
SPEC = """\
version: 1
name: kb
providers:
  openai: {type: openai, base_url: "{{ vars.openai }}", api_keys: ["{{ env.OPENAI_API_KEY }}"], max_items: 64}
sources:
  old: {type: snapshot, path: source, embedding: {model: openai/text-embedding-ada-002}}
targets:
  t: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}
embedding: {model: openai/text-embedding-3-small, dimensions: 64, text: "{{ title }}\\n\\n{{ text }}"}
verification: {search: {queries: {sample: 5}, top_k: 3}}
migrations:
  - {name: m, source: old, target: t}
execution: {workers: 2}
"""


def text_of(number: int, version: int = 0) -> str:
    return f"about {TOPICS[0][number % 3]} in the {TOPICS[1][number % 4]}, number {number}, version {version}"


def documents(double: Double, numbers: Sequence[int], version: int = 0, model: str = OLD) -> list[dict[str, Any]]:
    """Return a record for each number, with the vector that `model` makes of its text; nothing of it is in the ledger."""
    client = OpenAI(base_url=double.url, api_key="by hand", max_retries=0)
    texts = [f"Nr. {n}\n\n{text_of(n, version)}" for n in numbers]
    made = client.embeddings.create(model=model, input=texts, encoding_format="float") if texts else None
    double.ledger.charged.clear()
    return [
        {
            "id": f"d{n}",
            "namespace": "",
            "metadata": {"title": f"Nr. {n}", "text": text_of(n, version), "n": n},
            "vector:": np.asarray(each.embedding, np.float32).tolist(),
        }
        for n, each in zip(numbers, made.data if made else (), strict=True)
    ]


def vectors_of(records: Sequence[dict[str, Any]]) -> tuple[VectorField, ...]:
    return (VectorField("", len(records[0]["vector:"]), "cosine"),)


def prepared(
    site: Site,
    double: Double,
    monkeypatch: pytest.MonkeyPatch,
    spec: str = SPEC,
    count: int = 200,
    model: str = OLD,
) -> None:
    """Store `count` documents in the snapshot, and write the spec that retires their model."""
    monkeypatch.setenv("VECMIG_VAR_openai", double.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    monkeypatch.setattr("vecmig.embedding.buyer.PATIENCE_S", 10.0)
    records = documents(double, range(count), model=model)
    site.store(records, vectors_of(records))
    site.spec(spec)
