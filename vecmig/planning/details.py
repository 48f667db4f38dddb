"""What a plan says of the target and of its vectors, as labels and texts."""

from collections.abc import Iterable

import msgspec

from vecmig.migration import Migration
from vecmig.model.collection import Collection, VectorField
from vecmig.model.observed import Observed
from vecmig.model.plan import Conversion, Decision


def details(
    migration: Migration,
    source: Observed,
    target: Observed,
    declared: Collection,
    conversion: Conversion,
    decisions: Iterable[Decision],
) -> tuple[tuple[str, str], ...]:
    """Return all that the plan of a migration says."""
    return (
        *_places(source, target),
        *_embedding_details(decisions),
        *target_details(declared, conversion),
        *_search_settings(migration, declared),
        *_not_applied(migration, declared),
        *_fixed_name(migration, target),
    )


def _places(source: Observed, target: Observed) -> tuple[tuple[str, str], ...]:
    places = [place for place in (source.place, target.place) if place]
    return (("where", " -> ".join(places)),) if places else ()


def target_details(declared: Collection, conversion: Conversion) -> tuple[tuple[str, str], ...]:
    """Return what the target is to be, as labels and texts."""
    found = [("vectors", ", ".join(map(_vector, declared.vectors)))]
    if declared.fields:
        suffix = {(True, True): ", filter and search", (True, False): ", filter", (False, True): ", search"}
        fields = " · ".join(
            f"{field.name} {field.type}{suffix.get((field.filter, field.search), '')}" for field in declared.fields
        )
        found.append(("fields", fields))
    for vector in declared.vectors:
        if vector.index is not None:
            label = f"index {vector.name}".strip()
            found.append((label, f"{_index(vector.index)} {vector.metric}"))
    found += [*declared.settings]
    if conversion.where is not None or conversion.limit is not None:
        found.append(("taken", "those that `where` and `limit` let through"))
    return tuple(found)


def _embedding_details(decisions: Iterable[Decision]) -> tuple[tuple[str, str], ...]:
    """Return how vectors come about, where the spec says something of it, as labels and texts."""
    found = []
    words = {"copy": "COPY", "truncate": "TRUNCATE", "reembed": "RE-EMBED"}
    made = "EMBED"  # where there was no vector
    for each in decisions:
        if each.model is None:
            continue
        after = f"{each.model} ({each.dimensions:,})"
        change = f"{each.before} -> {after}" if each.before not in ("", after) else after
        found.append(
            (f"embedding {each.vector}".strip(), f"{change}  {words[each.how] if each.before else made}: {each.why}")
        )
        if each.evidence:
            found.append(("", each.evidence))
    return tuple(found)


def _search_settings(migration: Migration, declared: Collection) -> tuple[tuple[str, str], ...]:
    """Return what applications have to say for searches like those of the verification."""
    said = migration.target.options.search_settings(declared)
    return (("searches", f"{'; '.join(said)}: verification does, and so must the application"),) if said else ()


def _not_applied(migration: Migration, declared: Collection) -> tuple[tuple[str, str], ...]:
    """Return what the spec says of indexes that the store makes by itself."""
    own = {vector.name for vector in declared.vectors if vector.index is None}
    chosen = [choice.index or migration.index for choice in migration.vectors if choice.name in own]
    asked = chosen or ([migration.index] if own else [])
    given = [key for index in asked for key, value in msgspec.structs.asdict(index).items() if value is not None]
    names = [f"`{key}`" for key in dict.fromkeys(given) if key != "type"]
    if not names:
        return ()
    return (
        (
            "index",
            f"left to {migration.target.type}: {', '.join(names)} {'does' if len(names) == 1 else 'do'} not apply",
        ),
    )


def _fixed_name(migration: Migration, target: Observed) -> tuple[tuple[str, str], ...]:
    """Return what it costs that the target's name cannot be given to another collection, where that is so."""
    if target.collection is not None and migration.target.adopt:
        cost = "adopted, so it keeps its name: a change that needs a rebuild is refused, and another target the way out"
    elif not target.switches:
        cost = (
            f"its own for good, as {migration.target.type} can give it to no other collection here: a rebuild beside it has"
            " another, which the application must be told at the `cutover`"
        )
    else:
        return ()
    return (("name", cost),)


def _vector(vector: VectorField) -> str:
    kinds = {"float32": "", "float16": "as float16", "sparse": "sparse"}
    size = f"{vector.dimensions:,} dimensions" if vector.dimensions else ""  # a sparse one may have no number of them
    return " ".join(part for part in (vector.name, size, kinds[vector.kind]) if part)


def _index(index: object) -> str:
    given = {key: value for key, value in msgspec.structs.asdict(index).items() if value is not None}  # type: ignore[arg-type]
    kind = given.pop("type")
    if kind == "flat":
        return "none: exact search,"
    return " ".join([kind, *(f"{key}={value}" for key, value in given.items())])
