"""Nearest neighbours, with the index's settings set for the transaction of the search alone."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from vecmig.connectors.pgvector.client.session import Session, set_local
from vecmig.connectors.pgvector.limits import TYPES
from vecmig.connectors.pgvector.records import expressions
from vecmig.connectors.pgvector.records.filters import condition
from vecmig.connectors.pgvector.schema.table import Table, Vector
from vecmig.connectors.pgvector.settings import query_settings
from vecmig.errors import UnsupportedError
from vecmig.model.batch import Key
from vecmig.model.collection import Index, Metric
from vecmig.protocols import Hits, Search

OPERATORS: dict[Metric, str] = {"cosine": "<=>", "dot": "<#>", "l2": "<->", "l1": "<+>"}
DEFAULT_EF_SEARCH = 40  # pgvector's; also the most records that a scan without iteration finds
MAX_EF_SEARCH = 1_000


def search(session: Session, table: Table, search: Search) -> list[Hits]:
    """Return the nearest records of each query. Zero vectors have no cosine distance, and are never found by it."""
    vector = next((each for each in table.vectors if each.field.name == search.vector), None)
    if vector is None:
        raise UnsupportedError(f"table {table.collection} has no vector {search.vector!r}")
    if table.namespace is None and search.namespace:
        return [Hits([], np.zeros(0, np.float32)) for _ in search.queries]
    with session.transaction():
        _settings(session, search)
        statement, before, after = _statement(table, vector, search)
        prepared = expressions.with_parameters(statement, session)
        return [
            _hits(session.execute(prepared, [query, *before, *after, query, search.k]).fetchall())
            for query in _texts(vector, search.queries)
        ]


def _settings(session: Session, search: Search) -> None:
    if search.exact:
        # only an index scan answers ORDER BY distance approximately; a bitmap scan may still serve a filter
        set_local(session, "enable_indexscan", "off")
        return
    asked = query_settings(search.index or Index())
    if search.k > DEFAULT_EF_SEARCH:
        asked.setdefault("hnsw.ef_search", str(min(search.k, MAX_EF_SEARCH)))
    for name, value in asked.items():
        set_local(session, name, value)


def _statement(table: Table, vector: Vector, search: Search) -> tuple[sql.Composed, list[Any], list[Any]]:
    distance = sql.SQL("{} OPERATOR({}.{}) %s::{}").format(
        expressions.vector_value(table, vector.column),
        sql.Identifier(table.extension_schema),
        sql.SQL(OPERATORS[vector.field.metric]),
        sql.Identifier(table.extension_schema, TYPES[vector.field.kind]),
    )
    conditions: list[sql.Composable] = [sql.SQL("true")]
    namespace: list[Any] = []
    if table.namespace is not None:
        conditions.append(sql.SQL("{} = %s").format(expressions.namespace_text(table)))
        namespace = [search.namespace]
    parameters: list[Any] = []
    if search.filter is not None:
        passes, parameters = condition(table, search.filter)
        conditions.append(passes)
    statement = sql.SQL("SELECT {}, {}, {} FROM {} WHERE {} ORDER BY {} LIMIT %s").format(
        expressions.namespace_text(table),
        expressions.id_text(table),
        distance,
        table.identifier,
        sql.SQL(" AND ").join(conditions),
        distance,
    )
    return statement, namespace, parameters


def _hits(rows: Sequence[tuple[Any, ...]]) -> Hits:
    # a missing vector has no distance, and a zero vector no cosine: they sort last
    found = [
        (Key(namespace, id), distance)
        for namespace, id, distance in rows
        if distance is not None and not math.isnan(distance)
    ]
    return Hits([key for key, _ in found], np.array([distance for _, distance in found], np.float32))


def _texts(vector: Vector, queries: NDArray[np.float32]) -> list[str]:
    """Return queries (q, d) as pgvector writes them: the text of a float32 reads back as the same bits."""
    if vector.field.kind != "sparse":
        return [f"[{','.join(map(repr, query.tolist()))}]" for query in queries]
    dimensions = vector.field.dimensions or 1_000_000_000
    texts = []
    for query in queries:
        places = np.flatnonzero(query)
        inner = ",".join(
            f"{place + 1}:{value!r}" for place, value in zip(places.tolist(), query[places].tolist(), strict=True)
        )
        texts.append(f"{{{inner}}}/{dimensions}")
    return texts
