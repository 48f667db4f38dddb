"""What `vecmig doctor` looks at: versions, rights, memory."""

from collections.abc import Iterator

from vecmig.connectors.pgvector.client.errors import EXTENSION_WAY_OUT, translated
from vecmig.connectors.pgvector.client.session import Session, Sessions, endpoint
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.schema.describe import find
from vecmig.connectors.pgvector.schema.names import parse_table
from vecmig.errors import VecmigError

MIN_SERVER = 140_000
MIN_EXTENSION = (0, 8)
Check = tuple[str, bool, str]


def diagnose(options: PgvectorOptions) -> Iterator[Check]:
    """Yield checks; a failure to connect is one, too."""
    sessions = Sessions(options)
    try:
        if not sessions.there:
            yield "connection", True, f"{endpoint(options)}: no PostgreSQL yet, the first apply into it makes one"
            return
        with sessions.reading(options.table) as session, translated(sessions.where(options.table)):
            yield "connection", True, f"{endpoint(options)} as {session.info.user}"
            yield from _versions(session)
            yield from _rights(session, options)
            yield from _memory(session)
    except VecmigError as error:
        yield "connection", False, str(error)
    finally:
        sessions.close()


def _versions(session: Session) -> Iterator[Check]:
    number = session.info.server_version
    shown = f"{number // 10_000}.{number % 10_000}"
    yield (
        "PostgreSQL",
        number >= MIN_SERVER,
        shown if number >= MIN_SERVER else f"{shown}: version 14 or newer is needed",
    )
    row = session.execute(
        "SELECT e.extversion, a.default_version FROM pg_available_extensions a"
        " LEFT JOIN pg_extension e ON e.extname = a.name WHERE a.name = 'vector'"
    ).fetchone()
    installed, available = row if row else (None, None)
    if installed:
        known = tuple(int(part) for part in installed.split(".")[:2])
        well = known >= MIN_EXTENSION
        yield (
            "pgvector",
            well,
            installed if well else f"{installed}: run `ALTER EXTENSION vector UPDATE` (0.8 or newer)",
        )
    elif available:
        trusted = session.execute(
            "SELECT bool_or(superuser AND NOT trusted) FROM pg_available_extension_versions WHERE name = 'vector'"
        ).fetchone()
        superuser = session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        may = bool(superuser and superuser[0]) or not (trusted and trusted[0])
        yield "pgvector", may, f"{available}, installed by the first apply" if may else EXTENSION_WAY_OUT
    else:
        yield (
            "pgvector",
            False,
            "not on the server: install it there (https://github.com/pgvector/pgvector#installation)",
        )


def _rights(session: Session, options: PgvectorOptions) -> Iterator[Check]:
    table = find(session, options, options.table)
    if table is not None:
        may = session.execute(
            "SELECT has_table_privilege(%(oid)s::oid, 'SELECT'), has_table_privilege(%(oid)s::oid, 'INSERT, UPDATE, DELETE'),"
            " pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %(oid)s::oid",
            {"oid": table.oid},
        ).fetchone()
        reads, writes, owns = may or (False, False, False)
        yield "read the table", reads, "yes" if reads else f"no: GRANT SELECT ON {options.table}"
        rights = f"write {'yes' if writes else 'no'}, build indexes {'yes' if owns else 'no (only its owner may)'}"
        yield "as a target", True, rights + ("" if table.mark else "; vecmig did not make it")
        return
    schema = parse_table(options.table).schema
    row = session.execute(
        "SELECT n.nspname, has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n"
        " WHERE n.nspname = coalesce(%s, current_schema())",
        [schema],
    ).fetchone()
    if row is None:
        yield "create the table", False, f"there is no schema {schema or 'on the search path'}: run `CREATE SCHEMA`"
    else:
        yield "create the table", row[1], f"in schema {row[0]}" if row[1] else f"GRANT CREATE ON SCHEMA {row[0]}"


def _memory(session: Session) -> Iterator[Check]:
    names = ["maintenance_work_mem", "max_parallel_maintenance_workers", "shared_buffers"]
    settings = session.execute("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [names])
    shown = ", ".join(f"{name} {value}" for name, value in settings.fetchall())
    yield "memory", True, f"{shown}; an index build sets what it needs for itself"
