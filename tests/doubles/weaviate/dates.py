"""Dates in RFC 3339, to the nanosecond."""

import datetime
import re

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d?)(:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-](?:[01]\d|2[0-4]):[0-5]\d)")


def canonical(text: str) -> str | None:
    """The date as the server returns it: as given, up to nanoseconds, without trailing zeros; None if it is none."""
    found = _DATE.fullmatch(text)
    if not found or _seconds(found) is None:
        return None
    fraction = (found[4] or "")[:9].rstrip("0")
    zone = "Z" if found[5] in ("Z", "+00:00", "-00:00") else found[5]
    return f"{found[1]}T{found[2]:0>2}{found[3]}{'.' if fraction else ''}{fraction}{zone}"


def nanoseconds(text: str) -> int | None:
    """Since 1970, of a date; None if it is none."""
    found = _DATE.fullmatch(text)
    seconds = _seconds(found) if found else None
    if found is None or seconds is None:
        return None
    return seconds * 10**9 + int((found[4] or "")[:9].ljust(9, "0"))


def _seconds(found: re.Match[str]) -> int | None:
    year, zone = int(found[1][:4]), found[5]
    # the year 0 is one for the server, and none for Python: the calendar repeats after 400 years
    shift = 400 if year == 0 else 0
    try:
        moment = datetime.datetime.fromisoformat(f"{year + shift:04}{found[1][4:]}T{found[2]:0>2}{found[3]}+00:00")
    except ValueError:
        return None
    offset = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[4:])) * (-60 if zone[0] == "-" else 60)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return since.days * 86400 + since.seconds - offset - (146097 * 86400 if shift else 0)
