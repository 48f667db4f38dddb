"""Parquet: a document a row. Its place is the row's number, from 0."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader

import pyarrow as pa
import pyarrow.parquet as pq

from vecmig.connectors.documents.document import Document
from vecmig.connectors.documents.options import Columns
from vecmig.connectors.documents.rows import LEAVE_OUT, bad, check_columns, document
from vecmig.connectors.documents.values import plain
from vecmig.errors import ConnectorError

_PAGE_BYTES = 8 << 20
_MAX_PAGE_ROWS = 1024


def documents(
    file: BufferedReader, name: str, columns: Columns, low: int, high: int | None, max_bytes: int
) -> Iterator[tuple[int, Document]]:
    """Yield the rows from `low` to before `high`. Raises ConnectorError where a column is missing, or is no text."""
    at = low
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
            _check(parquet.schema_arrow, columns, name)
            first, size = 0, 0
            chosen: list[int] = []
            for group, (start, rows, bytes_) in enumerate(_groups(parquet)):
                if start + rows > low and (high is None or start < high):
                    first = first if chosen else start
                    chosen.append(group)
                    size = max(size, bytes_ // max(rows, 1))
            page_rows = max(1, min(_PAGE_BYTES // max(size, 1), _MAX_PAGE_ROWS))
            for page in parquet.iter_batches(page_rows, chosen, _wanted(columns), use_threads=False):
                names = page.schema.names
                values = [_values(page.column(n), f"{name}: column {each!r}") for n, each in enumerate(names)]
                for number, row in enumerate(zip(*values, strict=True), first):
                    if low <= number and (high is None or number < high):
                        yield number, _document(dict(zip(names, row, strict=True)), columns, name, number, max_bytes)
                        at = number + 1
                first += page.num_rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # Arrow's own, of a damaged file, have none
            raise
        yield at, bad(name, f"row {at + 1}", f"it is no Parquet file, or damaged from here on: {error}")


def groups(file: BufferedReader) -> list[tuple[int, int]]:
    """Return (first row, bytes) of each row group; none where the file is damaged."""
    try:
        with pq.ParquetFile(file, pre_buffer=False) as parquet:
            return [(start, size) for start, _, size in _groups(parquet)]
    except pa.ArrowException:
        return []


def _groups(parquet: pq.ParquetFile) -> Iterator[tuple[int, int, int]]:
    """Yield (first row, rows, bytes) of each row group."""
    first = 0
    for number in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(number)
        yield first, group.num_rows, int(group.total_byte_size)
        first += group.num_rows


def _document(row: dict[str, object], columns: Columns, name: str, number: int, max_bytes: int) -> Document:
    problem = None
    for field, value in row.items():
        try:
            row[field] = plain(value, field)
        except ValueError as error:
            row[field], problem = None, str(error)
    text = row.get(columns.text)
    if isinstance(text, str) and len(text) > max_bytes:
        problem = f"its text is longer than {max_bytes >> 20} MiB"
    return document(row, columns, name, f"row {number + 1}", problem)


def _wanted(columns: Columns) -> list[str] | None:
    if columns.metadata is None:
        return None
    names = [columns.id, columns.text, *([columns.namespace] if columns.namespace else []), *columns.metadata]
    return list(dict.fromkeys(names))


def _check(schema: pa.Schema, columns: Columns, name: str) -> None:
    check_columns(schema.names, columns, name, LEAVE_OUT)
    type_ = schema.field(columns.text).type
    value = type_.value_type if pa.types.is_dictionary(type_) else type_
    if not (pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)):
        raise ConnectorError(
            f"{name}: column {columns.text!r} is {type_}, and must be text: see `columns: {{text: …}}`"
        )


def _values(column: pa.Array, where: str) -> list[object]:
    type_ = column.type
    if pa.types.is_timestamp(type_) and type_.unit == "ns":
        return [None if value is None else _moment(value) for value in column.cast(pa.int64()).to_pylist()]
    try:
        values: list[object] = column.to_pylist()
    except pa.ArrowException:
        raise
    except (ValueError, OverflowError) as error:
        raise ConnectorError(f"{where}, {type_}, cannot be read: {error}. Name others in `columns.metadata`") from error
    return values


def _moment(nanoseconds: int) -> object:
    """Return a time; as text where microseconds do not hold it, for Python has no finer."""
    seconds, rest = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}+00:00" if rest % 1000 else moment.replace(microsecond=rest // 1000)
