"""What a plan asks of both stores: how often comparison and verification go through each; the stores say what it costs.

Not counted: batches repeated after a failure or a kill, and a verification that finds differences where it should not.
"""

import math
from collections import defaultdict
from collections.abc import Collection as Collected
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from vecmig.migration import Endpoint, Migration
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection
from vecmig.model.effort import ROUND_ROWS, SEARCHED_NAMESPACES
from vecmig.model.observed import Observed
from vecmig.model.plan import Bounds, Cost, LoadRecords, ReconcileRecords, exactly
from vecmig.model.query import Golden, Query
from vecmig.model.settings import Sample
from vecmig.planning.moving import Move
from vecmig.protocols import Work

Rows = Mapping[str | None, Bounds]  # records by namespace; None: in which, is known only when they are read
NONE, ONCE = exactly(0), exactly(1)


@dataclass(frozen=True, slots=True)
class Planned:
    """What costs follow from."""

    migration: Migration
    declared: Collection
    source: Observed
    target: Observed
    move: Move | None
    proves: bool  # the verification runs
    mends: bool  # because the last one did not pass
    written: frozenset[str] = frozenset()  # namespaces that the migration has written before

    @property
    def by_key(self) -> bool:
        """Whether the verification can fetch a record of the source by the target's key."""
        return self.migration.namespace_from is None and self.migration.limit is None


def costs(planned: Planned, sample: RecordBatch | None, converted: RecordBatch | None) -> tuple[Cost, ...]:
    """Return what both sides charge. `sample` of the source and what it becomes show the size of a record."""
    of_source, of_target = work(planned)
    if converted is None or not len(converted):
        converted = sample  # none of it can be moved: the best that is known
    return (
        *_charged("source", planned.migration.source, of_source, sample),
        *_charged("target", planned.migration.target, of_target, converted),
    )


def work(planned: Planned) -> tuple[list[Work], list[Work]]:
    """Return what is asked of the source and of the target, step after step."""
    read, taken, there = _read(planned), _taken(planned), _there(planned.target)
    foreign = _foreign(planned)
    after = _after(planned, taken)
    of_source: list[Work] = []
    of_target: list[Work] = []
    match planned.move:
        case LoadRecords():
            of_source += _passes("copy", read, ONCE)
        case ReconcileRecords():
            rounds = _rounds(there)
            of_source += _passes("comparison", read, ONCE + rounds)
            of_target += _passes("comparison", there, ONCE + foreign + rounds + rounds)
    if planned.move is not None:
        all_new, parts = isinstance(planned.move, LoadRecords), max(1, len(planned.source.partitions))
        of_target += [
            Work("load", name, after[name], written=rows if all_new else Bounds(0, rows.high), parts=parts)
            for name, rows in taken.items()
        ]
    if planned.proves:
        _prove(planned, read, after, foreign, of_source, of_target)
    return of_source, of_target


def record_bytes(sample: RecordBatch | None) -> int:
    """Return the mean size of a record: id, vectors (4 bytes a component, 8 a sparse one), and metadata as JSON."""
    if sample is None or not len(sample):
        return 0
    size = sum(len(text) for column in ("id", "metadata") for text in sample.bytes_of(column))
    for name in sample.names:
        column = sample.table.column(name)
        if name.startswith("vector:"):
            size += 4 * column.type.list_size * (len(column) - column.null_count)
        elif name.startswith("sparse:"):
            size += 8 * len(column.drop_null().field("indices").flatten())
    return math.ceil(size / len(sample))


