"""One table takes the place of another: renamed in one transaction, after what depends on it was looked for."""

from psycopg import errors, sql

from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.schema.dependents import dependents
from vecmig.connectors.pgvector.schema.describe import find
from vecmig.connectors.pgvector.schema.names import index_name, is_own_index, parse_table, renamed
from vecmig.connectors.pgvector.schema.table import ScalarIndex, Table, VectorIndex
from vecmig.errors import CollectionConflict, CollectionNotFound, TransientError, UnsupportedError

LOCK_S = 3  # a search that takes longer is waited for again; while it is, new ones queue behind it

_OBJECTS = """
    SELECT 'INDEX', i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %(oid)s
    UNION ALL SELECT 'CONSTRAINT', conname FROM pg_constraint WHERE conrelid = %(oid)s AND conindid = 0
    UNION ALL SELECT 'SEQUENCE', s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s
    ORDER BY 1, 2
"""
_TAKEN = """
    SELECT CASE %(kind)s
               WHEN 'CONSTRAINT' THEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = %(oid)s AND conname = %(name)s)
               ELSE EXISTS (SELECT FROM pg_class WHERE relnamespace = %(schema)s::regnamespace AND relname = %(name)s)
           END
"""
# All that is granted on a table and, where the other one has them, on its columns; an owner's rights, too.
_GRANTS = """
    SELECT a.privilege_type, NULL, pg_get_userbyid(nullif(a.grantee, 0)), a.is_grantable
    FROM pg_class new, pg_class old, aclexplode(coalesce(old.relacl, acldefault('r', old.relowner))) a
    WHERE new.oid = %(new)s AND old.oid = %(old)s AND a.grantee <> new.relowner
    UNION ALL
    SELECT a.privilege_type, old.attname, pg_get_userbyid(nullif(a.grantee, 0)), a.is_grantable
    FROM pg_attribute old JOIN pg_attribute new ON new.attname = old.attname AND new.attrelid = %(new)s,
         aclexplode(old.attacl) a
    WHERE old.attrelid = %(old)s AND NOT old.attisdropped
"""


def switch(session: Session, options: PgvectorOptions, serving: str, build: str, kept: str) -> None:
    """Rename the tables and what is named after them, as `Target.switch` says.

    In one transaction, so that a kill leaves all or nothing. The build gets the rights that roles have on what serves,
    so that an application still may read; and what serves keeps its own. Views and the like stay with the table that
    they were made for, so that one which depends on what serves is an UnsupportedError. A client's prepared statement
    follows the name, but for one that selects a column whose type changed, such as a vector of other dimensions: it
    fails ("cached plan must not change result type") until the client prepares it anew.
    """
    try:
        with session.transaction():
            # a role's own default may be a level that goes on seeing the catalog as it was before the locks
            session.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            session.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{LOCK_S}s")))
            _switch(session, options, serving, build, kept)
    except errors.LockNotAvailable as error:
        raise TransientError(
            f"table {serving} or {build} is in use: a query or a transaction has held it for {LOCK_S} s, so nothing was"
            " switched. Run it again, or end what holds it (pg_stat_activity shows it)"
        ) from error


def _switch(session: Session, options: PgvectorOptions, serving: str, build: str, kept: str) -> None:
    old, new = _looked_up(session, options, serving, build, kept)
    if new is None:
        return
    _lock(session, new)  # nobody reads it: so that what serves is held the shortest
    if old is not None:
        _lock(session, old)
    again = _looked_up(session, options, serving, build, kept)
    if [table and table.oid for table in again] != [table and table.oid for table in (old, new)]:
        raise TransientError(
            f"table {serving} or {build} was replaced meanwhile, so nothing was switched: run it again"
        )
    schema = new.schema
    if old is not None:
        schema = old.schema  # not the build's own where both are found on the search path
        _grant(session, old, new)
        _rename(session, options, old, old.schema, parse_table(kept).name)
    _rename(session, options, new, schema, parse_table(serving).name)


