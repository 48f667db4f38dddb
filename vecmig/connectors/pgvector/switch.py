"""One table takes the place of another: renamed in one transaction, after what depends on it was looked for."""

from psycopg import errors, sql

from vecmig.connectors.pgvector.describe import find, require
from vecmig.connectors.pgvector.names import index_name, is_own_index, parse_table
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.session import Session
from vecmig.connectors.pgvector.table import ScalarIndex, Table, VectorIndex
from vecmig.errors import CollectionConflict, CollectionNotFound, TransientError, UnsupportedError

LOCK_S = 3  # a search that takes longer is waited for again; while it is, new ones queue behind it

# What names a table by its identity, so that a rename leaves it at the old one: kind, and what it is.
_DEPENDENTS = """
    SELECT DISTINCT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || c.oid::regclass::text
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = %(oid)s AND c.oid <> %(oid)s
    UNION ALL SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass::text
    FROM pg_constraint WHERE contype = 'f' AND confrelid = %(oid)s
    UNION ALL SELECT 'foreign key ' || conname FROM pg_constraint WHERE contype = 'f' AND conrelid = %(oid)s
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = %(oid)s AND NOT tgisinternal
    UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = %(oid)s
    UNION ALL SELECT 'publication ' || p.pubname
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = %(oid)s
    UNION ALL SELECT 'child table ' || inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %(oid)s
    UNION ALL SELECT 'function ' || d.objid::regprocedure::text FROM pg_depend d
    WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s
    ORDER BY 1
"""
_INDEXES = """
    SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %s ORDER BY 1
"""
_GRANTS = """
    SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.is_grantable
    FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = %s AND a.grantee <> c.relowner
"""


def switch(session: Session, options: PgvectorOptions, serving: str, build: str, kept: str) -> None:
    """Rename the tables and their indexes, as `Target.switch` says; roles that may use what served may use the build.

    In one transaction, so that a kill leaves all or nothing. Views and the like stay with the table that they were made
    for, so that one which depends on what serves is an UnsupportedError.
    """
    try:
        with session.transaction():
            session.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_S}s")))
            _switch(session, options, serving, build, kept)
    except errors.LockNotAvailable as error:
        raise TransientError(
            f"table {serving} is in use: a query or a transaction has held it for {LOCK_S} s, so nothing was switched"
        ) from error


def _switch(session: Session, options: PgvectorOptions, serving: str, build: str, kept: str) -> None:
    new, old, before = (find(session, options, name) for name in (build, serving, kept))
    if new is None:
        if old is not None and before is not None:
            return  # done before
        raise CollectionNotFound(f"there is no table {build} to switch to")
    if before is not None:
        raise CollectionConflict(f"table {kept} is there, so what serves cannot get that name: drop it first")
    tables = [table for table in (old, new) if table is not None]
    for table in tables:
        if table.mark is None:
            raise CollectionConflict(f"table {table.collection} was not made by vecmig, so it is not renamed")
    locked = sql.SQL(", ").join(table.identifier for table in sorted(tables, key=lambda table: table.oid))
    session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(locked))
    if old is not None:
        _check_free(session, old)
        _grant(session, old, new)
        _rename(session, old, parse_table(kept).name)
    _rename(session, require(session, options, build), parse_table(serving).name)


def _check_free(session: Session, table: Table) -> None:
    found = [row[0] for row in session.execute(_DEPENDENTS, {"oid": table.oid}).fetchall()]
    if found:
        raise UnsupportedError(
            f"table {table.collection} cannot be switched while something depends on it: {', '.join(found)}. That would"
            " stay with the old table: remove it, switch, and make it anew; or let it read by the name that you query"
        )


def _grant(session: Session, old: Table, new: Table) -> None:
    for privilege, role, grantable in session.execute(_GRANTS, [old.oid]).fetchall():
        session.execute(
            sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                new.identifier,
                sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
        )


def _rename(session: Session, table: Table, name: str) -> None:
    """Rename a table, and its indexes as vecmig calls those of a table with the new name."""
    indexes: list[VectorIndex | ScalarIndex] = [*table.vector_indexes, *table.scalar_indexes]
    own = {index.name: index.definition for index in indexes}
    for (index,) in session.execute(_INDEXES, [table.oid]).fetchall():
        if index in own and is_own_index(index, own[index]):
            wanted = index_name(name, own[index])
        elif index.startswith(table.name):
            wanted = (name + index[len(table.name) :])[:63]
        else:
            continue
        if wanted == index:
            continue
        what = sql.SQL("ALTER INDEX {} RENAME TO {}").format(
            sql.Identifier(table.schema, index), sql.Identifier(wanted)
        )  # the constraint that it belongs to is renamed with it
        session.execute(what)
    session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(table.identifier, sql.Identifier(name)))
