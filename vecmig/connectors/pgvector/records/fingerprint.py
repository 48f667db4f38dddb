"""A value that changes when the data does, without reading a vector."""

from psycopg import sql

from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.records.expressions import namespace_text
from vecmig.connectors.pgvector.schema.table import Table
from vecmig.model.plan import Fingerprint
from vecmig.protocols import Counts

# Where a row stands, and the transaction that wrote it: any insert, update or delete changes the sum. A rewrite such
# as VACUUM FULL does, too: then the data is compared though it is the same.
_ROWS = "SELECT count(*), coalesce(sum(hash_record_extended(ROW(tableoid, ctid, xmin), 0)), 0)::text FROM {}"
# A column that was added with a default changes records, but no row version.
_COLUMNS = """
    SELECT md5(string_agg(concat_ws(' ', attname, atttypid, atttypmod, attisdropped, attmissingval::text), ',' ORDER BY attnum))
    FROM pg_attribute WHERE attrelid = %s AND attnum > 0
"""


def fingerprint(session: Session, table: Table) -> Fingerprint:
    """Return the row versions' fingerprint; for a view or foreign table, which has none, the counts."""
    if not has_versions(session, table):
        counts = sorted(count(session, table).items())
        return Fingerprint(f"{table.oid}:{counts}", "counts")
    rows = session.execute(sql.SQL(_ROWS).format(table.identifier)).fetchone()
    columns = session.execute(_COLUMNS, [table.oid]).fetchone()
    assert rows is not None
    assert columns is not None
    return Fingerprint(f"{table.oid}:{rows[0]}:{rows[1]}:{columns[0]}", "exact")


def has_versions(session: Session, table: Table) -> bool:
    """Return whether rows have versions: not in a view, nor where a partition is a table of another server."""
    if table.kind != "p":
        return table.kind in ("r", "m")
    row = session.execute(
        "SELECT bool_and(c.relkind IN ('r', 'p')) FROM pg_partition_tree(%s::oid::regclass) t JOIN pg_class c ON c.oid = t.relid",
        [table.oid],
    ).fetchone()
    return bool(row and row[0])


def count(session: Session, table: Table) -> Counts:
    """Return the records of each namespace."""
    query = sql.SQL("SELECT {} AS each, count(*) FROM {} GROUP BY 1").format(namespace_text(table), table.identifier)
    return {namespace: n for namespace, n in session.execute(query).fetchall() if n}
