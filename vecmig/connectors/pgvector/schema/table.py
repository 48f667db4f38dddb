"""What the connector knows of one table: which columns are key, vectors, metadata."""

from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from vecmig.model.collection import Collection, Field, FieldType, VectorField

JSON_TYPES = ("json", "jsonb")
VECTOR_TYPES = ("vector", "halfvec", "sparsevec")
# Types whose values are those of a field, whatever they are: others are read as JSON, and promise nothing.
FIELD_TYPES: dict[str, FieldType] = {
    "text": "text",
    "varchar": "text",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "float4": "float",
    "float8": "float",
    "bool": "bool",
    "timestamptz": "datetime",
}


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str  # pg_type.typname, of the base type where it is a domain; of the element where it is an array
    type_schema: str
    type_oid: int
    array: bool = False
    not_null: bool = False
    generated: bool = False
    modifier: int = -1
    comment: str | None = None
    folds: bool = False  # values that differ, as in case, are equal to its type or its collation

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)

    @property
    def sql_type(self) -> sql.Composable:
        """The type as a statement names it, without its modifier."""
        name = sql.Identifier(self.type_schema, self.type)
        return sql.SQL("{}[]").format(name) if self.array else name

    @property
    def field_type(self) -> FieldType | None:
        """The type of field that this column is, or None where it is none of them."""
        scalar = FIELD_TYPES.get(self.type)
        if scalar is None or not self.array:
            return scalar
        lists: dict[str, FieldType] = {
            "text": "text[]",
            "int": "int[]",
            "float": "float[]",
            "bool": "bool[]",
            "datetime": "datetime[]",
        }
        return lists[scalar]


@dataclass(frozen=True, slots=True)
class Vector:
    column: Column
    field: VectorField  # index and metric as they are


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """An index on one vector column, as the catalog has it."""

    name: str
    column: str
    method: Literal["hnsw", "ivfflat"]
    opclass: str
    options: tuple[tuple[str, str], ...]  # as set, sorted
    valid: bool

    @property
    def definition(self) -> str:
        """The words that make an index this one."""
        return f"{self.column} {self.opclass} {self.method} {' '.join(f'{k}={v}' for k, v in self.options)}"


@dataclass(frozen=True, slots=True)
class ScalarIndex:
    """A B-tree or GIN index on one column."""

    name: str
    column: str
    method: str
    valid: bool

    @property
    def definition(self) -> str:
        return f"{self.column} {self.method}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or what else can be read like one."""

    collection: str  # its name in the spec
    schema: str
    name: str
    oid: int
    kind: str  # pg_class.relkind: r table, p partitioned, m materialized view, v view, f foreign table
    mark: str | None
    id: tuple[Column, ...]
    namespace: Column | None
    vectors: tuple[Vector, ...]
    document: Column | None  # a json or jsonb column whose object is the metadata, next to `fields`
    fields: tuple[Column, ...]  # each a key of the metadata
    searched: tuple[str, ...]  # fields that a generated tsvector column belongs to
    keys: tuple[tuple[str, ...], ...]  # columns of each unique index
    vector_indexes: tuple[VectorIndex, ...]
    scalar_indexes: tuple[ScalarIndex, ...]
    left_out: tuple[Column, ...] = ()  # columns that are not read, though nobody chose so
    extension_schema: str = "public"  # of pgvector's types and operators

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns that tell records apart, in the order of their unique index; () if there is no such index.

        A view or foreign table has no index: then namespace and id, which must be shown to be unique.
        """
        known = {column.name: column for column in (*self.id, *((self.namespace,) if self.namespace else ()))}
        usable = [names for names in self.keys if set(names) <= set(known)]
        if not usable:
            return tuple(known[name] for name in reversed(known)) if self.kind in ("v", "f") else ()
        return tuple(known[name] for name in min(usable, key=len))

    @property
    def key_is_indexed(self) -> bool:
        """True where reading in the key's order needs no sort."""
        return self.kind not in ("v", "f") and all(column.not_null for column in self.key)

    @property
    def nulls_are_absent(self) -> bool:
        """True where a NULL means that the metadata lacks the key: a JSON null stays in the document."""
        return self.document is not None

    @property
    def declaration(self) -> Collection:
        """The table in words that every store shares."""
        fields = tuple(
            Field(
                column.name,
                column.field_type,
                filter=any(each.column == column.name and each.valid for each in self.scalar_indexes),
                search=column.name in self.searched,
            )
            for column in self.fields
            if column.field_type is not None
        )
        return Collection(
            self.collection,
            tuple(vector.field for vector in self.vectors),
            fields,
            self.mark,
            findings=tuple(map(_unread, self.left_out)),
            left_out=tuple((column.name, _type(column)) for column in self.left_out),
        )


def _unread(column: Column) -> str:
    why = "generated of others" if column.generated else _type(column)
    return f"column `{column.name}` ({why}) is left out: `columns.metadata` takes what it names"


def _type(column: Column) -> str:
    return f"{column.type}{'[]' * column.array}"
