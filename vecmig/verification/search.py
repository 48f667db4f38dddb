"""Is search as good as before? The same queries on both sides, and on the target with and without its index."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from msgspec.structs import replace

from vecmig.errors import Stopped
from vecmig.model.batch import RecordBatch
from vecmig.model.filter import Filter, describe, fields_of
from vecmig.model.metadata import canonical, dumps, loads
from vecmig.model.record import Key
from vecmig.model.report import SearchCheck
from vecmig.protocols import Hits, Source
from vecmig.verification.asked import Asked, Name, Setting, both, hits_of, sampled
from vecmig.verification.measure import interval, overlap, recall, without

EXCLUDED_ASKED = 100  # so many more neighbours are asked of the source, for rejected records are left out
MEASURES = ("overlap", "recall")
UNMEASURED = "overlap is not measured: "
COMPARED_VALUES = 50  # records that show whether a conversion left a field as it was

Ranked = list[tuple[Key, float]]


@dataclass(frozen=True, slots=True)
class Searched:
    check: SearchCheck
    unknown: tuple[str, ...] = ()  # measures that this check ought to have given, but could not


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What both sides found, a query each; None: it could not be asked there, see `why`."""

    searched: Searched
    target: Sequence[Ranked | None]
    source: Sequence[Ranked | None]  # with what the target need not hold
    why: Mapping[Name, Sequence[str]]


def search_checks(setting: Setting, samples: Mapping[str, RecordBatch], filters: Sequence[Filter]) -> list[Searched]:
    """Run the records of `samples`, by namespace, as queries: with each vector, without a filter and with each."""
    results: list[Searched] = []
    with closing(setting.source.open()) as source, closing(setting.target.open()) as target:
        for field in setting.shapes.dense:
            for namespace, records in sorted(samples.items()):
                asked = sampled(setting, source, target, field, namespace, records)
                if asked is not None:
                    results += [run(setting, source, target, asked, each).searched for each in (None, *filters)]
    return results


def run(setting: Setting, source: Source, target: Source, asked: Asked, filter: Filter | None) -> Run:
    """Run queries on both sides, and on the target exactly, too. `filter` holds besides each query's own.

    Raises Stopped after the setting's `stop`.
    """
    if setting.stop.is_set():
        raise Stopped("the verification was stopped at your wish. Run the same command again")
    name, k = asked.field.name, setting.top_k
    wide = k + any(each is not None for each in asked.itself)
    check = SearchCheck(
        vector=name,
        namespace=asked.namespace,
        filter=describe(filter) if filter is not None else "",
        queries=0,
        top_k=k,
        reembedded=setting.shapes.reembedded(name),
    )
    found, refused = _of_target(setting, target, asked, filter, wide)
    why_target = [*(f"the target cannot search so: {each}" for each in refused), *asked.why.get("target", ())]
    there = [n for n, each in enumerate(found) if each is not None]
    whole: list[Ranked | None] = [None] * len(found)
    before, reasons = whole, list[str]()
    if there or asked.labelled:
        whole, before, reasons = _before(setting, source, asked, filter, wide)
    why_source = [*asked.why.get("source", ()), *reasons]
    why: dict[Name, Sequence[str]] = {"target": why_target, "source": why_source}
    if not there:
        return Run(Searched(replace(check, note="; ".join(why_target)), MEASURES), found, whole, why)

    notes, unknown = [*why_target, *why_source], set(MEASURES if len(there) < len(found) else ())
    # with a filter that only the target can run there is no overlap to miss
    plain = [n for n in there if asked.filters[n] is None] or there
    if filter is None and any(before[n] is None for n in plain):
        unknown.add("overlap")

    exact: list[Ranked | None] = [None] * len(found)
    alone = len(found) == 1 and asked.itself[0] is not None  # it does not show that there is another record to find
    if not target.capabilities.searchable:
        notes.append("recall is 1 by definition: the target compares every record and has no index that could miss one")
    else:
        exact, refused = _of_target(setting, target, asked, filter, wide, exact=True)
        if refused:
            notes += [f"the target cannot search exactly: {each}" for each in refused]
            unknown.add("recall")
        elif not any(exact) and (any(found) or (filter is None and not alone)):
            if asked.field.index is not None and asked.field.index.type == "flat":
                notes.append("recall is 1 by definition: the target has no approximate index")
            else:
                notes.append("recall is not known: exact search finds nothing")
                unknown.add("recall")

    pairs = [(a, b) for a, b in zip(before, found, strict=True) if a is not None and b is not None]
    if not any(a or b for a, b in pairs):
        if pairs and filter is not None:
            notes.append("the filter matches no record on either side, so it shows nothing")
            pairs = []
        elif pairs and not alone:
            notes.append("overlap is not known: neither side finds anything")
            unknown.add("overlap")
            pairs = []
    overlaps = [overlap(a, b) for a, b in pairs]
    recalls = [recall(a, b) for a, b in zip(found, exact, strict=True) if a is not None and b]
    check = replace(
        check,
        queries=len(there),
        overlap=interval(overlaps),
        perfect=sum(each == 1 for each in overlaps) if pairs else None,
        recall=interval(recalls),
        overlaps=tuple(overlaps),
        recalls=tuple(recalls),
        note="; ".join(dict.fromkeys(notes)),
    )
    return Run(Searched(check, tuple(each for each in MEASURES if each in unknown)), found, whole, why)


