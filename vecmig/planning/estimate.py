"""How much space and time a migration needs, and on what that rests."""

from collections.abc import Sequence

from vecmig.migration import Migration
from vecmig.model.collection import Collection
from vecmig.model.observed import Texts
from vecmig.model.plan import Cost, Decision, Estimate
from vecmig.model.settings import Limits
from vecmig.model.state import Applied
from vecmig.planning.embed_cost import cost_of, seconds_of

UNLIMITED = Limits()


def estimate(
    migration: Migration,
    declared: Collection,
    *,
    rows: int | None,
    metadata_bytes: int,
    loads: bool,
    indexes: bool,
    applied: Applied | None,
    costs: tuple[Cost, ...] = (),
    embeds: Sequence[tuple[Decision, Texts]] = (),
    limits: Limits = UNLIMITED,
) -> Estimate:
    """Return the estimate for `rows` records; what is not known is None. `embeds`: what is embedded, and its texts."""
    if rows is None:
        return Estimate(costs=costs)
    costs += tuple(cost_of(decision, texts, rows) for decision, texts in embeds)
    embedding = [seconds_of(texts, rows) for _, texts in embeds]
    need = migration.target.options.footprint(declared, rows, metadata_bytes)
    measured = applied.rows_per_s if applied else None
    rate = measured or need.load_rows_per_s
    basis = "measured by the last apply" if measured else need.basis
    read, write = limits.read_records_per_s, limits.write_records_per_s
    least = _slowest(rate, read, write)
    if least != rate:
        basis = "the throttles in `limits`" + (f", else {basis}" if basis else "")
    return Estimate(
        rows=rows,
        disk_bytes=need.disk_bytes if loads or indexes else None,
        index_memory_bytes=need.index_memory_bytes if indexes else None,
        embed_s=sum(each for each in embedding if each is not None) if embeds and None not in embedding else None,
        load_s=_seconds(rows, least) if loads else None,
        index_s=_seconds(rows, need.index_rows_per_s) if indexes else None,
        verify_s=_seconds(rows, _slowest(rate, read)) if loads else None,
        basis=basis,
        costs=costs,
    )


def _slowest(*rates: float | None) -> float | None:
    return min((each for each in rates if each), default=None)


def _seconds(rows: int, rate: float | None) -> float | None:
    return rows / rate if rate else None
