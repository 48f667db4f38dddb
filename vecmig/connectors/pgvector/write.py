"""Writing: one binary COPY straight into the table, an upsert where records are there already, a search for bad ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import errors, sql

from vecmig.connectors.pgvector import encode
from vecmig.connectors.pgvector.columns import Written, encoded, spread
from vecmig.connectors.pgvector.errors import OF_A_RECORD, message
from vecmig.connectors.pgvector.expressions import with_parameters
from vecmig.connectors.pgvector.keys import matching
from vecmig.connectors.pgvector.session import Session
from vecmig.connectors.pgvector.table import Table
from vecmig.connectors.pgvector.validate import problems
from vecmig.model.batch import Key, RecordBatch, Rejected

STAGING = sql.Identifier("vecmig staging")
DELETED_AT_ONCE = 10_000


@dataclass(slots=True)
class Memory:
    """Tables whose last batch met records that were there: the next one does not try a plain COPY first."""

    meets_records: set[int] = field(default_factory=set)


def upsert(session: Session, table: Table, batch: RecordBatch, memory: Memory) -> list[Rejected]:
    """Store the records, whole or not at all; return those that the table cannot hold."""
    reasons = problems(table, batch)
    good = [row for row in range(len(batch)) if row not in reasons]
    # what is not valid is taken out first, so that spread and encoding meet only what they can do
    rest = batch if not reasons else batch.take(good)
    values, documents, unfit = spread(table, rest)
    if unfit:
        reasons |= {good[row]: reason for row, reason in unfit.items()}
        good = [row for row in good if row not in reasons]
        rest = batch.take(good)
        values, documents, _ = spread(table, rest)
    rejected = [Rejected(batch.keys[row], reason) for row, reason in sorted(reasons.items())]
    if not good:
        return rejected
    return rejected + _store(session, table, rest, memory, encoded(table, rest, values, documents))


def _store(session: Session, table: Table, batch: RecordBatch, memory: Memory, rows: Written) -> list[Rejected]:
    """Store valid records; where the server refuses, halve them until the ones that it refuses are alone."""
    try:
        if table.oid not in memory.meets_records:
            try:
                with session.transaction():
                    _copy(session, table.identifier, rows)
                return []
            except errors.UniqueViolation:
                memory.meets_records.add(table.oid)
        with session.transaction():
            if _merge(session, table, rows) == len(batch):
                memory.meets_records.discard(table.oid)  # all were new: a plain COPY will do
        return []
    except OF_A_RECORD as error:
        if len(batch) == 1:
            return [Rejected(batch.keys[0], f"PostgreSQL refuses it: {message(error)}")]
    half = len(batch) // 2
    halves = (batch.slice(0, half), batch.slice(half))
    return [refused for part in halves for refused in _encode_and_store(session, table, part, memory)]


def _encode_and_store(session: Session, table: Table, batch: RecordBatch, memory: Memory) -> list[Rejected]:
    values, documents, _ = spread(table, batch)
    return _store(session, table, batch, memory, encoded(table, batch, values, documents))


def _copy(session: Session, into: sql.Composable, rows: Written) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(into, _names(rows))
    with session.cursor() as cursor, cursor.copy(statement) as copy:
        for chunk in encode.copy_data(rows.columns):
            copy.write(chunk)


def _merge(session: Session, table: Table, rows: Written) -> int:
    """Upsert through a temporary table; return how many records were new."""
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


def _names(rows: Written) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, rows.names))
