"""Indexes: built after the load, with the memory and workers that they need; replaced without a gap."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from vecmig.connectors.pgvector.client.session import Session, is_local, setting
from vecmig.connectors.pgvector.footprint import default_lists, index_memory
from vecmig.connectors.pgvector.limits import TYPES
from vecmig.connectors.pgvector.schema.describe import DEFAULTS, OPCLASSES, metric_of
from vecmig.connectors.pgvector.schema.names import index_name, is_own_index, search_column
from vecmig.connectors.pgvector.schema.table import ScalarIndex, Table, Vector, VectorIndex
from vecmig.model.collection import Collection, Field, Index, VectorField
from vecmig.protocols import IndexProgress

POLL_S = 0.5
MEMORY_SHARE = 0.4  # of this machine's free memory, or of what a remote server says that it caches in
MAX_WORKERS = 8

_PROGRESS = """
    SELECT phase, tuples_done, tuples_total, blocks_done, blocks_total
    FROM pg_stat_progress_create_index WHERE pid = %s
"""


@dataclass(frozen=True, slots=True)
class Build:
    """An index to be made, and the name that says all that it is."""

    name: str
    statement: sql.Composed  # what stands after CREATE INDEX [CONCURRENTLY] name
    memory_bytes: int = 0


def wanted(table: Table, collection: Collection, rows: int) -> list[Build]:
    """Return the indexes that `collection` declares and the table lacks."""
    builds = [_vector_build(table, vector, _declared(collection, vector), rows) for vector in table.vectors]
    builds += [_scalar_build(table, field) for field in collection.fields if field.filter]
    builds += [_search_build(table, field) for field in collection.fields if field.search]
    return [build for build in builds if build is not None]


def leftovers(table: Table) -> list[str]:
    """Return vecmig's indexes that a build which was broken off left behind: nothing uses them."""
    broken: list[VectorIndex | ScalarIndex] = [*table.vector_indexes, *table.scalar_indexes]
    return [index.name for index in broken if not index.valid and is_own_index(index.name, index.definition)]


def outdated(table: Table, collection: Collection) -> list[str]:
    """Return vecmig's vector indexes that are not what `collection` declares."""
    found = []
    for vector in table.vectors:
        declared = _declared(collection, vector)
        for index in table.vector_indexes:
            mine = index.column == vector.column.name and is_own_index(index.name, index.definition)
            if mine and index.valid and not _serves(index, vector, declared):
                found.append(index.name)
    return found


def is_new(table: Table) -> bool:
    """Return whether nobody searches the table yet, so that a build may lock it: vecmig's own, and without an index."""
    return table.mark is not None and not any(index.valid for index in table.vector_indexes)


def build(worker: Session, watcher: Session, table: Table, build: Build, concurrently: bool) -> Iterator[IndexProgress]:
    """Make one index on connection `worker`, and yield its progress as `watcher` sees it."""
    _prepare(worker, build.memory_bytes)
    statement = sql.SQL("CREATE INDEX {}{} {}").format(
        sql.SQL("CONCURRENTLY " if concurrently else ""), sql.Identifier(build.name), build.statement
    )
    try:
        yield from _watched(worker, watcher, build.name, lambda: worker.execute(statement))
    except errors.DiskFull as error:
        if "shared memory" not in str(error):
            raise
        # a container's /dev/shm is small, and parallel workers share the graph there
        worker.execute("SET max_parallel_maintenance_workers = 0")
        drop_index(worker, table, build.name, concurrently)
        yield from _watched(worker, watcher, build.name, lambda: worker.execute(statement))


def drop_index(session: Session, table: Table, name: str, concurrently: bool) -> None:
    session.execute(
        sql.SQL("DROP INDEX {}IF EXISTS {}").format(
            sql.SQL("CONCURRENTLY " if concurrently else ""), sql.Identifier(table.schema, name)
        )
    )


def analyze(table: Table) -> sql.Composed:
    """Return the statement that lets the planner know the table: without the vectors, which would be read for it."""
    columns = [*table.id, *((table.namespace,) if table.namespace else ()), *table.fields]
    return sql.SQL("ANALYZE {} ({})").format(
        table.identifier, sql.SQL(", ").join(column.identifier for column in columns)
    )


def _declared(collection: Collection, vector: Vector) -> VectorField:
    return next((each for each in collection.vectors if each.name == vector.field.name), vector.field)


def _serves(index: VectorIndex, vector: Vector, declared: VectorField) -> bool:
    """Return whether an index is what is declared: a setting that is not declared is no difference."""
    wanted = declared.index or Index()
    if index.method != wanted.type or metric_of(index) != declared.metric or index.column != vector.column.name:
        return False
    actual = dict(index.options)
    return all(str(value) == actual.get(name) for name, value in _options(wanted).items())


