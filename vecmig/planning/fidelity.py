"""What happens to the metadata and the vectors, as a sample shows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from vecmig.conversion.cast import cast, kind_of, loses_digits
from vecmig.conversion.convert import Converted
from vecmig.model.batch import RecordBatch, Rejected, column_of
from vecmig.model.collection import Collection, FieldType, VectorField
from vecmig.model.metadata import canonical, dumps, loads
from vecmig.model.plan import Conversion, Fidelity, FieldRule


def fidelity(
    sample: RecordBatch, converted: Converted, conversion: Conversion, left_out: Sequence[tuple[str, str]] = ()
) -> tuple[Fidelity, ...]:
    """Return a line for each field that the sample shows, those that change first.

    `left_out`: names and types of what the source holds of a record and does not give.
    """
    before = _kinds(sample)
    rules = {rule.source: rule for rule in conversion.fields}
    altered = _altered(sample, converted, conversion)
    unfit, cut = _unfit(sample, conversion), digits_lost(sample, conversion)
    lines = [Fidelity(name, type, "left out", lossless=False) for name, type in left_out]
    for name, kinds in before.items():
        seen = " | ".join(kind for kind, _ in kinds.most_common())
        rule = rules.get(name)
        if rule is None or (rule.type is None and not rule.drop):
            target = seen if rule is None or rule.name == name else f"{rule.name} {seen}"
            lines.append(Fidelity(name, seen, target, lossless=True))
        elif rule.drop:
            lines.append(Fidelity(name, seen, "dropped", lossless=False, note="the spec says `drop`"))
        else:
            target = str(rule.type) if rule.name == name else f"{rule.name} {rule.type}"
            count = altered.get(name, 0)
            if unfit[name]:
                note = f"{unfit[name]:,} sampled values cannot be that"
                lines.append(Fidelity(name, seen, target, lossless=False, note=note))
                continue
            if cut[name]:
                lines.append(
                    Fidelity(name, seen, target, lossless=False, note=f"{cut[name]:,} sampled values lose digits")
                )
                continue
            note = f"{count:,} sampled values are written in another form" if count else ""
            lines.append(Fidelity(name, seen, target, lossless=not count or _same_kind(kinds, rule.type), note=note))
    return tuple(sorted(lines, key=lambda line: (line.lossless, line.source == line.target, line.field)))


def held(batch: RecordBatch, refused: Sequence[Rejected]) -> RecordBatch:
    """Return the records of a sample that are not among those which the target cannot hold."""
    keys = {each.key for each in refused}
    return batch.take([row for row, key in enumerate(batch.keys) if key not in keys]) if keys else batch


def risks_of_sample(batch: RecordBatch, total: int, declared: Collection, consequence: str) -> list[str]:
    """Return what the vectors of a sample warn of. `batch`: those of its `total` records that can be moved.

    `consequence`: what becomes of a record that cannot be moved.
    """
    risks = []
    for vector in declared.vectors:
        if large := _beyond(batch, vector):
            label = f" {vector.name!r}" if vector.name else ""
            risks.append(
                f"{large:,} of {total:,} sampled records have an index in their sparse vector{label} beyond the"
                f" {vector.dimensions:,} that the target takes; {consequence}: name the vectors to take in `vectors`"
            )
        if vector.kind == "sparse" or f"vector:{vector.name}" not in batch.names:
            continue
        rows, matrix = batch.present_vectors(vector.name)
        label = f" {vector.name!r}" if vector.name else ""
        if missing := len(batch) - len(rows):
            risks.append(f"{missing:,} of {total:,} sampled records have no vector{label}: no search finds them")
        zeros = int((~matrix.any(axis=1)).sum()) if len(rows) else 0
        if zeros and vector.metric == "cosine":
            risks.append(f"{zeros:,} of {total:,} sampled vectors{label} are zero: by cosine no index finds them")
    return risks


def rounded(sample: RecordBatch) -> dict[str, int]:
    """Return for how many records a field may hold another integer than was written, in a store of doubles.

    From 2**53 on a double stands for several integers. Such a store gives a double, and what vecmig wrote as text an int.
    """
    found: Counter[str] = Counter()
    for text in sample.bytes_of("metadata"):
        try:
            metadata = loads(text)
        except ValueError:
            continue  # it is among the rejected, which the plan shows
        found.update(name for name, value in metadata.items() if isinstance(value, float) and _may_be_rounded(value))
    return dict(found)


def digits_lost(sample: RecordBatch, conversion: Conversion) -> Counter[str]:
    """Count, for each field that becomes a float, the values whose digits a double does not hold."""
    found: Counter[str] = Counter()
    for name, _, value in _typed(sample, [rule for rule in conversion.fields if rule.type in ("float", "float[]")]):
        found[name] += any(map(loses_digits, value if isinstance(value, list) else [value]))
    return +found


def _beyond(batch: RecordBatch, vector: VectorField) -> int:
    """Count the records with an index that a sparse vector of so many dimensions does not have."""
    if vector.kind != "sparse" or not vector.dimensions or column_of(vector) not in batch.names:
        return 0
    kept = batch.table.column(column_of(vector)).drop_null()
    highest = [max(each["indices"], default=0) for each in kept.to_pylist()]
    return sum(index >= vector.dimensions for index in highest)


def metadata_bytes(sample: RecordBatch) -> int:
    """Return the mean size of the metadata, as text."""
    sizes = [len(text) for text in sample.bytes_of("metadata")]
    return int(np.mean(sizes)) if sizes else 0


def _may_be_rounded(value: float) -> bool:
    return 2**53 <= abs(value) <= 2**64 and value.is_integer()  # a larger one was hardly meant as an integer


def _kinds(sample: RecordBatch) -> dict[str, Counter[str]]:
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for text in sample.bytes_of("metadata"):
        try:
            metadata = loads(text)
        except ValueError:
            continue  # it is among the rejected, which the plan shows
        for name, value in metadata.items():
            kinds[name][kind_of(value)] += 1
    return kinds


def _same_kind(kinds: Counter[str], type: FieldType | None) -> bool:
    # text that is read as a time or a number, and a time written in UTC, keep what they say
    return type is not None and (type.startswith("datetime") or set(kinds) <= {"text", "null"})


def _altered(sample: RecordBatch, converted: Converted, conversion: Conversion) -> Counter[str]:
    """Count, for each typed field, the values whose canonical JSON changes."""
    changed: Counter[str] = Counter()
    after = dict(zip(_ids(converted.batch), converted.batch.bytes_of("metadata"), strict=True))
    typed = [rule for rule in conversion.fields if rule.type and not rule.drop]
    for id, text in zip(_ids(sample), sample.bytes_of("metadata"), strict=True):
        if not typed or id not in after:
            continue
        old, new = loads(text), loads(after[id])
        for rule in typed:
            if rule.source in old and _json(old[rule.source]) != _json(new.get(rule.name)):
                changed[rule.source] += 1
    return changed


def _unfit(sample: RecordBatch, conversion: Conversion) -> Counter[str]:
    """Count, for each typed field, the values that cannot become its type."""
    unfit: Counter[str] = Counter()
    for name, type, value in _typed(sample, conversion.fields):
        try:
            cast(value, type)
        except ValueError:
            unfit[name] += 1
    return unfit


def _typed(sample: RecordBatch, rules: Sequence[FieldRule]) -> Iterator[tuple[str, FieldType, object]]:
    """Yield field, declared type and value of the records."""
    typed = [(rule.source, rule.type) for rule in rules if rule.type and not rule.drop]
    for text in sample.bytes_of("metadata") if typed else ():
        try:
            metadata = loads(text)
        except ValueError:
            continue  # it is among the rejected, which the plan shows
        for name, type in typed:
            yield name, type, metadata.get(name)


def _ids(batch: RecordBatch) -> list[str]:
    return batch.strings("id")


def _json(value: object) -> bytes:
    return canonical(dumps({"": value}))
