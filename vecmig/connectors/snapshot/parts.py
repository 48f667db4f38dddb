"""Part files: records as Parquet, written whole, and deletions beside them.

parts/0000000012-<digest>.parquet            records; a key here replaces the same key in every file that sorts before
parts/0000000013-<digest>.deleted.parquet    keys, deleted from every file that sorts before

The number orders what a writer did after the other; writers side by side may share one, for they never share a key.
"""

import re
from collections import Counter

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from vecmig.connectors.snapshot.manifest import Part
from vecmig.model.batch import RecordBatch
from vecmig.model.digest import digest_of

DIRECTORY = "parts"
GROUP_ROWS = 4096
TEXTS = ("id", "namespace", "metadata")
_NAME = re.compile(r"parts/(\d{10})-([0-9a-f]{32})(\.deleted)?\.parquet")
_FOOTER = b"vecmig"  # key of a part's own description in the Parquet footer


def is_part(name: str) -> bool:
    return (match := _NAME.fullmatch(name)) is not None and not match[3]


def is_deletion(name: str) -> bool:
    return (match := _NAME.fullmatch(name)) is not None and bool(match[3])


def generation(name: str) -> int:
    """Return the number in a file's name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0


def part_name(number: int, hexadecimal: str, deletion: bool = False) -> str:
    return f"{DIRECTORY}/{number:010d}-{hexadecimal}{'.deleted' if deletion else ''}.parquet"


def part_of(batch: RecordBatch, number: int) -> tuple[Part, pa.Buffer]:
    """Return a part and its file. Raises ValueError if metadata is not a JSON object."""
    digest = digest_of(batch)
    namespaces = dict(Counter(batch.strings("namespace")))
    data = encoded(batch.table, {"rows": len(batch), "digest": digest, "namespaces": namespaces})
    return Part(part_name(number, digest.hex), len(batch), data.size, digest, namespaces), data


def described(file: pq.ParquetFile, name: str, size: int) -> Part:
    """Return what the footer says of a part."""
    texts = file.metadata.metadata or {}
    return msgspec.convert({"name": name, "bytes": size, **msgspec.json.decode(texts[_FOOTER])}, Part)


def encoded(table: pa.RecordBatch, footer: dict[str, object]) -> pa.Buffer:
    """Return records as a Parquet file.

    A column of vectors is declared without nulls where it has none: that is read about twice as fast. Vectors are
    stored as they are, for floats do not shrink.
    """
    fields = [_declared(field, table.column(n)) for n, field in enumerate(table.schema)]
    schema = pa.schema(fields, {_FOOTER: msgspec.json.encode(footer)})
    columns = [
        _retyped(column, field.type) for column, field in zip(table.columns, fields, strict=True)
    ]  # fmt: skip
    sink = pa.BufferOutputStream()
    texts = [name for name in TEXTS if name in table.schema.names]
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema),
        sink,
        row_group_size=GROUP_ROWS,
        compression=dict.fromkeys(texts, "zstd"),
        compression_level=dict.fromkeys(texts, 1),
        use_dictionary=["namespace"],
        write_statistics=["id", "namespace"],
        write_page_checksum=True,
    )
    return sink.getvalue()


def as_schema(table: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns of `schema`, typed as it says: a file declares which columns have no nulls."""
    columns = [_retyped(table.column(field.name), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _declared(field: pa.Field, column: pa.Array) -> pa.Field:
    type_ = field.type
    if pa.types.is_fixed_size_list(type_):
        type_ = pa.list_(pa.field("element", pa.float32(), nullable=False), type_.list_size)
    return pa.field(field.name, type_, nullable=bool(column.null_count))


def _retyped(column: pa.Array, type_: pa.DataType) -> pa.Array:
    """Cast; of a fixed-size list only the name of its element, without a copy."""
    if not pa.types.is_fixed_size_list(column.type) or column.null_count:
        return column.cast(type_)
    return pa.FixedSizeListArray.from_arrays(column.flatten(), type=type_)
