"""From the catalog to a Table: parsed from its rows, never from the text of a definition."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.limits import KINDS
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.pgvector.schema.layout import Roles, roles_of
from vecmig.connectors.pgvector.schema.names import MARK, parse_table, search_column
from vecmig.connectors.pgvector.schema.table import Column, ScalarIndex, Table, Vector, VectorIndex
from vecmig.errors import CollectionNotFound, ConnectorError
from vecmig.model.collection import Index, Metric, VectorField

METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "dot", "l2": "l2", "l1": "l1"}
OPCLASSES = {metric: short for short, metric in METRICS.items()}
DEFAULTS = {"hnsw": {"m": "16", "ef_construction": "64"}, "ivfflat": {"lists": "100"}}  # pgvector's own

_TABLE = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, obj_description(c.oid, 'pg_class')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = %s AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
      AND CASE WHEN %s::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = %s::text END
"""
_COLUMNS = """
    SELECT a.attname, b.typname, n.nspname, b.oid, (t.typelem <> 0 AND t.typlen = -1), a.attnotnull,
           a.attgenerated <> '', a.atttypmod, col_description(a.attrelid, a.attnum),
           b.typname IN ('citext', 'bpchar') OR NOT coalesce(l.collisdeterministic, true)
    FROM pg_attribute a
    JOIN pg_type d ON d.oid = a.atttypid
    JOIN pg_type t ON t.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END
    JOIN pg_type b ON b.oid = CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END
    JOIN pg_namespace n ON n.oid = b.typnamespace
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
# A deferred constraint does not hold within a transaction, and a partial index not for all rows.
_INDEXES = """
    SELECT c.relname, m.amname, o.opcname, c.reloptions, i.indisvalid,
           i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL,
           i.indpred IS NULL AND i.indexprs IS NULL,
           ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, place)
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam
    JOIN pg_opclass o ON o.oid = i.indclass[0]
    WHERE i.indrelid = %s
    ORDER BY i.indisprimary DESC, c.relname
"""


def find(session: Session, options: PgvectorOptions, collection: str) -> Table | None:
    """Return the table as it is now, or None where there is none. Raises ConnectorError if it cannot be one's."""
    try:
        name = parse_table(collection)
    except ValueError as error:
        raise ConnectorError(str(error)) from error
    found = session.execute(_TABLE, [name.name, name.schema, name.schema]).fetchone()
    if found is None:
        return None
    oid, schema, relation, kind, comment = found
    columns = [Column(*row) for row in session.execute(_COLUMNS, [oid]).fetchall()]
    mark = comment if comment and comment.startswith(MARK) else None
    indexes = session.execute(_INDEXES, [oid]).fetchall()
    unique = [tuple(names) for *_, is_unique, _, names in indexes if is_unique]
    primary = unique[0] if unique else ()
    roles = roles_of(columns, options.columns, mark is not None, primary, collection)
    vector_indexes = tuple(_vector_index(row) for row in indexes if row[1] in DEFAULTS and row[6])
    extension = session.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).fetchone()
    identifier = sql.Identifier(schema, relation)
    generated = {column.name for column in columns if column.generated and column.type == "tsvector"}
    return Table(
        collection=collection,
        schema=schema,
        name=relation,
        oid=oid,
        kind=kind,
        mark=mark,
        id=roles.id,
        namespace=roles.namespace,
        vectors=tuple(
            Vector(column, _vector_field(session, identifier, name, column, vector_indexes))
            for name, column in roles.vectors
        ),
        document=roles.document,
        fields=roles.fields,
        searched=_searched(roles, generated),
        left_out=roles.left_out,
        keys=tuple(unique),
        vector_indexes=vector_indexes,
        scalar_indexes=tuple(
            ScalarIndex(name, names[0], method, valid)
            for name, method, _, _, valid, _, plain, names in indexes
            if plain and len(names) == 1 and method in ("btree", "gin")
        ),
        extension_schema=extension[0] if extension else "public",
    )


def require(session: Session, options: PgvectorOptions, collection: str) -> Table:
    """Return the table. Raises CollectionNotFound."""
    table = find(session, options, collection)
    if table is None:
        raise CollectionNotFound(
            f"there is no table {collection} in database {session.info.dbname}, or not on the search path:"
            " check `table` and the schema"
        )
    return table


def _searched(roles: Roles, generated: set[str]) -> tuple[str, ...]:
    return tuple(field.name for field in roles.fields if search_column(field.name) in generated)


def _vector_index(row: Sequence[Any]) -> VectorIndex:
    name, method, opclass, options, valid, _, _, names = row
    given = dict(each.split("=", 1) for each in options or ())
    return VectorIndex(name, names[0], method, opclass, tuple(sorted((DEFAULTS[method] | given).items())), valid)


def _vector_field(
    session: Session, table: sql.Identifier, name: str, column: Column, indexes: Sequence[VectorIndex]
) -> VectorField:
    """Return what is known of a vector. Its metric is in vecmig's comment, or is that of an index.

    A table that vecmig did not make and that has no index does not tell its metric: cosine then, the most usual one.
    """
    metric = next((each for each in OPCLASSES if column.comment == metric_comment(each)), None)
    index = None
    for each in indexes:
        known = metric_of(each)
        if each.column == column.name and each.valid and known is not None and metric in (None, known):
            metric, index = known, _settings(each)
            break
    kind = "float32" if column.array else KINDS[column.type]
    dimensions = column.modifier if not column.array else -1
    if dimensions < 0:
        dimensions = _first_dimensions(session, table, column)
    return VectorField(name, dimensions, metric or "cosine", kind, index or Index("flat"))


def metric_of(index: VectorIndex) -> Metric | None:
    """Return the metric of an operator class such as `halfvec_cosine_ops`, or None where it is none of ours."""
    return METRICS.get(index.opclass.removesuffix("_ops").rpartition("_")[2])


def metric_comment(metric: Metric) -> str:
    """Return the comment of a vector column that keeps its metric until the index is built."""
    return f"vecmig: {metric}"


def _settings(index: VectorIndex) -> Index:
    given = {name: int(value) for name, value in index.options}
    return Index(index.method, given.get("m"), given.get("ef_construction"), lists=given.get("lists"))


def _first_dimensions(session: Session, table: sql.Identifier, column: Column) -> int:
    """Return the dimensions of one vector, for a column whose type does not say them; 0 where it is empty or sparse."""
    if column.type == "sparsevec":
        return 0
    measure = sql.SQL("cardinality({})" if column.array else "vector_dims({})").format(column.identifier)
    row = session.execute(
        sql.SQL("SELECT {} FROM {} WHERE {} IS NOT NULL LIMIT 1").format(measure, table, column.identifier)
    ).fetchone()
    return int(row[0]) if row else 0
