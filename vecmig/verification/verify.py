"""Proof that a target holds what its source does, and finds it as well."""

import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import cast

from vecmig.comparison.compare import Comparison, compare
from vecmig.comparison.reading import Side, control
from vecmig.comparison.sampled import compare_sample, count_only, materialised
from vecmig.comparison.sampler import Sampler
from vecmig.comparison.terms import EVERYTHING, Terms
from vecmig.errors import CollectionNotFound, Stopped, TransientError
from vecmig.migration import Endpoint, Migration
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection as Schema
from vecmig.model.effort import SEARCHED_NAMESPACES
from vecmig.model.query import Golden
from vecmig.model.record import Key
from vecmig.model.report import Breach, CountCheck, LabelledCheck, RecordsCheck, Report
from vecmig.model.settings import Sample, Thresholds
from vecmig.protocols import Counts, Target
from vecmig.retry import retrying
from vecmig.verification.asked import AS_IT_IS, Searching, Setting
from vecmig.verification.gate import labelled_breaches, record_breaches, search_breaches, verdict_of
from vecmig.verification.golden import golden_checks
from vecmig.verification.search import COMPARED_VALUES, Searched, search_checks
from vecmig.verification.shapes import Shapes

SETTLE_S = 600.0
SLICE_S = 15.0  # of a wait, after which a person's wish to stop is heard
TOLD_S = 1.0  # a shorter wait is not worth a note


def verify(
    migration: Migration,
    source: Side,
    target: Side,
    terms: Terms = EVERYTHING,
    searching: Searching = AS_IT_IS,
    *,
    project: str,
    environment: str,
    lag_s: float = 0.0,
) -> Report:
    """Check counts, records and search as `migration.verification` says. Writes nothing but what `settle` does.

    `source` gives records after `searching.conversion`, in the target's terms. `lag_s`: how long to wait for records that
    were written just now, where the target lacks some and may only show them late. Raises Stopped after `terms.stop`,
    CollectionNotFound if a side is not there.
    """
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    stop = terms.stop or Event()
    patiently = retrying(stop)
    target, waited_s = patiently(_settled, migration, target, stop)
    setting, chosen, notes = patiently(_setting, migration, source, target, searching, terms.excluded)
    if waited_s > TOLD_S:
        notes.append(f"{waited_s:.0f} s went by until {migration.target.label} showed what was written last")
    wanted = migration.verification

    def compared(target: Side) -> tuple[Comparison, Sampler | None]:
        sampler = _sampler(migration, chosen)
        return _records(wanted.records, source, target, replace(terms, sampler=sampler)), sampler

    found, sampler = compared(target)
    if lag_s and (caught_up := _caught_up(target, found, lag_s, stop)):
        target = caught_up
        setting = replace(setting, target=target)
        found, sampler = compared(target)
    breaches = record_breaches(found, wanted.thresholds)
    notes += _record_notes(found)
    searched: list[Searched] = []
    labelled: list[LabelledCheck] = []
    if wanted.search is not None and sampler is not None:
        # known only now: the source finds these, too, and the target cannot
        setting = replace(setting, excluded=setting.excluded | source.refused.keys, stop=stop)
        if migration.golden is not None:
            known = {name: records for name in chosen if (records := sampler.records(name)) is not None}
            searched, labelled = golden_checks(setting, migration.golden, searching.embeds, known, migration.filters)
        else:
            samples = _samples(source, sampler, chosen, whole=wanted.records == "all", stop=stop)
            searched = search_checks(setting, samples, migration.filters)
        breaches += search_breaches(searched, wanted.thresholds)
        breaches += labelled_breaches(labelled, wanted.thresholds)
        notes += _search_notes(setting.shapes.target)
        if not searched and found.expected and setting.shapes.dense:
            breaches += unsearched(setting, migration.golden, wanted.thresholds)
    return Report(
        name=project,
        environment=environment,
        migration=migration.name,
        source=migration.source.label,
        target=migration.target.label,
        verdict=verdict_of(breaches),
        started_at=started,
        seconds=round(time.monotonic() - began, 3),
        quarantined=len(terms.excluded),
        count=CountCheck(found.expected or {}, found.actual or {}),
        records=None if wanted.records == "none" else _records_check(found),
        search=tuple(each.check for each in searched),
        labelled=tuple(labelled),
        breaches=tuple(breaches),
        notes=tuple(notes),
    )


def _settled(migration: Migration, target: Side, stop: Event) -> tuple[Side, float]:
    """Wait until the target's writes are visible; return it with partitions of what is there then, and the seconds."""
    with closing(target.open()) as store:
        _there(store.describe(target.collection), migration.target)
        began = time.monotonic()
        settle(cast(Target, store), target.collection, {}, SETTLE_S, stop)
        waited_s = time.monotonic() - began
        parts = store.partitions(target.collection, max(1, len(target.partitions)))
    return replace(target, partitions=tuple(parts)), waited_s


def _caught_up(target: Side, found: Comparison, lag_s: float, stop: Event) -> Side | None:
    """Return the target once it counts what was expected, where it showed less; None where waiting does not help."""
    expected, actual = found.expected or {}, found.actual or {}
    if all(actual.get(name, 0) >= rows for name, rows in expected.items()):
        return None
    with closing(target.open()) as store:
        if not store.capabilities.shows_late:
            return None
        try:
            settle(cast(Target, store), target.collection, expected, lag_s, stop)
        except TransientError:
            return None  # it lacks them indeed, or for longer than anybody waits
        parts = store.partitions(target.collection, max(1, len(target.partitions)))
    return replace(target, partitions=tuple(parts))


