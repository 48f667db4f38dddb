"""Two collections and queries of the user's own, for tests."""

from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

import numpy as np
import pyarrow as pa
from msgspec.structs import replace
from numpy.typing import NDArray

from vecmig.comparison.reading import Side
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.migration import Endpoint, Migration
from vecmig.model.batch import RecordBatch, schema_of, vector_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.filter import parse
from vecmig.model.plan import Conversion, EmbedRule
from vecmig.model.query import Golden, Query
from vecmig.model.report import Report
from vecmig.model.settings import Queries, Search, Thresholds, Verification
from vecmig.verification.asked import Embeds, Searching
from vecmig.verification.verify import verify

TEXT = "{{ n }}"


def documents(ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]], namespace: str = "") -> RecordBatch:
    """Return records with these vectors, (n, d) by name."""
    fields = [VectorField(name, each.shape[1], "cosine") for name, each in vectors.items()]
    columns = {
        "id": pa.array(ids, pa.string()),
        "namespace": pa.array([namespace] * len(ids), pa.string()),
        "metadata": pa.array([f'{{"n": {n}}}' for n in range(len(ids))], pa.string()),
        **{f"vector:{name}": vector_column(each) for name, each in vectors.items()},
    }
    return RecordBatch(pa.RecordBatch.from_pydict(columns, schema=schema_of(fields)))


def stored(*batches: RecordBatch, metric: str = "cosine") -> MemoryOptions:
    options = MemoryOptions("docs", database=uuid4().hex)
    names = [name.partition(":")[2] for name in batches[0].names if name.startswith("vector:")]
    types = [batches[0].table.column(f"vector:{name}").type for name in names]
    fields = tuple(VectorField(name, each.list_size, metric) for name, each in zip(names, types, strict=True))  # type: ignore[arg-type]
    options.open().create(Collection("docs", fields, mark="vecmig:test"))
    for batch in batches:
        options.open().upsert("docs", batch)
    return options


def circle(count: int, turn: float = 0.0) -> NDArray[np.float32]:
    """Return unit vectors (count, 2), the next always a little further round."""
    angles = np.linspace(0, np.pi, count, endpoint=False) + turn
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def embedder(table: Mapping[str, Sequence[float]]) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    return lambda texts: np.array([table[text] for text in texts], np.float32)


def golden(*queries: Query) -> Golden:
    return Golden("golden.jsonl", tuple(replace(each, line=n) for n, each in enumerate(queries, 1)))


def text(text: str, *relevant: str, **more: object) -> Query:
    return Query(0, text, relevant=dict.fromkeys(relevant, 1.0), **more)  # type: ignore[arg-type]


def vector(numbers: Sequence[float], *relevant: str, name: str | None = None, **more: object) -> Query:
    return Query(0, vectors={name: tuple(numbers)}, relevant=dict.fromkeys(relevant, 1.0), **more)  # type: ignore[arg-type]


REEMBEDDED = Conversion(embed=(EmbedRule("", "provider/new", 3, TEXT, before=""),))


def proven(
    source: MemoryOptions,
    target: MemoryOptions,
    queries: Golden | None = None,
    embeds: Embeds | None = None,
    conversion: Conversion | None = None,
    thresholds: Thresholds | None = None,
    top_k: int = 3,
    filters: Sequence[object] = (),
    opened: Callable[[MemoryConnector], object] | None = None,
    records: str = "none",
) -> Report:
    """Verify the search alone. `opened`: what stands in for the target's connector."""
    search = Search(Queries(file=queries.file) if queries else Queries(sample=50), top_k)
    migration = Migration(
        "m",
        Endpoint("a", "memory", source),
        Endpoint("b", "memory", target),
        verification=Verification(records, search, thresholds or Thresholds()),  # type: ignore[arg-type]
        filters=tuple(map(parse, filters)),
        golden=queries,
    )
    first = Side("source", "docs", source.open, tuple(source.open().partitions("docs", 2)))
    open_target = target.open if opened is None else lambda: opened(target.open())
    second = Side("target", "docs", open_target, tuple(target.open().partitions("docs", 2)))  # type: ignore[arg-type]
    searching = Searching(conversion or Conversion(), embeds=embeds or {})
    return verify(migration, first, second, searching=searching, project="p", environment="e")
