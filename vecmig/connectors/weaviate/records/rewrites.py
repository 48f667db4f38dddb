"""What of some records Weaviate would hold in another form: it comes back as it was, and an application sees the form."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal

from vecmig.connectors.weaviate.limits import EXACT
from vecmig.connectors.weaviate.records import ids
from vecmig.connectors.weaviate.records.validate import problems
from vecmig.connectors.weaviate.records.values import fits
from vecmig.connectors.weaviate.schema import names
from vecmig.connectors.weaviate.schema.layout import TYPES
from vecmig.connectors.weaviate.schema.names import ID, JSON
from vecmig.model.batch import RecordBatch, Rejected
from vecmig.model.collection import Collection, Field
from vecmig.model.metadata import loads

SHOWN = 5  # fields, or namespaces
_Seen = dict[str, Counter[str]]  # why a value is in no property of its own -> fields, each with how many records


def rewrites(declared: Collection, sample: RecordBatch) -> Iterator[str]:
    """Yield a line for each kind of change that these records show. `declared` is complete."""
    total = len(sample)
    if count := sum(not ids.is_kept(id) for id in sample.strings("id")):
        yield (
            f"{count:,} of {total:,} sampled ids are no UUIDs as Weaviate writes them: such a record gets the UUID (version 5)"
            f" that follows from namespace and id, and the id itself stands in the property `{ID}`"
        )
    if declared.namespaced:
        yield from _of_tenants(sorted(set(sample.strings("namespace"))))
    if renamed := names.renamed(names.properties(field.name for field in declared.fields)):
        pairs = [f"`{name}` is the property `{stored}`" for stored, name in renamed.items()]
        yield f"{_listed(pairs)}: Weaviate takes no such name, and begins each with a small letter"
    yield from _of_values({field.name: field for field in declared.fields}, declared.mark is not None, sample)


def rejects(declared: Collection, sample: RecordBatch) -> list[Rejected]:
    """Return which of these records would not be held. Whether an adopted collection holds their ids, only it can tell."""
    reasons = problems(declared.vectors, sample, has_tenants=declared.namespaced is not False, has_id=True)
    keys = sample.keys
    return [Rejected(keys[row], reason) for row, reason in sorted(reasons.items())]


def _of_tenants(namespaces: list[str]) -> Iterator[str]:
    pairs = []
    for each in namespaces:
        with suppress(ValueError):  # its records are among those that are rejected
            if (tenant := names.tenant(each)) != each:
                pairs.append(f"namespace {each!r} is the tenant `{tenant}`")
    if pairs:
        yield f"{_listed(pairs)}: Weaviate takes letters, digits, `-` and `_` only"


def _of_values(fields: Mapping[str, Field], is_ours: bool, sample: RecordBatch) -> Iterator[str]:
    """Say where values go that do not come back equal from a property: see `metadata`, which does just that."""
    seen: _Seen = {}
    empty = Counter[str]()
    for text in sample.bytes_of("metadata"):
        try:
            metadata = loads(text)
        except ValueError:
            continue  # it would be put aside
        for name, value in metadata.items():
            field = fields.get(name)
            if value == [] and field is not None and field.filter:
                empty[name] += 1
            if why := _why(field, value, is_ours):
                seen.setdefault(why, Counter())[name] += 1
    where = (
        f"stands as JSON in the property `{JSON}`, where no filter and no search finds it"
        if is_ours
        else "has no place in this collection, which vecmig did not make, so such records would be refused: drop or convert"
        " it with `fields`"
    )
    for why, counts in seen.items():
        yield f"{why} ({_listed([f'`{name}`' for name, _ in counts.most_common()])}) {where}"
    if empty:
        yield (
            f"an empty list ({_listed([f'`{name}`' for name in empty])}) is kept, and a filter takes it for a value that is"
            " not there"
        )


def _why(field: Field | None, value: object, is_ours: bool) -> str | None:
    """Return why a value is in no property of its own, or None."""
    if value is None:
        return "null, which Weaviate drops,"
    if field is None:
        # in a collection of others there may be a property of a type that fields do not have
        return "an object, a mixed list, or what is of several types in several records" if is_ours else None
    if fits(TYPES[field.type], value):
        return None
    if any(_is_beyond(each) for each in (value if isinstance(value, list) else [value])):
        return "an integer over 2**53, which Weaviate would round,"
    if field.type.startswith("datetime"):
        return "a time that is not written as Weaviate writes it, such as one without a zone,"
    return f"what is no {field.type}"


def _is_beyond(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not -EXACT <= value <= EXACT


def _listed(every: list[str]) -> str:
    return ", ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else "")