def settle(
    target: Target, collection: str, expected: Counts, seconds: float, stop: Event | None, slice_s: float = SLICE_S
) -> None:
    """Wait as `Target.settle` does, but raise Stopped within a slice of the time after `stop`."""
    end = time.monotonic() + seconds
    while True:
        left_s = end - time.monotonic()
        try:
            return target.settle(collection, expected, max(0.0, min(slice_s, left_s)))
        except TransientError:
            if stop is not None and stop.is_set():
                raise Stopped("the wait was stopped at your wish. Run the same command again") from None
            if left_s <= slice_s:
                raise


def _there(schema: Schema | None, endpoint: Endpoint) -> Schema:
    if schema is None:
        raise CollectionNotFound(f"{endpoint.label} is not there: apply makes a target, a source must exist")
    return schema


def _setting(
    migration: Migration,
    source: Side,
    target: Side,
    searching: Searching,
    excluded: Collection[Key],
) -> tuple[Setting, list[str], list[str]]:
    """Return what searches need, the namespaces to search, and notes."""
    with closing(target.open()) as store:
        actual = _there(store.describe(target.collection), migration.target)
        counts = store.count(target.collection)
    with closing(source.open()) as store:
        before = _there(store.describe(source.collection), migration.source)
        known = store.count(source.collection) if searching.conversion.namespace_from is None else None
    all_ = sorted((name for name in counts if known is None or name in known), key=lambda name: (-counts[name], name))
    chosen = all_[:SEARCHED_NAMESPACES]
    if migration.golden is not None:
        chosen = sorted({query.namespace_in(all_) for query in migration.golden.queries}.intersection(all_))
    notes = []
    if len(chosen) < len(all_) and migration.verification.search is not None and migration.golden is None:
        notes.append(f"search was tested in the {len(chosen)} largest of {len(all_):,} namespaces")
    top_k = migration.verification.search.top_k if migration.verification.search else 0
    shapes = Shapes(before, searching.declared or actual, searching.conversion)
    return Setting(source, target, shapes, frozenset(excluded), top_k, all_), chosen, notes


def _records(how: str | Sample, source: Side, target: Side, terms: Terms) -> Comparison:
    if isinstance(how, Sample):
        return compare_sample(source, target, how.sample, terms)
    return compare(source, target, terms) if how == "all" else count_only(source, target, terms)


def _samples(
    source: Side, sampler: Sampler, namespaces: Collection[str], whole: bool, stop: Event
) -> dict[str, RecordBatch]:
    """Return the sampled records by namespace. `whole`: the sampler saw them with their vectors."""
    found = {name: records for name in namespaces if (records := sampler.records(name)) is not None}
    if whole or not found:
        return found
    records = materialised(source, concat(list(found.values())), control(stop))
    names = records.strings("namespace")
    rows = {name: [row for row, each in enumerate(names) if each == name] for name in found}
    return {name: records.take(each) for name, each in rows.items() if each}


def _records_check(found: Comparison) -> RecordsCheck:
    return RecordsCheck(
        compared=found.compared,
        matching=found.matching,
        mismatched=found.mismatched,
        missing=found.missing,
        extra=found.extra,
        duplicates=found.duplicates,
        unknown=found.unknown,
        sample=found.sample,
        digests=(found.digests[0].hex, found.digests[1].hex) if found.digests else None,
        mismatched_keys=found.mismatched_keys,
        missing_keys=found.missing_keys,
        extra_keys=found.extra_keys,
        duplicate_keys=found.duplicate_keys,
    )


def _record_notes(found: Comparison) -> list[str]:
    notes = []
    if found.sample is not None:
        notes.append(
            f"{found.unknown:,} records were not compared; what only the target has is known by its count alone"
        )
    if found.aside:
        notes.append(
            f"{found.aside:,} records that were put aside are in the target all the same, as they were before; nothing "
            "deletes them"
        )
    return notes


def _search_notes(schema: Schema) -> list[str]:
    sparse = [field.name for field in schema.vectors if field.kind == "sparse"]
    return [f"search is not tested with the sparse vectors {', '.join(map(repr, sparse))}"] if sparse else []


def unsearched(setting: Setting, golden: Golden | None, limits: Thresholds) -> list[Breach]:
    """Return what stays undecided where there is nothing to query with."""
    with closing(setting.target.open()) as store:
        indexed = store.capabilities.searchable
    compared = not all(setting.shapes.reembedded(field.name) for field in setting.shapes.dense)
    gated = [("overlap", limits.overlap)] * compared + [("recall", limits.recall)] * indexed
    what = "no record of the source has a vector" if golden is None else f"{golden.file} has nothing"
    return [
        Breach(name, limit, None, f"{what} to query with. `thresholds: {{{name}: 0}}` leaves it out")
        for name, limit in gated
        if limit > 0
    ]


def _sampler(migration: Migration, namespaces: Collection[str]) -> Sampler | None:
    """Return what chooses the queries among the records or, where there are others, a few that show the conversion."""
    search = migration.verification.search
    if search is None:
        return None
    if search.queries.sample is None:
        return Sampler(COMPARED_VALUES, namespaces)
    return Sampler(max(1, -(-search.queries.sample // max(1, len(namespaces)))), namespaces)
