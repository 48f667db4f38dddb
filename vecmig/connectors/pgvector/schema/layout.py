"""Which column plays which role: as the spec maps them, else as vecmig or the table's own key has it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vecmig.connectors.pgvector.options import Columns
from vecmig.connectors.pgvector.schema.names import CREATED_AT, search_column, vector_name
from vecmig.connectors.pgvector.schema.table import JSON_TYPES, VECTOR_TYPES, Column
from vecmig.errors import ConnectorError

ALL = ".*"
# What vecmig, LlamaIndex and LangChain call the column that holds the metadata.
DOCUMENTS = ("metadata", "metadata_", "cmetadata", "langchain_metadata")
ARRAYS_OF_NUMBERS = ("float4", "float8")


@dataclass(frozen=True, slots=True)
class Roles:
    id: tuple[Column, ...]
    namespace: Column | None
    vectors: tuple[tuple[str, Column], ...]
    document: Column | None
    fields: tuple[Column, ...]
    left_out: tuple[Column, ...] = ()  # that are none of these, though nobody chose so


def roles_of(
    columns: Sequence[Column], mapping: Columns | None, marked: bool, primary: Sequence[str], collection: str
) -> Roles:
    """Return the roles. `marked`: vecmig made the table; `primary`: columns of its primary key, or a unique index.

    Raises ConnectorError that names a column which is not there, or a role that nothing tells.
    """
    known = {column.name: column for column in columns}

    def column(name: str) -> Column:
        if name not in known:
            raise ConnectorError(f"table {collection} has no column `{name}`; it has {', '.join(known)}")
        return known[name]

    given = mapping or Columns()
    own = marked or (mapping is None and set(primary) == {"namespace", "id"} and "metadata" in known)
    namespace = column(given.namespace) if given.namespace else known.get("namespace") if own else None
    vectors = _vectors(columns, given, own, column)
    id = tuple(column(name) for name in id_names(given, own, primary, namespace))
    if not id:
        raise ConnectorError(
            f"table {collection} has no primary key that tells its records apart: name the column of the id, as in"
            " `columns: {id: doc_id}`"
        )
    taken = {each.name for each in (*id, *(vector for _, vector in vectors))}
    taken |= {namespace.name} if namespace else set()
    rest = [each for each in columns if each.name not in taken]
    document, fields = _metadata(rest, given, own, column)
    left_out = () if marked or given.metadata is not None else _left_out(rest, given, (document, *fields))
    return Roles(id, namespace, vectors, document, fields, left_out)


def _left_out(rest: Sequence[Column], given: Columns, read: Sequence[Column | None]) -> tuple[Column, ...]:
    """Return the columns that no role takes, where the spec chooses none: but those that index the text of a field."""
    indexing = {search_column(each.name) for each in read if each is not None}
    return tuple(
        each
        for each in rest
        if each not in read
        and not (each.generated and each.name in indexing)
        and not (given.vector is not None and each.type in VECTOR_TYPES and not each.array)  # it says which to take
    )


def id_names(given: Columns, own: bool, primary: Sequence[str], namespace: Column | None) -> Sequence[str]:
    """Return the names of the id's columns, () if nothing tells them."""
    if given.id:
        return (given.id,) if isinstance(given.id, str) else given.id
    if own:
        return ("id",)
    return [name for name in primary if namespace is None or name != namespace.name]


def _vectors(
    columns: Sequence[Column], given: Columns, own: bool, column: Callable[[str], Column]
) -> tuple[tuple[str, Column], ...]:
    if given.vector is not None:
        named = {"": given.vector} if isinstance(given.vector, str) else given.vector
        chosen = tuple((name, column(each)) for name, each in named.items())
        for _, each in chosen:
            if not ((each.type in VECTOR_TYPES and not each.array) or (each.type in ARRAYS_OF_NUMBERS and each.array)):
                raise ConnectorError(
                    f"column `{each.name}` is no vector: it is {each.type}{'[]' * each.array}, not vector, halfvec,"
                    " sparsevec, real[] or double precision[]"
                )
        return chosen
    found = [each for each in columns if each.type in VECTOR_TYPES and not each.array]
    if own:
        return tuple((vector_name(each.name), each) for each in found)
    return tuple((each.name if len(found) > 1 else "", each) for each in found)


def _metadata(
    rest: Sequence[Column], given: Columns, own: bool, column: Callable[[str], Column]
) -> tuple[Column | None, tuple[Column, ...]]:
    if given.metadata is None:
        known = {each.name: each for each in rest if each.type in JSON_TYPES and not each.array}
        document = next((known[name] for name in DOCUMENTS if name in known), None)
        fields = (
            each
            for each in rest
            if each is not document
            and each.type not in VECTOR_TYPES
            and not (each.type == "tsvector" and each.generated)
            and not (own and (each.generated or each.name == CREATED_AT))
        )
        return document, tuple(fields)
    if isinstance(given.metadata, str):
        only = column(given.metadata)
        return (only, ()) if only.type in JSON_TYPES and not only.array else (None, (only,))
    spread = [column(name.removesuffix(ALL)) for name in given.metadata if name.endswith(ALL)]
    if len(spread) > 1 or any(each.type not in JSON_TYPES or each.array for each in spread):
        raise ConnectorError(
            f"`columns.metadata` takes one json or jsonb column as `{(spread[0].name if spread else 'column') + ALL}`"
        )
    return next(iter(spread), None), tuple(column(name) for name in given.metadata if not name.endswith(ALL))
