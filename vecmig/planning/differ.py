"""What of an existing target differs from what the spec declares: what can change in place, and what cannot."""

from vecmig.model.collection import Collection, Index, VectorField


def rebuilds(declared: Collection, actual: Collection) -> list[str]:
    """Return the differences that only a new collection can bring about."""
    now = {vector.name: vector for vector in actual.vectors}
    reasons = []
    for vector in declared.vectors:
        label = f"vector {vector.name!r} " if vector.name else ""
        if vector.name not in now:
            reasons.append(f"{label or 'the vector '}is not there")
            continue
        reasons += [
            f"{label}{key} {getattr(now[vector.name], key)} -> {getattr(vector, key)}"
            for key in ("dimensions", "metric", "kind")
            if getattr(now[vector.name], key) != getattr(vector, key) and not _is_unknown(now[vector.name], key)
        ]
    declared_names = {vector.name for vector in declared.vectors}
    reasons += [f"vector {name!r} is there, the spec has none" for name in now if name not in declared_names]
    types = {field.name: field.type for field in actual.fields}
    for field in declared.fields:
        if field.name not in types:
            reasons.append(f"field {field.name!r} is not a typed field there")
        elif types[field.name] != field.type:
            reasons.append(f"field {field.name!r} {types[field.name]} -> {field.type}")
    if declared.namespaced and actual.namespaced is False:
        reasons.append("records have namespaces, and it has no place for them")
    if declared.model and actual.model and declared.model != actual.model:
        reasons.append(f"model {actual.model} -> {declared.model}")
    return reasons


def index_changes(declared: Collection, actual: Collection | None) -> list[str]:
    """Return what of the indexes differs, as lines for people; what the spec leaves open agrees with anything."""
    now = {vector.name: vector for vector in actual.vectors} if actual else {}
    lines = []
    for vector in declared.vectors:
        if vector.index is None:
            continue  # the store's own business
        lines += _index(vector, now[vector.name].index if vector.name in now else None)
    fields = {field.name: field for field in actual.fields} if actual else {}
    for field in declared.fields:
        there = fields.get(field.name)
        lines += [
            f"{label} index on {field.name}"
            for key, label in (("filter", "filter"), ("search", "text"))
            if getattr(field, key) and not (there and getattr(there, key))
        ]
    if actual is not None:
        set_ = dict(actual.settings)
        lines += [
            f"{key} {set_.get(key, 'none')} -> {value}" for key, value in declared.settings if set_.get(key) != value
        ]
    return lines


def _is_unknown(vector: VectorField, key: str) -> bool:
    """Return whether nobody knows it yet: dimensions that no store declared, before the first record."""
    return key == "dimensions" and not vector.dimensions and vector.kind != "sparse"


def _index(vector: VectorField, actual: Index | None) -> list[str]:
    label = f"index of {vector.name}" if vector.name else "index"
    declared = vector.index or Index("flat")
    there = actual or Index("flat")
    if declared.type != there.type:
        return [f"{label} {there.type if there.type != 'flat' else 'none'} -> {declared.type}"]
    return [
        f"{label} {key} {getattr(there, key)} -> {getattr(declared, key)}"
        for key in ("m", "ef_construction", "lists")
        if getattr(declared, key) is not None and getattr(declared, key) != getattr(there, key)
    ]
