"""What Pinecone meters, and what that costs: read units, write units, storage, egress.

The units are those of Pinecone's page "Understanding cost"
(https://docs.pinecone.io/guides/manage-cost/understanding-cost): a query 1 RU for each GB of the namespace, at least
0.25; a fetch 1 RU for 10 records, at least 1; a list 1 RU a request; an upsert 1 WU for each KB, at least 5 a request.
By the examples there a KB has 1,000 bytes. Not counted: what counting and waiting for one's own writes take (a few RU),
and that fetches from a document index, cut by bytes, are no multiples of ten (some percent of the RU).
"""

import math
from collections.abc import Sequence
from functools import cache
from importlib import resources

import msgspec
import yaml
from msgspec.structs import replace

from vecmig.connectors.pinecone.limits import MAX_LISTED, MAX_RECORDS, MAX_REQUEST_BYTES
from vecmig.model.plan import Bounds, Cost, exactly
from vecmig.protocols import Work

KB, GB, MILLION = 1_000, 1_000_000_000, 1_000_000
LEAST_RU, LEAST_WU = 0.25, 5  # of a query, of an upsert
FETCHED_AT_ONCE = 250  # records, over gRPC; 100 over REST come to the same units
Asked = Sequence[tuple[Work, Bounds]]  # units of each
Price = tuple[float, float] | None  # USD, low and high


class Rates(msgspec.Struct, frozen=True):
    """Of one plan, for a million units."""

    million_ru: tuple[float, float]
    million_wu: tuple[float, float]


class Prices(msgspec.Struct, frozen=True):
    """The table in prices.yaml."""

    date: str
    source: str
    plans: dict[str, Rates]
    gb_month: Price
    gb_egress: Price

    @property
    def ru(self) -> Price:
        """For one unit, over all plans: nothing says which one a project is on."""
        return _widest([plan.million_ru for plan in self.plans.values()])

    @property
    def wu(self) -> Price:
        return _widest([plan.million_wu for plan in self.plans.values()])

    def __str__(self) -> str:
        return f"{' to '.join(self.plans)}, {self.date}, {self.source}"


def costs(work: Sequence[Work], record_bytes: int, prefixes: int = 0, page_rows: int | None = None) -> list[Cost]:
    """Return what the work costs, without kinds that it takes nothing of.

    `prefixes`: by how many a namespace is read; `page_rows`: most records of one fetch.
    """
    prices, at_once = _prices(), min(FETCHED_AT_ONCE, page_rows or FETCHED_AT_ONCE)
    gb = exactly(record_bytes / GB)
    reads = [(each, read_units(each, record_bytes, prefixes, at_once)) for each in work]
    writes = [(each, write_units(each, record_bytes)) for each in work]
    egress = [(each, (each.records * (each.passes + each.exact) + each.fetched) * gb) for each in work]
    stored = [(each, each.records * gb) for each in work if each.written.high]
    found = (
        _cost("reads", "RU", reads, prices.ru),
        _cost("writes", "WU", writes, prices.wu),
        replace(_cost("egress", "GB", egress, prices.gb_egress), steps=()),  # those of the reads
        replace(_cost("storage", "GB", stored, prices.gb_month), steps=(), monthly=True),
    )
    return [cost for cost in found if cost.units.high]


def read_units(work: Work, record_bytes: int, prefixes: int = 0, at_once: int = FETCHED_AT_ONCE) -> Bounds:
    """Return the RU of reading, fetching and searching; an exact search reads the namespace once.

    Records whose namespaces are not known may all be in one, or each in one of its own.
    """
    rows, some = work.records, work.fetched
    if work.namespace is None:
        once = Bounds(_listed_and_fetched(rows.low, at_once), 2 * rows.high)
        fetched = Bounds(_fetched(some.low, at_once), some.high)
    else:
        more = 2 * max(0, prefixes - 1)  # the last page and the last fetch of each
        once = Bounds(_listed_and_fetched(rows.low, at_once), _listed_and_fetched(rows.high, at_once) + more)
        fetched = Bounds(_fetched(some.low, at_once), _fetched(some.high, at_once))
    query = Bounds(_query(rows.low * record_bytes), _query(rows.high * record_bytes))
    return once * (work.passes + work.exact) + fetched + query * work.queries


def write_units(work: Work, record_bytes: int) -> Bounds:
    """Return the WU of upserts: full ones, but for the last of each part.

    Where namespaces are not known, each may hold one record.
    """
    rows = work.written
    if work.namespace is None:
        return Bounds(_upserted(rows.low, record_bytes), rows.high * _upserted(1, record_bytes))
    last = LEAST_WU * max(0, min(rows.high, work.parts) - 1)
    return Bounds(_upserted(rows.low, record_bytes), _upserted(rows.high, record_bytes) + last)


def _listed_and_fetched(rows: float, at_once: int) -> float:
    return math.ceil(rows / MAX_LISTED) + _fetched(rows, at_once)


def _fetched(rows: float, at_once: int) -> float:
    """Return the RU of fetches of `at_once` records, and one of the rest."""
    full, rest = divmod(rows, at_once)
    return full * math.ceil(at_once / 10) + math.ceil(rest / 10)


def _query(namespace_bytes: float) -> float:
    return max(LEAST_RU, namespace_bytes / GB)


def _upserted(rows: float, record_bytes: int) -> float:
    at_once = max(1, min(MAX_RECORDS, MAX_REQUEST_BYTES // max(1, record_bytes)))
    full, rest = divmod(rows, at_once)
    return full * _request(at_once * record_bytes) + (_request(rest * record_bytes) if rest else 0)


def _request(n_bytes: float) -> float:
    return max(LEAST_WU, math.ceil(n_bytes / KB))


def _cost(what: str, unit: str, asked: Asked, price: Price) -> Cost:
    units, shares = Bounds(), dict[str, Bounds]()
    for work, some in asked:
        units += some
        if work.namespace is not None and some.high:
            shares[work.namespace] = shares.get(work.namespace, Bounds()) + some
    return Cost(
        service="Pinecone",
        what=what,
        unit=unit,
        units=units,
        usd=units * Bounds(*price) if price else None,
        prices=str(_prices()) if price else "",
        namespaces=shares,
        steps=tuple(dict.fromkeys(work.step for work, some in asked if some.high)),
    )


def _widest(millions: Sequence[tuple[float, float]]) -> Price:
    return min(low for low, _ in millions) / MILLION, max(high for _, high in millions) / MILLION


@cache
def _prices() -> Prices:
    text = resources.files("vecmig.connectors.pinecone").joinpath("prices.yaml").read_text("utf-8")
    return msgspec.convert(yaml.safe_load(text), Prices)
