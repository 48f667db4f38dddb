"""Columns of any type made metadata, a JSON object for each row: no value changes that JSON can hold."""

import base64
import math
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from vecmig.errors import ConnectorError
from vecmig.model.metadata import dumps

Wrong = list[tuple[int, str]]  # row and reason


def metadata_of(rows: pa.RecordBatch, file: str) -> tuple[pa.Array, Wrong]:
    """Return (n,) JSON texts, and the rows with a value that JSON cannot hold: those have `{}`.

    Times are ISO text in UTC (one without a zone counts as UTC), binary values base64, decimals exact.
    """
    names = rows.schema.names
    columns = [_values(rows.column(n), f"{file}: column {name!r}") for n, name in enumerate(names)]
    texts: list[bytes] = []
    wrong: Wrong = []
    for row, values in enumerate(zip(*columns, strict=True) if columns else [()] * rows.num_rows):
        try:
            texts.append(dumps({name: _plain(value, name) for name, value in zip(names, values, strict=True)}))
        except (TypeError, ValueError) as error:
            texts.append(b"{}")
            wrong.append((row, str(error)))
    return pa.array(texts, pa.binary()).cast(pa.string()), wrong


def _values(column: pa.Array, where: str) -> list[object]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return _times(column)
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError) as error:
        raise ConnectorError(
            f"{where}, of type {column.type}, cannot be read: {error}. Leave it out of `columns`"
        ) from error
    return values


def _times(column: pa.TimestampArray) -> list[object]:
    """Return times where microseconds hold them, for Python has no finer; the others as ISO text with nine digits."""
    floor = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    whole = pc.equal(floor.cast(column.type), column)
    times: list[object] = floor.to_pylist()
    if pc.all(whole).as_py() is not False:
        return times
    texts = pc.strftime(column.cast(pa.timestamp("ns", "UTC")), format="%Y-%m-%dT%H:%M:%S+00:00").to_pylist()
    # value by value, whatever stands beside it: pages are cut anew in every run
    return [text if exact is False else time for time, text, exact in zip(times, texts, whole.to_pylist(), strict=True)]


def _plain(value: object, name: str) -> object:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"field {name!r} holds NaN or infinity, which JSON cannot hold")
            return value
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            if value and all(isinstance(each, tuple) and len(each) == 2 for each in value):  # a map
                return {str(key): _plain(each, name) for key, each in value}
            return [_plain(each, name) for each in value]
        case dict():
            return {str(key): _plain(each, name) for key, each in value.items()}
        case _:
            return value  # a Decimal: `dumps` writes it exactly, and refuses what it does not know
