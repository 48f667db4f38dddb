"""What the target must be: the spec and the source's own shape, as one Collection; and how records get there."""

from msgspec.structs import replace

from vecmig.errors import UnsupportedError
from vecmig.migration import Embedding, Migration, VectorChoice
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Conversion, VectorRule


def declare(
    migration: Migration,
    source: Collection,
    mark: str | None,
    namespaced: bool | None = None,
    actual: Collection | None = None,
) -> Collection:
    """Return the target as it is to be. Raises UnsupportedError, with every reason, if the store cannot hold it.

    `namespaced`: whether the records have namespaces. `actual`: the target as it is; None: there is none.
    """
    choices = migration.vectors or tuple(VectorChoice(vector.name, vector.name) for vector in source.vectors)
    known = {vector.name: vector for vector in source.vectors}
    reasons = [
        f"the source has no vector {choice.source!r}; it has {', '.join(map(repr, known)) or 'none'}"
        for choice in choices
        if choice.source not in known
    ]
    if reasons:
        raise UnsupportedError(_refusal(migration, reasons))
    vectors = []
    for choice in choices:
        vector = known[choice.source]
        asked, given = (
            choice.embedding.over(migration.embedding.over(migration.target.embedding)),
            migration.source.embedding,
        )
        reasons += _other_embedding(vector, asked, given.model or source.model)
        vectors.append(
            VectorField(
                choice.name,
                vector.dimensions,
                choice.metric or migration.metric or vector.metric,
                "sparse" if vector.kind == "sparse" else "float32",
                choice.index or migration.index,
            )
        )
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
    reasons += options.refusals(declared)
    if reasons:
        raise UnsupportedError(_refusal(migration, reasons))
    return declared


def conversion_of(migration: Migration, source: Collection, declared: Collection) -> Conversion:
    """Return how a record of the source becomes one of the target."""
    sources = {choice.name: choice.source for choice in migration.vectors}
    rules = tuple(VectorRule(v.name, sources.get(v.name, v.name), v.kind) for v in declared.vectors)
    plain = all(rule == VectorRule(rule.source, rule.source, source.vector(rule.source).kind) for rule in rules)
    keeps_all = plain and len(rules) == len(source.vectors)
    return Conversion(
        fields=migration.rules,
        vectors=() if keeps_all else rules,
        where=migration.where,
        limit=migration.limit,
        namespace_from=migration.namespace_from,
    )


def without_index(collection: Collection) -> Collection:
    """Return what of a collection cannot be changed in place: without its indexes."""
    vectors = tuple(replace(vector, index=None) for vector in collection.vectors)
    fields = tuple(replace(field, filter=False, search=False) for field in collection.fields)
    return replace(collection, vectors=vectors, fields=fields, settings=())


def _other_embedding(vector: VectorField, asked: Embedding, model: str | None) -> list[str]:
    if vector.kind == "sparse":
        return []  # `embedding` is about dense vectors
    reasons = []
    if asked.dimensions and asked.dimensions != vector.dimensions:
        reasons.append(
            f"the spec asks for {asked.dimensions:,} dimensions, the source's vectors have {vector.dimensions:,}: "
            "vecmig copies vectors as they are. Correct `embedding.dimensions`, or take a source that has them"
        )
    if asked.model and model and asked.model != model:
        reasons.append(
            f"the spec asks for vectors of {asked.model}, the source's are of {model}: vecmig copies vectors as they "
            "are. Correct `embedding.model`, or take a source that was made with it"
        )
    return reasons


def _refusal(migration: Migration, reasons: list[str]) -> str:
    lines = "\n".join(f"  - {reason}" for reason in reasons)
    return f"{migration.name}: {migration.target.label} cannot become what the spec asks for\n{lines}"
