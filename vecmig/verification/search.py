"""Is search as good as before? Records of the source are the queries, on both sides."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from vecmig.comparison.reading import Side
from vecmig.errors import UnsupportedError
from vecmig.model.batch import RecordBatch, column_of
from vecmig.model.collection import Collection as Schema
from vecmig.model.collection import VectorField
from vecmig.model.filter import All, Filter, describe, fields_of
from vecmig.model.metadata import canonical, dumps, loads
from vecmig.model.plan import Conversion
from vecmig.model.record import Key
from vecmig.model.report import SearchCheck
from vecmig.protocols import Hits, Search, Source
from vecmig.verification.measure import interval, overlap, recall, without

EXCLUDED_ASKED = 100  # so many more neighbours are asked of the source, for rejected records are left out
COMPARED_VALUES = 50  # records that show whether a conversion left a field as it was


@dataclass(frozen=True, slots=True)
class Searched:
    check: SearchCheck
    unknown: tuple[str, ...] = ()  # measures that this check ought to have given, but could not
    other_model: bool = (
        False  # each side was asked with a vector of its own model: the overlap is shown, and gates nothing
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """What all checks of one verification share."""

    source: Side
    target: Side
    schemas: tuple[Schema | None, Schema]  # of the source as it is, of the target as it is declared
    conversion: Conversion
    excluded: frozenset[Key]
    top_k: int


def search_checks(setting: Setting, samples: Mapping[str, RecordBatch], filters: Sequence[Filter]) -> list[Searched]:
    """Run the records of `samples`, by namespace, as queries: with each vector, without a filter and with each."""
    results: list[Searched] = []
    with closing(setting.source.open()) as source, closing(setting.target.open()) as target:
        for field in setting.schemas[1].vectors:
            if field.kind == "sparse":
                continue
            for namespace, records in sorted(samples.items()):
                if f"vector:{field.name}" not in records.names:  # made of texts, and not in the cache any more
                    records = target.fetch(setting.target.collection, records.keys)
                rows, queries = records.present_vectors(field.name)
                if len(rows):
                    asked = _Asked(field, namespace, records.take(rows), queries)
                    results += [_check(setting, source, target, asked, each) for each in (None, *filters)]
    return results


@dataclass(frozen=True, slots=True)
class _Asked:
    field: VectorField  # of the target
    namespace: str
    records: RecordBatch
    queries: "np.ndarray[tuple[int, int], np.dtype[np.float32]]"  # (q, d), their vectors

    def search(self, k: int, vector: str, filter: Filter | None, exact: bool = False) -> Search:
        return Search(self.queries, k + 1, vector, self.namespace, filter, self.field.index, exact)

    def of_source(self, raw: RecordBatch, vector: str) -> "_Asked":
        """Return these queries with the vectors that the source itself holds. `raw`: the same records, as they are there.

        A record whose vector the source lacks keeps none: then nothing is found near it.
        """
        row_of = {key: row for row, key in enumerate(raw.keys)}
        rows, vectors = raw.present_vectors(vector)
        held = dict(zip(rows.tolist(), vectors, strict=True))
        kept = [n for n, key in enumerate(self.records.keys) if row_of.get(key) in held]
        own = np.array([held[row_of[self.records.keys[n]]] for n in kept], np.float32).reshape(len(kept), -1)
        return _Asked(self.field, self.namespace, self.records.take(kept), own)


def _check(setting: Setting, source: Source, target: Source, asked: _Asked, filter: Filter | None) -> Searched:
    keys, k = asked.records.keys, setting.top_k
    other_model = any(rule.name == asked.field.name for rule in setting.conversion.embed)
    notes: list[str] = []
    unknown: list[str] = []
    try:
        results = target.search(setting.target.collection, asked.search(k, asked.field.name, filter))
    except UnsupportedError as error:
        text = describe(filter) if filter is not None else ""
        check = SearchCheck(asked.field.name, asked.namespace, text, 0, k, note=f"the target cannot search so: {error}")
        return Searched(check, ("overlap", "recall"), other_model)
    found = _cut(results, keys, (), k)
    before: list[list[tuple[Key, float]]] | None = None
    reason = _incomparable(setting, source, asked, filter)
    if reason is not None:
        notes.append(f"overlap is not measured: {reason}")
        if filter is None:
            unknown.append("overlap")
    else:
        try:
            before = _of_source(setting, source, asked, filter)
        except UnsupportedError as error:
            notes.append(f"the source cannot run this search: {error}")
            if filter is None:
                unknown.append("overlap")
    exact: list[list[tuple[Key, float]]] | None = None
    if not target.capabilities.searchable:
        notes.append("recall is 1 by definition: the target compares every record and has no index that could miss one")
    else:
        try:
            search = asked.search(k, asked.field.name, filter, exact=True)
            exact = _cut(target.search(setting.target.collection, search), keys, (), k)
        except UnsupportedError as error:
            notes.append(f"the target cannot search exactly: {error}")
            unknown.append("recall")
    alone = len(keys) == 1  # one query does not show that there is another record to find
    if before is not None and filter is None and not alone and not any(before) and not any(found):
        notes.append("overlap is not known: neither side finds anything")
        unknown.append("overlap")
        before = None
    if exact is not None and not any(exact) and (any(found) or (filter is None and not alone)):
        if asked.field.index is not None and asked.field.index.type == "flat":
            notes.append("recall is 1 by definition: the target has no approximate index")
        else:
            notes.append("recall is not known: exact search finds nothing")
            unknown.append("recall")
    if before is not None and filter is not None and not any(before) and not any(found):
        notes.append("the filter matches no record on either side, so it shows nothing")
        before = None
    overlaps = [overlap(a, b) for a, b in zip(before, found, strict=True)] if before is not None else []
    recalls = [recall(a, b) for a, b in zip(found, exact, strict=True) if b] if exact is not None else []
    check = SearchCheck(
        vector=asked.field.name,
        namespace=asked.namespace,
        filter=describe(filter) if filter is not None else "",
        queries=len(keys),
        top_k=k,
        overlap=interval(overlaps),
        perfect=sum(each == 1 for each in overlaps) if before is not None else None,
        recall=interval(recalls),
        overlaps=tuple(overlaps),
        recalls=tuple(recalls),
        note="; ".join(notes),
    )
    return Searched(check, tuple(unknown), other_model)


def _of_source(setting: Setting, source: Source, asked: _Asked, filter: Filter | None) -> list[list[tuple[Key, float]]]:
    where = setting.conversion.where  # the target holds no other records
    parts = tuple(each for each in (where, filter) if each is not None)
    more = min(len(setting.excluded), EXCLUDED_ASKED)
    name, keys = _source_name(setting, asked), asked.records.keys
    if any(rule.name == asked.field.name for rule in setting.conversion.embed):
        asked = asked.of_source(source.fetch(setting.source.collection, keys), name)
    search = asked.search(setting.top_k + more, name, All(parts) if len(parts) > 1 else (*parts, None)[0])
    hits = source.search(setting.source.collection, search) if len(asked.records) else []
    found = dict(zip(asked.records.keys, _cut(hits, asked.records.keys, setting.excluded, setting.top_k), strict=True))
    return [found.get(key, []) for key in keys]


def _cut(
    results: Sequence[Hits], queries: Sequence[Key], excluded: Collection[Key], k: int
) -> list[list[tuple[Key, float]]]:
    """Return each query's k nearest, without the record that the query is."""
    return [without(hits, {key, *excluded}, k) for key, hits in zip(queries, results, strict=True)]


