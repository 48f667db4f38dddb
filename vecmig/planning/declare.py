"""What the target must be: the spec and the source's own shape, as one Collection; and how records get there."""

from collections.abc import Mapping

from msgspec.structs import replace

from vecmig.errors import GuardError, UnsupportedError
from vecmig.migration import Embedding, Migration, VectorChoice
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Conversion, Decision, EmbedRule, VectorRule
from vecmig.planning.decide import decide


def choices_of(migration: Migration, source: Collection) -> tuple[VectorChoice, ...]:
    """Return the vectors of the target: those that the spec lists, else all of the source, else the one without a name."""
    own = tuple(VectorChoice(vector.name, vector.name) for vector in source.vectors)
    return migration.vectors or own or (VectorChoice("", ""),)


def asked_of(migration: Migration, choice: VectorChoice) -> Embedding:
    """Return what a vector of the target must be."""
    return choice.embedding.over(migration.embedding.over(migration.target.embedding))


def decisions_of(migration: Migration, source: Collection, known: Mapping[str, Decision]) -> dict[str, Decision]:
    """Return how each dense vector of the target comes about; `known`: what was decided by evidence."""
    stored = {vector.name: vector for vector in source.vectors}
    given = migration.source.embedding.model or source.model
    found = {}
    for choice in choices_of(migration, source):
        vector = stored.get(choice.source)
        if vector is not None and vector.kind == "sparse":
            continue  # `embedding` is about dense vectors
        found[choice.name] = known.get(choice.name) or decide(choice.name, vector, asked_of(migration, choice), given)
    return found


def declare(
    migration: Migration,
    source: Collection,
    mark: str | None,
    namespaced: bool | None = None,
    actual: Collection | None = None,
    decisions: Mapping[str, Decision] = {},
) -> Collection:
    """Return the target as it is to be. Raises UnsupportedError, with every reason, if the store cannot hold it, or

    the vectors cannot be had; GuardError where the evidence speaks against what the spec asks for. `namespaced`: whether
    the records have namespaces. `actual`: the target as it is; None: there is none. `decisions`: by evidence.
    """
    known = {vector.name: vector for vector in source.vectors}
    choices = choices_of(migration, source)
    decided = decisions_of(migration, source, decisions)
    reasons = [
        f"the source has no vector {choice.source!r}; it has {', '.join(map(repr, known))}"
        for choice in choices
        if known and choice.source not in known and not _is_new(migration, choice)
    ]
    if reasons:
        raise UnsupportedError(_refusal(migration, reasons))
    if stopped := [f"{_named(each)}{each.stopped}" for each in decided.values() if each.stopped]:
        raise GuardError(_refusal(migration, stopped))
    reasons += [f"{_named(each)}{each.refused}" for each in decided.values() if each.refused]
    vectors = [_vector(migration, choice, known.get(choice.source), decided.get(choice.name)) for choice in choices]
    model = (
        migration.embedding.model
        or migration.target.embedding.model
        or migration.source.embedding.model
        or source.model
    )
    options = migration.target.options
    shape = Collection(options.collection, tuple(vectors), migration.fields, mark, model, namespaced)
    declared = options.complete(shape, actual)
    for before, after in zip(vectors, declared.vectors, strict=True):
        if (before.kind == "sparse") != (after.kind == "sparse"):
            reasons.append(f"vector {before.name!r} is {before.kind} in the source and would be {after.kind} here")
    reasons += [
        f"no record of the source has {f'the vector {each.name!r}' if each.name else 'a vector'}, so nothing says how many"
        " dimensions it is to have: leave it out (`vectors` names those to take), or let it be made of texts (`embedding`)"
        for each in declared.vectors
        if not each.dimensions and each.kind != "sparse"
    ]
    reasons += options.refusals(declared)
    if reasons:
        raise UnsupportedError(_refusal(migration, reasons))
    return declared


def _is_new(migration: Migration, choice: VectorChoice) -> bool:
    """Return whether a vector that the source does not have is to be made of texts."""
    own = choice.embedding
    return choice.source == choice.name and own.model is not None and asked_of(migration, choice).text is not None


def _vector(
    migration: Migration, choice: VectorChoice, stored: VectorField | None, decided: Decision | None
) -> VectorField:
    metric = choice.metric or migration.metric or (stored.metric if stored else "cosine")
    index = choice.index or migration.index
    if stored is not None and stored.kind == "sparse":
        return VectorField(choice.name, stored.dimensions, metric, "sparse", index)
    assert decided is not None
    return VectorField(choice.name, decided.dimensions, metric, "float32", index)


def _named(decided: Decision) -> str:
    return f"vector {decided.vector!r}: " if decided.vector else ""


def conversion_of(
    migration: Migration, source: Collection, declared: Collection, decisions: Mapping[str, Decision] = {}
) -> Conversion:
    """Return how a record of the source becomes one of the target."""
    decided = decisions_of(migration, source, decisions)
    choices = {choice.name: choice for choice in choices_of(migration, source)}
    kept, embed = [], []
    for vector in declared.vectors:
        choice, how = choices[vector.name], decided.get(vector.name)
        if how is not None and how.how == "reembed":
            asked = asked_of(migration, choice)
            assert how.model is not None
            assert asked.text is not None
            embed.append(
                EmbedRule(
                    vector.name,
                    how.model,
                    how.dimensions,
                    asked.text,
                    choice.source if how.before else None,
                    asked.keep_text,
                    asked.too_long,
                    vector.kind,
                )
            )
        else:
            cut = how.dimensions if how is not None and how.how == "truncate" else None
            kept.append(VectorRule(vector.name, choice.source, vector.kind, cut))
    plain = not embed and all(
        rule == VectorRule(rule.source, rule.source, source.vector(rule.source).kind) for rule in kept
    )
    keeps_all = plain and len(kept) == len(source.vectors)
    return Conversion(
        fields=migration.rules,
        vectors=() if keeps_all else tuple(kept),
        embed=tuple(embed),
        where=migration.where,
        limit=migration.limit,
        namespace_from=migration.namespace_from,
    )


def without_index(collection: Collection) -> Collection:
    """Return what of a collection cannot be changed in place: without its indexes."""
    vectors = tuple(replace(vector, index=None) for vector in collection.vectors)
    fields = tuple(replace(field, filter=False, search=False) for field in collection.fields)
    return replace(collection, vectors=vectors, fields=fields, settings=())


def _refusal(migration: Migration, reasons: list[str]) -> str:
    lines = "\n".join(f"  - {reason}" for reason in reasons)
    return f"{migration.name}: {migration.target.label} cannot become what the spec asks for\n{lines}"
