"""Writing: one binary COPY straight into the table, an upsert where records are there already, a search for bad ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import errors, sql

from vecmig.connectors.pgvector.client.errors import OF_A_RECORD, refusal
from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.records import encode
from vecmig.connectors.pgvector.records.columns import Rows, encoded, spread
from vecmig.connectors.pgvector.records.decode import TRAILER
from vecmig.connectors.pgvector.records.expressions import with_parameters
from vecmig.connectors.pgvector.records.keys import matching
from vecmig.connectors.pgvector.records.validate import problems
from vecmig.connectors.pgvector.schema.table import Table
from vecmig.model.batch import Key, RecordBatch, Rejected

STAGING = sql.Identifier("vecmig staging")
DELETED_AT_ONCE = 10_000
BLOCK_BYTES = 1 << 20


@dataclass(slots=True)
class Memory:
    """Tables whose last batch met records that were there: the next one does not try a plain COPY first."""

    meets_records: set[int] = field(default_factory=set)


def upsert(session: Session, table: Table, batch: RecordBatch, memory: Memory) -> list[Rejected]:
    """Store the records, whole or not at all; return those that the table cannot hold."""
    reasons = problems(table, batch)
    good = [row for row in range(len(batch)) if row not in reasons]
    # what is not valid is taken out first, so that spread and encoding meet only what they can do
    rows, unfit = spread(table, batch.take(good) if reasons else batch)
    if unfit:
        reasons |= {good[row]: reason for row, reason in unfit.items()}
        rows, _ = spread(table, batch.take([row for row in good if row not in reasons]))
    rejected = [Rejected(batch.keys[row], reason) for row, reason in sorted(reasons.items())]
    return rejected + (_store(session, rows, memory) if len(rows) else [])


def _store(session: Session, rows: Rows, memory: Memory) -> list[Rejected]:
    """Store valid records; where the server refuses, halve them until the ones that it refuses are alone."""
    table = rows.table
    try:
        if table.oid not in memory.meets_records:
            try:
                with session.transaction():
                    _copy(session, table.identifier, rows)
                return []
            except errors.UniqueViolation:
                memory.meets_records.add(table.oid)
        with session.transaction():
            if _merge(session, rows) == len(rows):
                memory.meets_records.discard(table.oid)  # all were new: a plain COPY will do
        return []
    except OF_A_RECORD as error:
        if len(rows) == 1:
            return [Rejected(rows.batch.keys[0], refusal(error))]
    half = len(rows) // 2
    halves = (rows.slice(0, half), rows.slice(half, len(rows) - half))
    return [refused for part in halves for refused in _store(session, part, memory)]


def _copy(session: Session, into: sql.Composable, rows: Rows) -> None:
    """Send the records block by block: while the server stores one, the next is encoded."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(into, _names(rows))
    step = max(1, len(rows) * BLOCK_BYTES // max(rows.batch.nbytes, 1))
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encode.HEADER)
        for start in range(0, len(rows), step):
            copy.write(encode.copy_rows(encoded(rows.slice(start, min(step, len(rows) - start)))))
        copy.write(TRAILER)


def _merge(session: Session, rows: Rows) -> int:
    """Upsert through a temporary table; return how many records were new."""
    table = rows.table
    key = [column.name for column in (*((table.namespace,) if table.namespace else ()), *table.id)]
    rest = [name for name in rows.names if name not in key]
    session.execute(
        sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            STAGING, _names(rows), table.identifier
        )
    )
    _copy(session, STAGING, rows)
    action: sql.Composable = sql.SQL("DO NOTHING")
    if rest:
        assignments = (sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest)
        action = sql.SQL("DO UPDATE SET {}").format(sql.SQL(", ").join(assignments))
    done = session.execute(
        # a row that was there before has the transaction that locked it in xmax
        sql.SQL(
            "WITH done AS (INSERT INTO {table} AS t ({names}) SELECT {names} FROM {staging} ON CONFLICT ({key}) {action}"
            " RETURNING t.xmax = 0 AS new) SELECT count(*) FILTER (WHERE new) FROM done"
        ).format(
            table=table.identifier,
            names=_names(rows),
            staging=STAGING,
            key=sql.SQL(", ").join(map(sql.Identifier, key)),
            action=action,
        )
    ).fetchone()
    return int(done[0]) if done else 0


def delete(session: Session, table: Table, keys: Sequence[Key]) -> None:
    """Delete the records that exist."""
    for start in range(0, len(keys), DELETED_AT_ONCE):
        found = matching(table, keys[start : start + DELETED_AT_ONCE])
        statement = sql.SQL("DELETE FROM {} AS t USING {} WHERE {}").format(
            table.identifier, found.rows, found.condition
        )
        session.execute(with_parameters(statement, session), found.parameters)


def _names(rows: Rows) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, rows.names))
