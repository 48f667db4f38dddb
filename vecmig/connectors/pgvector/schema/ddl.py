"""Making a table, and removing it."""

from collections.abc import Iterator

from psycopg import errors, sql

from vecmig.connectors.pgvector.client.errors import EXTENSION_WAY_OUT, message
from vecmig.connectors.pgvector.client.session import Session
from vecmig.connectors.pgvector.limits import TYPES
from vecmig.connectors.pgvector.options import Columns, PgvectorOptions
from vecmig.connectors.pgvector.schema.describe import find, metric_comment
from vecmig.connectors.pgvector.schema.names import CREATED_AT, parse_table, search_column, vector_column
from vecmig.errors import CollectionConflict, ConnectorError
from vecmig.model.collection import Collection, Field, FieldType, VectorField

SQL_TYPES: dict[FieldType, str] = {
    "text": "text",
    "int": "bigint",
    "float": "double precision",
    "bool": "boolean",
    "datetime": "timestamptz",
}
SQL_TYPES |= {"text[]": "text[]", "int[]": "bigint[]", "float[]": "double precision[]"}
SQL_TYPES |= {"bool[]": "boolean[]", "datetime[]": "timestamptz[]"}
SEARCHED_CHARACTERS = 250_000  # of a text: a tsvector ends at 1 MB, and a long text must not be lost for that
IF_NEW = (errors.DuplicateTable, errors.UniqueViolation, errors.DuplicateObject)  # another process was faster


def create(session: Session, options: PgvectorOptions, collection: Collection) -> None:
    """Make the table, unless one that agrees is there. Raises CollectionConflict if one differs."""
    ensure_extension(session)
    try:
        with session.transaction():
            if _exists(session, options, collection):
                return
            for statement in _statements(session, options, collection):
                session.execute(statement)
    except IF_NEW:
        if not _exists(session, options, collection):
            raise
    except errors.InvalidSchemaName as error:
        raise ConnectorError(f"{message(error)}: run `CREATE SCHEMA`, or name another schema in `table`") from error


def ensure_extension(session: Session) -> None:
    """Install pgvector into the database, if it is not. Raises ConnectorError with the way out."""
    if session.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        return
    try:
        session.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except IF_NEW:
        return
    except (errors.InsufficientPrivilege, errors.UndefinedFile, errors.FeatureNotSupported) as error:
        raise ConnectorError(
            f"the extension `vector` is not installed in database {session.info.dbname}, and role {session.info.user}"
            f" cannot install it ({message(error)}): {EXTENSION_WAY_OUT}"
        ) from error


def drop(session: Session, options: PgvectorOptions, collection: str) -> None:
    """Remove the table, if it is there. Raises CollectionConflict for one that is not vecmig's."""
    table = find(session, options, collection)
    if table is None:
        return
    if table.mark is None:
        raise CollectionConflict(
            f"table {collection} was not made by vecmig, so it stays: drop it by hand if it should go"
        )
    session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table.identifier))


def _exists(session: Session, options: PgvectorOptions, collection: Collection) -> bool:
    table = find(session, options, collection.name)
    if table is None:
        return False
    actual = table.declaration
    if not collection.agrees_with(actual):
        raise CollectionConflict(f"table {collection.name} exists and differs: {_difference(collection, actual)}")
    return True


def _difference(declared: Collection, actual: Collection) -> str:
    if declared.mark not in (None, actual.mark):
        made = f"its mark is {actual.mark!r}, not {declared.mark!r}" if actual.mark else "vecmig did not make it"
        return f"{made}; choose another table, or adopt it with `adopt: true`"
    vectors = [{v.name: f"{v.kind}[{v.dimensions}] {v.metric}" for v in each.vectors} for each in (declared, actual)]
    if vectors[0] != vectors[1]:
        return f"its vectors are {vectors[1]}, not {vectors[0]}; choose another table"
    types = {field.name: field.type for field in actual.fields}
    missing = [f"{f.name} {f.type}" for f in declared.fields if types.get(f.name) != f.type]
    return f"it lacks the columns {', '.join(missing)}; choose another table, or leave these fields in the metadata"


def _statements(session: Session, options: PgvectorOptions, collection: Collection) -> Iterator[sql.Composed]:
    name = parse_table(collection.name)
    table = sql.Identifier(name.schema, name.name) if name.schema else sql.Identifier(name.name)
    given = options.columns or Columns()
    if given.id and not isinstance(given.id, str):
        raise ConnectorError(
            f"table {collection.name} is to be made, and its id is one column: name one in `columns.id`"
        )
    if given.metadata is not None and not isinstance(given.metadata, str):
        raise ConnectorError(f"table {collection.name} is to be made: name one column in `columns.metadata`")
    id = given.id if isinstance(given.id, str) else "id"
    names = [given.namespace or "namespace", id]
    key = sql.SQL(", ").join([sql.Identifier(each) for each in names])
    vectors = {vector.name: _vector_identifier(vector, given) for vector in collection.vectors}
    columns = [sql.SQL('{} text COLLATE "C" NOT NULL').format(sql.Identifier(each)) for each in names]
    columns += [_vector(session, vector, vectors[vector.name]) for vector in collection.vectors]
    columns.append(sql.SQL("{} jsonb NOT NULL DEFAULT '{{}}'").format(sql.Identifier(given.metadata or "metadata")))
    columns += [_field(field) for field in collection.fields]
    columns += [_search(field, options.text_search) for field in collection.fields if field.search]
    columns.append(sql.SQL("{} timestamptz NOT NULL DEFAULT now()").format(sql.Identifier(CREATED_AT)))
    columns.append(sql.SQL("PRIMARY KEY ({})").format(key))
    yield sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(columns))
    if collection.mark is not None:
        yield sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(collection.mark))
    for vector in collection.vectors:
        yield sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
            table, vectors[vector.name], sql.Literal(metric_comment(vector.metric))
        )


def _vector_identifier(vector: VectorField, given: Columns) -> sql.Identifier:
    named = {"": given.vector} if isinstance(given.vector, str) else given.vector or {}
    return sql.Identifier(named.get(vector.name, vector_column(vector.name)))


def _vector(session: Session, vector: VectorField, column: sql.Identifier) -> sql.Composed:
    found = session.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).fetchone()
    type_ = sql.Identifier(found[0] if found else "public", TYPES[vector.kind])
    if not vector.dimensions:  # a sparse source that has none
        return sql.SQL("{} {}").format(column, type_)
    return sql.SQL("{} {}({})").format(column, type_, sql.Literal(vector.dimensions))


def _field(field: Field) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(SQL_TYPES[field.type]))


def _search(field: Field, configuration: str) -> sql.Composed:
    return sql.SQL(
        "{} tsvector GENERATED ALWAYS AS (to_tsvector({}::regconfig, left(coalesce({}, ''), {}))) STORED"
    ).format(
        sql.Identifier(search_column(field.name)),
        sql.Literal(configuration),
        sql.Identifier(field.name),
        sql.Literal(SEARCHED_CHARACTERS),
    )