def _options(index: Index) -> dict[str, int]:
    given = {"hnsw": {"m": index.m, "ef_construction": index.ef_construction}, "ivfflat": {"lists": index.lists}}
    return {name: value for name, value in given.get(index.type, {}).items() if value is not None}


def _vector_build(table: Table, vector: Vector, declared: VectorField, rows: int) -> Build | None:
    index = declared.index or Index()
    if index.type == "flat" or any(each.valid and _serves(each, vector, declared) for each in table.vector_indexes):
        return None
    options = {name: str(value) for name, value in _options(index).items()}
    if index.type == "ivfflat":
        options.setdefault("lists", str(default_lists(rows)))
    opclass = f"{TYPES[declared.kind]}_{OPCLASSES[declared.metric]}_ops"
    made = VectorIndex(
        "", vector.column.name, index.type, opclass, tuple(sorted((DEFAULTS[index.type] | options).items())), True
    )
    settings = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(int(value))) for name, value in made.options
    )
    statement = sql.SQL("ON {} USING {} ({} {}) WITH ({})").format(
        table.identifier,
        sql.Identifier(index.type),
        vector.column.identifier,
        sql.Identifier(table.extension_schema, opclass),
        settings,
    )
    memory = index_memory(declared, rows)
    return Build(index_name(table.name, made.definition), statement, memory)


def _scalar_build(table: Table, field: Field) -> Build | None:
    column = next((each for each in table.fields if each.name == field.name), None)
    if column is None:
        return None
    return _plain(table, column.name, "gin" if column.array else "btree")


def _search_build(table: Table, field: Field) -> Build | None:
    return _plain(table, search_column(field.name), "gin") if field.name in table.searched else None


def _plain(table: Table, column: str, method: str) -> Build | None:
    if any(each.valid and each.column == column and each.method == method for each in table.scalar_indexes):
        return None
    made = ScalarIndex("", column, method, True)
    statement = sql.SQL("ON {} USING {} ({})").format(table.identifier, sql.Identifier(method), sql.Identifier(column))
    return Build(index_name(table.name, made.definition), statement)


def _prepare(session: Session, needed: int) -> None:
    """Give the build what it needs: HNSW is about five times slower once its graph leaves `maintenance_work_mem`."""
    default = session.execute(
        "SELECT setting::bigint * 1024 FROM pg_settings WHERE name = 'maintenance_work_mem'"
    ).fetchone()
    least = int(default[0]) if default else 0
    kilobytes = max(least, min(int(needed * 1.1), _affordable(session))) // 1024
    session.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(min(kilobytes, 2**31 - 1))))
    session.execute(sql.SQL("SET max_parallel_maintenance_workers = {}").format(sql.Literal(_workers(session))))
    # its rows are small once the vectors are moved out of them, but their index is not: do not go by the table's size
    session.execute("SET min_parallel_table_scan_size = 0")


def _affordable(session: Session) -> int:
    if is_local(session):
        pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return int(pages * MEMORY_SHARE)
    row = session.execute(
        "SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'effective_cache_size'"
    ).fetchone()
    return int(row[0] * MEMORY_SHARE) if row else 0


def _workers(session: Session) -> int:
    """Return workers beside the leader: the cores that this machine has, or what a remote server was set up for."""
    if is_local(session):
        return max(0, min(MAX_WORKERS, (os.cpu_count() or 1) - 1))
    configured = [int(setting(session, f"max_parallel_{name}workers") or 0) for name in ("", "maintenance_")]
    return max(configured[1], min(MAX_WORKERS, configured[0]) // 2)


def _watched(worker: Session, watcher: Session, name: str, work: Callable[[], object]) -> Iterator[IndexProgress]:
    """Run `work` on connection `worker` in a thread, and yield its progress until it ends; then raise what it raised."""
    raised: list[psycopg.Error] = []

    def run() -> None:
        try:
            work()
        except psycopg.Error as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=f"build {name}", daemon=True)
    pid = worker.info.backend_pid
    thread.start()
    try:
        yield IndexProgress(name, "starting", None)
        while thread.is_alive():
            thread.join(POLL_S)
            row = watcher.execute(_PROGRESS, [pid]).fetchone()
            if row is not None:
                yield _progress(name, row)
    finally:
        if thread.is_alive():  # left early: the build must not go on alone
            worker.cancel_safe()
            thread.join()
    if raised:
        raise raised[0]


def _progress(name: str, row: tuple[Any, ...]) -> IndexProgress:
    phase, done, total, blocks_done, blocks_total = row
    if not total:
        done, total = blocks_done, blocks_total
    return IndexProgress(name, phase, min(1.0, done / total) if total else None)