def _source_name(setting: Setting, asked: _Asked) -> str:
    rules = {rule.name: rule.source for rule in setting.conversion.vectors}
    rules |= {rule.name: rule.before for rule in setting.conversion.embed if rule.before is not None}
    return rules.get(asked.field.name, asked.field.name)


def _incomparable(setting: Setting, source: Source, asked: _Asked, filter: Filter | None) -> str | None:
    """Return why the source's results could not be the target's even if all went well."""
    conversion, schema = setting.conversion, setting.schemas[0]
    if conversion.limit is not None:
        return f"the migration takes only {conversion.limit:,} records of the source"
    if conversion.namespace_from is not None:
        return "the source's namespaces are not the target's"
    if any(rule.name == asked.field.name and rule.before is None for rule in setting.conversion.embed):
        return "the source has no vectors"
    name = _source_name(setting, asked)
    fields = {column_of(each): each for each in schema.vectors} if schema else {}
    field = fields.get(f"vector:{name}")
    if field is None:
        return f"the source has no vector {name!r}"
    if field.metric != asked.field.metric:
        return f"the source's metric is {field.metric}, the target's {asked.field.metric}"
    if filter is not None and (changed := _changed_fields(setting, source, asked.records, filter)):
        return f"the migration changes {', '.join(changed)}, by which the filter selects"
    return None


def _changed_fields(setting: Setting, source: Source, records: RecordBatch, filter: Filter) -> list[str]:
    """Return the filter's fields whose values the conversion changes, as some records show."""
    rules = [rule for rule in setting.conversion.fields if {rule.name, rule.source} & fields_of(filter)]
    changed = {rule.name for rule in rules if rule.drop or rule.name != rule.source}
    typed = [rule.name for rule in rules if rule.type is not None and rule.name not in changed]
    if typed:
        some = records.slice(0, COMPARED_VALUES)
        raw = source.fetch(setting.source.collection, some.keys)
        before = dict(zip(raw.keys, map(loads, raw.bytes_of("metadata")), strict=True))
        for key, text in zip(some.keys, some.bytes_of("metadata"), strict=True):
            after = loads(text)
            changed |= {name for name in typed if key in before and _value(before[key], name) != _value(after, name)}
    return sorted(changed)


def _value(metadata: Mapping[str, object], name: str) -> bytes:
    return canonical(dumps({name: metadata.get(name)}))
