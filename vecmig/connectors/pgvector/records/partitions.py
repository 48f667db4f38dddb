"""Where to cut a table: boundaries from a sample of keys. They share the work out; correctness never rests on them."""

import json
from collections.abc import Sequence
from itertools import pairwise

from psycopg import sql

from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.records import expressions
from vecmig.connectors.pgvector.schema.table import Table
from vecmig.errors import ConnectorError
from vecmig.model.plan import Partition

SMALL_PAGES = 1_000  # of the table without its vectors, 8 KB each: then every key is looked at
SAMPLED_PAGES = 400


def partitions(session: Session, table: Table, at_most: int) -> Sequence[Partition]:
    """Return ranges of keys, ascending; the first and the last are open. Raises ConnectorError for unsafe keys."""
    check_keys(session, table)
    cuts = _boundaries(session, table, at_most) if at_most > 1 else []
    edges = [None, *cuts, None]
    return [
        Partition(table.collection, json.dumps({"after": lower, "upto": upper}, ensure_ascii=False))
        for lower, upper in pairwise(edges)
    ]


def bounds(part: Partition) -> tuple[list[str] | None, list[str] | None]:
    """Return the keys, as texts, after which the partition begins and with which it ends."""
    token = json.loads(part.token)
    return token["after"], token["upto"]


def check_keys(session: Session, table: Table) -> None:
    """Raise ConnectorError unless every record has a key, and each its own: else some would be lost, or doubled."""
    names = ", ".join(f"`{column.name}`" for column in table.id)
    if not table.key:
        raise ConnectorError(
            f"table {table.collection}: nothing says that {names} is unique, so records could be lost or doubled. Name"
            " the columns of its primary key in `columns: {id: …}` (several as a list), or make a unique index on them"
        )
    nullable = [column for column in table.id if not column.not_null]
    if nullable and _exists(
        session,
        sql.SQL("SELECT 1 FROM {} WHERE {}").format(
            table.identifier, sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(c.identifier) for c in nullable)
        ),
    ):
        raise ConnectorError(f"table {table.collection}: some records have no id: {names} is NULL; fill or remove them")
    if table.key_is_indexed:
        return
    # NULLs are never equal to a unique index, but make one key here; a view has no index at all
    columns = sql.SQL(", ").join(expressions.order_by(table))
    if _exists(
        session,
        sql.SQL("SELECT 1 FROM {} GROUP BY {} HAVING count(*) > 1").format(table.identifier, columns),
    ):
        raise ConnectorError(
            f"table {table.collection}: several records have the same key {names}; choose columns that are unique"
        )


def _exists(session: Session, query: sql.Composed) -> bool:
    row = session.execute(sql.SQL("SELECT EXISTS ({})").format(query)).fetchone()
    return bool(row and row[0])


def _boundaries(session: Session, table: Table, at_most: int) -> list[list[str]]:
    key = sql.SQL(", ").join(expressions.order_by(table))
    texts = sql.SQL(", ").join(
        expressions.key_text(column, column is table.namespace and not column.not_null) for column in table.key
    )
    rows = session.execute(
        # the last key of each tile but the last
        sql.SQL(
            "SELECT {texts} FROM (SELECT *, row_number() OVER w AS row, count(*) OVER () AS rows FROM {keys}"
            " WINDOW w AS (ORDER BY {key})) AS {name} WHERE (row * {n}) / rows < {n} AND (row * {n}) / rows"
            " > ((row - 1) * {n}) / rows ORDER BY {key}"
        ).format(
            texts=texts,
            key=key,
            name=sql.Identifier(table.name),
            keys=sql.SQL("(SELECT {} FROM {}{}) AS {}").format(
                sql.SQL(", ").join(column.identifier for column in table.key),
                table.identifier,
                _sample(session, table),
                sql.Identifier(table.name),
            ),
            n=sql.Literal(at_most),
        )
    ).fetchall()
    return [list(row) for row in rows]


def _sample(session: Session, table: Table) -> sql.Composable:
    if table.kind not in ("r", "m"):
        return sql.SQL("")
    row = session.execute("SELECT pg_relation_size(%s::oid::regclass, 'main') / 8192", [table.oid]).fetchone()
    pages = int(row[0] or 0) if row else 0
    if pages <= SMALL_PAGES:
        return sql.SQL("")
    # repeatable, so that a plan made again of an unchanged table is the same plan
    return sql.SQL(" TABLESAMPLE SYSTEM ({}) REPEATABLE (0)").format(sql.Literal(100 * SAMPLED_PAGES / pages))