def _of_target(
    setting: Setting, target: Source, asked: Asked, filter: Filter | None, k: int, exact: bool = False
) -> tuple[list[Ranked | None], list[str]]:
    collection, name = setting.target.collection, asked.field.name
    results, refused = hits_of(target, collection, asked, asked.of_target, name, k, filter, exact)
    nothing = frozenset[Key]()
    return [_cut(hits, each, nothing, setting.top_k) for hits, each in zip(results, asked.itself, strict=True)], refused


def _before(
    setting: Setting, source: Source, asked: Asked, filter: Filter | None, wide: int
) -> tuple[list[Ranked | None], list[Ranked | None], list[str]]:
    """Return what the source finds, that with what the target need not hold left out, to be compared, and why not all."""
    nothing: list[Ranked | None] = [None] * len(asked.of_source)
    reason = _unasked(setting, asked)
    if reason is not None:
        return nothing, nothing, [f"{UNMEASURED}{reason}"]
    origin = setting.shapes.origin(asked.field.name)
    assert origin is not None, "else it is not asked"
    other_metric = origin.metric != asked.field.metric and not setting.shapes.reembedded(asked.field.name)
    reasons = []
    if other_metric:
        reasons.append(f"{UNMEASURED}the source's metric is {origin.metric}, the target's {asked.field.metric}")
        if not asked.labelled:
            return nothing, nothing, reasons
    queries = [*asked.of_source]
    for own in dict.fromkeys(asked.filters):
        if changed := _changed_fields(setting, source, asked.known, both(own, filter)):
            why = f"the migration changes {', '.join(changed)}, by which the filter selects"
            reasons.append(f"{UNMEASURED}{why}")
            queries = [None if each == own else query for query, each in zip(queries, asked.filters, strict=True)]
    where = both(setting.shapes.conversion.where, filter)  # the target holds no other records
    more = min(len(setting.excluded), EXCLUDED_ASKED)
    results, refused = hits_of(source, setting.source.collection, asked, queries, origin.name, wide + more, where)
    reasons += [f"the source cannot run this search: {each}" for each in refused]
    whole, left = (
        [_cut(hits, itself, out, setting.top_k) for hits, itself in zip(results, asked.itself, strict=True)]
        for out in (frozenset[Key](), setting.excluded)
    )
    return whole, nothing if other_metric else left, reasons


def _cut(hits: Hits | None, itself: Key | None, excluded: frozenset[Key], k: int) -> Ranked | None:
    """Return the k nearest, without the record that the query is."""
    if hits is None:
        return None
    return without(hits, excluded if itself is None else {itself, *excluded}, k)


def _unasked(setting: Setting, asked: Asked) -> str | None:
    """Return why the source's results could not be the target's even if all went well."""
    conversion = setting.shapes.conversion
    if conversion.limit is not None:
        return f"the migration takes only {conversion.limit:,} records of the source"
    if conversion.namespace_from is not None:
        return "the source's namespaces are not the target's"
    if setting.shapes.origin(asked.field.name) is None:
        name = setting.shapes.origin_name(asked.field.name)
        return f"the source has no vector {name!r}" if name else "the source has no vectors"
    return None


def _changed_fields(setting: Setting, source: Source, records: RecordBatch | None, filter: Filter | None) -> list[str]:
    """Return the filter's fields whose values the conversion changes, as some records show."""
    if filter is None:
        return []
    rules = [rule for rule in setting.shapes.conversion.fields if {rule.name, rule.source} & fields_of(filter)]
    changed = {rule.name for rule in rules if rule.drop or rule.name != rule.source}
    typed = [rule.name for rule in rules if rule.type is not None and rule.name not in changed]
    if typed and records is not None:
        some = records.slice(0, COMPARED_VALUES)
        raw = source.fetch(setting.source.collection, some.keys)
        before = dict(zip(raw.keys, map(loads, raw.bytes_of("metadata")), strict=True))
        for key, text in zip(some.keys, some.bytes_of("metadata"), strict=True):
            after = loads(text)
            changed |= {name for name in typed if key in before and _value(before[key], name) != _value(after, name)}
    return sorted(changed)


def _value(metadata: Mapping[str, object], name: str) -> bytes:
    return canonical(dumps({name: metadata.get(name)}))
