"""Numbers as people read them; None is unknown."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from vecmig.model.plan import Bounds
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


def units(value: Bounds, unit: str) -> str:
    """Return `0.25 RU`, `9,950 WU`, `275 k RU`, `1.2-3.4 M RU`."""
    low, high = _amount(value.low), _amount(value.high)
    if low == high or high.startswith("under"):
        return f"{high} {unit}"
    if low.startswith("under"):
        low = "0"
    same = low.partition(" ")[2] == high.partition(" ")[2]
    return f"{low.partition(' ')[0] if same else low}-{high} {unit}"


def usd(value: Bounds | None) -> str:
    """Return `USD 4.40`, `USD 4.40-7.43`, rounded outward to cents."""
    if value is None:
        return "price unknown"
    low, high = _cents(value.low, ROUND_FLOOR), _cents(value.high, ROUND_CEILING)
    if value.high == 0:
        return "USD 0.00"
    if high == "0.01":
        return "under USD 0.01" if value.high < 0.01 else "USD 0.01"
    exact = _cents(value.low, ROUND_HALF_EVEN) == _cents(value.high, ROUND_HALF_EVEN)
    return f"USD {high}" if exact else f"USD {low}-{high}"


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


def _amount(n: float) -> str:
    if 0 < n < 0.005:
        return "under 0.01"
    if n < 10:
        return f"{n:.2f}".rstrip("0").rstrip(".")
    if n < 9_999.5:
        return f"{n:,.0f}"
    value, scale = n, 0
    while round(value) >= 1000 and scale < 3:
        value, scale = value / 1000, scale + 1
    shown = f"{value:.1f}".removesuffix(".0") if round(value, 1) < 10 else f"{value:,.0f}"
    return f"{shown} {' kMG'[scale]}"


def _cents(value: float, rounding: str) -> str:
    # to a millionth first: 4.4 computed as 4.4000000000000004 is no 4.41
    return f"{Decimal(f'{value:.6f}').quantize(Decimal('0.01'), rounding):,}"


def _cut(value: float, rounding: str) -> str:
    return str(Decimal(repr(value)).quantize(Decimal("0.001"), rounding))
