"""Numbers as people read them; None is unknown."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from vecmig.model.report import Interval

UNKNOWN = "unknown"
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def number(n: int | None) -> str:
    """Return n with thousands separated."""
    return UNKNOWN if n is None else f"{n:,}"


def quantity(n: int | None, one: str, many: str | None = None) -> str:
    """Return `1 record`, `2 records`, `unknown records`."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def size(n_bytes: float | None) -> str:
    """Return bytes in decimal units with two or three digits: `812 bytes`, `1.2 kB`, `18 GB`."""
    if n_bytes is None:
        return UNKNOWN
    value, unit = float(n_bytes), 0
    while round(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return quantity(round(value), "byte")
    shown = f"{value:.1f}".removesuffix(".0") if round(value, 1) < 10 else f"{value:,.0f}"
    return f"{shown} {_UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """Return the two largest units: `0.4 s`, `12 s`, `3 m 12 s`, `6 h 30 m`, `2 d 4 h`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for large, small, name, part in ((86400, 3600, "d", "h"), (3600, 60, "h", "m"), (60, 1, "m", "s")):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {name} {rest} {part}" if rest else f"{whole // large} {name}"
    return f"{whole} s"


def rate(per_s: float | None) -> str:
    """Return records a second."""
    if per_s is None:
        return UNKNOWN
    return f"{per_s:,.0f}/s" if per_s >= 9.5 else f"{per_s:.1f}/s"


def share(value: float | None) -> str:
    """Return three decimals, cut, not rounded: 0.9499 is not shown as 0.950."""
    return UNKNOWN if value is None else _cut(value, ROUND_FLOOR)


def interval(value: Interval | None) -> str:
    """Return the mean with its 95 % confidence interval, rounded outward."""
    if value is None:
        return "not measured"
    return f"{share(value.mean)} ({_cut(value.low, ROUND_FLOOR)}-{_cut(value.high, ROUND_CEILING)})"


def _cut(value: float, rounding: str) -> str:
    return str(Decimal(repr(value)).quantize(Decimal("0.001"), rounding))
