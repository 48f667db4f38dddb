"""Values of Parquet and YAML made what JSON can hold."""

import base64
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal


def plain(value: object, name: str) -> object:
    """Return the value: times as ISO text in UTC (one without a zone counts as UTC), binary values as base64.

    `name`: of the field. Raises ValueError for what JSON cannot hold.
    """
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise ValueError(f"field {name!r} holds NaN or infinity, which JSON cannot hold")
    if value is None or isinstance(value, bool | int | str | float | Decimal):
        return value
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): plain(each, name) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each, name) for each in value]
    raise ValueError(f"field {name!r} holds {type(value).__name__}, which JSON cannot hold")