def _looked_up(
    session: Session, options: PgvectorOptions, serving: str, build: str, kept: str
) -> tuple[Table | None, Table | None]:
    """Return what serves, and the build: None where all is done. Raises where they may not be switched."""
    old, new, before = (find(session, options, name) for name in (serving, build, kept))
    if new is None:
        if old is None or before is None:
            raise CollectionNotFound(f"there is no table {build} to switch to: run `vecmig apply`, which builds it")
        return old, None
    if before is not None:
        raise CollectionConflict(f"table {kept} is there, so what serves cannot get that name: drop it first")
    for table in (old, new):
        if table is not None and table.mark is None:
            raise CollectionConflict(
                f"table {table.collection} was not made by vecmig, so it is not renamed: rename {serving} to {kept} and"
                f" {build} to {serving} by hand, in one transaction, or let the application read {build}"
            )
    if old is not None and (found := _held(session, old, serving, build)):
        raise UnsupportedError(found)
    return old, new


def hindrance(session: Session, options: PgvectorOptions, serving: str, build: str) -> str:
    """Return why what serves would not be switched, as `Target.hindrance` says."""
    old = find(session, options, serving)
    if old is None:
        return ""
    return _unmarked(old, serving, build) or _held(session, old, serving, build)


def _unmarked(table: Table, serving: str, build: str) -> str:
    if table.mark is not None:
        return ""
    return (
        f"table {table.collection} was not made by vecmig, so it is not renamed: rename {serving} out of the way and"
        f" {build} to {serving} by hand, in one transaction, or let the application read {build}"
    )


def _held(session: Session, old: Table, serving: str, build: str) -> str:
    found = dependents(session, old)
    if not found:
        return ""
    return (
        f"table {serving} cannot be switched while something depends on it: {'; '.join(found)}. It would stay with the"
        f" old table: drop it, switch, and make it anew on the new one; or let the application read {build} by that name"
    )


def _lock(session: Session, table: Table) -> None:
    session.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table.identifier))


def _grant(session: Session, old: Table, new: Table) -> None:
    for privilege, column, role, grantable in session.execute(_GRANTS, {"old": old.oid, "new": new.oid}).fetchall():
        session.execute(
            sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                sql.SQL(privilege),
                sql.SQL("" if column is None else " ({})").format(sql.Identifier(column or "")),
                new.identifier,
                sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
        )


def _rename(session: Session, options: PgvectorOptions, table: Table, schema: str, name: str) -> None:
    """Rename a table and, as far as their names are free, its indexes, constraints and sequences."""
    if table.schema != schema:
        session.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table.identifier, sql.Identifier(schema)))
    place = sql.Identifier(schema, table.name)
    indexes: list[VectorIndex | ScalarIndex] = [*table.vector_indexes, *table.scalar_indexes]
    own = {each.name: each.definition for each in indexes if is_own_index(each.name, each.definition)}
    for kind, old in session.execute(_OBJECTS, {"oid": table.oid}).fetchall():
        # by the words that vecmig itself would name it with, so that the next build finds it
        wanted = index_name(name, own[old]) if kind == "INDEX" and old in own else renamed(old, table.name, name)
        asked = {"kind": kind, "oid": table.oid, "schema": sql.Identifier(schema).as_string(session), "name": wanted}
        if session.execute(_TAKEN, asked).fetchone() != (False,):
            continue  # its old name does not hinder: it is known by what it is
        if kind == "CONSTRAINT":
            what = sql.SQL("TABLE {} RENAME CONSTRAINT {}").format(place, sql.Identifier(old))
        else:  # with an index its constraint is renamed, too
            what = sql.SQL(kind + " {} RENAME").format(sql.Identifier(schema, old))
        session.execute(sql.SQL("ALTER {} TO {}").format(what, sql.Identifier(wanted)))
    session.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(place, sql.Identifier(name)))