def _prove(
    planned: Planned, read: Rows, after: Rows, foreign: Bounds, of_source: list[Work], of_target: list[Work]
) -> None:
    """Add what the verification asks for."""
    wanted = planned.migration.verification
    if wanted.records == "all":
        # what only the target has is compared key by key, though nothing deletes it
        left = isinstance(planned.move, ReconcileRecords) and not planned.move.prune
        rounds = _rounds(read, after) if left or planned.mends else NONE
        of_source += _passes("proof", read, ONCE + rounds)
        of_target += _passes("proof", after, ONCE + foreign + rounds + rounds)
    else:
        of_source += _passes("proof", read, ONCE)
    if isinstance(wanted.records, Sample):
        total = _total(_taken(planned))
        some = _some(wanted.records.sample, total)
        of_source += _fetches(planned, read, _somewhere(planned.source.counts, some))
        of_target += [Work("proof", name, fetched=rows) for name, rows in _only(after, some).items()]
    if wanted.search is None:
        return
    golden = planned.migration.golden
    searched = _named(planned, golden, after) if golden is not None else _searched(planned, after)
    sample = wanted.search.queries.sample or 0
    queries = -(-sample // max(1, len(searched)))
    asked = {
        name: _some(queries, rows) if name is not None else Bounds(0, sample + SEARCHED_NAMESPACES)
        for name, rows in searched.items()
    }
    if golden is not None:
        asked = {name: exactly(len(_of_namespace(golden, name, searched))) for name in searched}
    elif wanted.records != "all":
        of_source += _fetches(planned, read, asked)
    ways = Bounds(1, 1 + len(planned.migration.filters))  # without a filter and, where the store can, with each
    dense = [vector for vector in planned.declared.vectors if vector.kind != "sparse"]
    of_both = exactly(sum(_comparable(planned, vector.name, vector.metric) for vector in dense))
    every = exactly(len(dense))
    for name, some in asked.items():
        if planned.by_key and name is not None:
            rows = exactly(planned.source.counts[name])
            of_source.append(Work("proof", name, rows, queries=some * of_both * ways))
        places = ONCE if name is not None else Bounds(0, SEARCHED_NAMESPACES)
        if golden is not None:  # those of one filter are asked at once
            places = exactly(len({query.filter for query in _of_namespace(golden, name, searched)}))
        searches = every * ways
        of_target.append(Work("proof", name, searched[name], queries=some * searches, exact=places * searches))


def _read(planned: Planned) -> Rows:
    """Return what one pass over the source reads: all of it, but for a `limit`, and what its last page holds more."""
    limit, total = planned.migration.limit, planned.source.rows
    if limit is None:
        return _there(planned.source)
    least = min(limit, total)
    return _somewhere(planned.source.counts, Bounds(least, total if planned.migration.where is not None else least))


def _taken(planned: Planned) -> Rows:
    """Return the records that reach the target, by its namespaces."""
    migration, total = planned.migration, planned.source.rows
    most = total if migration.limit is None else min(migration.limit, total)
    least = 0 if migration.where is not None else most
    if migration.namespace_from is not None:
        return {None: Bounds(least, most)} if total else {}
    if migration.limit is not None:
        return _somewhere(planned.source.counts, Bounds(least, most))
    return {name: Bounds(0 if migration.where is not None else n, n) for name, n in planned.source.counts.items()}


def _after(planned: Planned, taken: Rows) -> Rows:
    """Return what the target holds in the end."""
    there = _there(planned.target)
    match planned.move:
        case None:
            return there
        case LoadRecords():
            return taken
        case ReconcileRecords(prune=prune):
            prune = prune and bool(planned.source.rows)
            after: dict[str | None, Bounds] = {}
            for name in {**there, **taken}:
                old, new = there.get(name, NONE), taken.get(name, NONE)
                both = Bounds(max(old.low, new.low), old.high + new.high)  # from all keys shared to none
                after[name] = Bounds(new.low, max(old.high, new.high)) if prune else both
            return after


def _foreign(planned: Planned) -> Bounds:
    """Return how often the target is read again, since it holds namespaces that are not compared."""
    migration, there = planned.migration, planned.target.counts.keys()
    if isinstance(planned.move, LoadRecords):
        return NONE
    if migration.namespace_from is not None or migration.where is not None or migration.limit is not None:
        return Bounds(0, 1 if there - planned.written else 0)  # which namespaces the source gives, is not known
    compared = planned.written.union(planned.source.counts)
    return ONCE if compared and there - compared else NONE


def _rounds(*sides: Rows) -> Bounds:
    """Return in how many rounds records are compared key by key: from none, where no bucket differs, to all."""
    return Bounds(0, max(_total(rows).high for rows in sides) // ROUND_ROWS + 1)


def _searched(planned: Planned, after: Rows) -> Rows:
    """Return the namespaces that are searched: the largest that both sides hold."""
    if None in after:
        return {None: _total(after)}
    known = [name for name in after if name in planned.source.counts]
    largest = sorted(known, key=lambda name: (-after[name].high, name))[:SEARCHED_NAMESPACES]
    return {name: after[name] for name in largest}


def _named(planned: Planned, golden: Golden, after: Rows) -> Rows:
    """Return the namespaces that the user's own queries are about."""
    if None in after:
        return {None: _total(after)}
    known = [name for name in after if name in planned.source.counts]
    return {name: after[name] for name in known if _of_namespace(golden, name, known)}


def _of_namespace(golden: Golden, name: str | None, known: Collected[str | None]) -> list[Query]:
    names = [each for each in known if each is not None]
    return [query for query in golden.queries if name is None or query.namespace_in(names) == name]


def _comparable(planned: Planned, vector: str, metric: str) -> bool:
    sources = {choice.name: choice.source for choice in planned.migration.vectors}
    schema = planned.source.collection
    return schema is not None and any(
        each.name == sources.get(vector, vector) and each.metric == metric for each in schema.vectors
    )


def _fetches(planned: Planned, read: Rows, fetched: Rows) -> list[Work]:
    """Return records of the source read by key; where their keys are not the source's, it is all gone through."""
    if not planned.by_key:
        return _passes("proof", read, ONCE)
    return [Work("proof", name, fetched=rows) for name, rows in fetched.items()]


def _passes(step: str, rows: Rows, passes: Bounds) -> list[Work]:
    return [Work(step, name, each, passes) for name, each in rows.items()]


def _there(side: Observed) -> Rows:
    return {name: exactly(rows) for name, rows in side.counts.items()}


def _somewhere(counts: Mapping[str, int], rows: Bounds) -> Rows:
    """Return so many records of a side: in its only namespace, or in any."""
    return {next(iter(counts)) if len(counts) == 1 else None: rows} if counts else {}


def _only(after: Rows, rows: Bounds) -> Rows:
    return {next(iter(after)) if len(after) == 1 else None: rows} if after else {}


def _some(most: int, rows: Bounds) -> Bounds:
    return Bounds(min(most, rows.low), min(most, rows.high))


def _total(rows: Rows) -> Bounds:
    return sum(rows.values(), Bounds())


def _charged(
    side: Literal["source", "target"], end: Endpoint, work: Sequence[Work], sample: RecordBatch | None
) -> tuple[Cost, ...]:
    size = record_bytes(sample)
    seen = f"{size:,} bytes a record, the mean of {len(sample):,} sampled" if sample is not None else ""
    basis = "; ".join(filter(None, (seen, _told(work))))
    return tuple(replace(cost, side=side, store=end.label, basis=basis) for cost in end.options.costs(work, size))


def _told(work: Sequence[Work]) -> str:
    """Return how often the records are gone through, in words."""
    passes: dict[str, dict[str | None, Bounds]] = defaultdict(dict)
    for each in work:
        for who, some in ((each.step, each.passes), ("exact search", each.exact)):
            if some.high:
                passes[who][each.namespace] = passes[who].get(each.namespace, NONE) + some
    return ", ".join(f"{who} reads {_times(next(iter(places.values())))}" for who, places in passes.items())


def _times(bounds: Bounds) -> str:
    if bounds.low == bounds.high:
        return "once" if bounds.low == 1 else f"{bounds.low:.0f} times"
    return f"{bounds.low:.0f} to {bounds.high:.0f} times"
