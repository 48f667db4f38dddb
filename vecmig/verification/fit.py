"""Whether the user's own queries can be asked: seen before anything is moved."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from itertools import islice

from vecmig.errors import Position, Problem
from vecmig.migration import Migration
from vecmig.model.collection import Collection as Schema
from vecmig.model.collection import VectorField
from vecmig.model.filter import matches
from vecmig.model.metadata import loads
from vecmig.model.plan import Decision
from vecmig.model.query import Golden, Numbers, Query
from vecmig.model.record import Key
from vecmig.planning.declare import conversion_of, declare
from vecmig.protocols import Source
from vecmig.verification.asked import Name
from vecmig.verification.models import models_of
from vecmig.verification.shapes import Shapes

FETCHED = 1000  # records at once
SHOWN = 20  # problems of one file
NAMED = 5  # namespaces


class Unfit(Exception):
    """A vector that cannot be a query; carries a message and a hint."""

    @property
    def hint(self) -> str:
        return str(self.args[1])

    def __str__(self) -> str:
        return str(self.args[0])


def numbers_for(shapes: Shapes, query: Query, vector: VectorField) -> Numbers | None:
    """Return what a query gives for a vector of the target, None where it gives nothing. Raises Unfit."""
    dense = shapes.dense
    known = {each.name for each in dense}
    names = ", ".join(map(repr, sorted(known)))
    for name in query.vectors:
        if name is None and len(dense) > 1 and "" not in known:
            raise Unfit(
                f"the target has several vectors: {names}", f'say which: {{"vector": {{"{dense[0].name}": […]}}}}'
            )
        if name is not None and name not in known:
            raise Unfit(f"the target has no vector {name!r}", f"it has {names}; queries use the target's names")
    unnamed = query.vectors.get(None) if vector.name == "" or len(dense) == 1 else None
    numbers = query.vectors.get(vector.name, unnamed)
    if numbers is None:
        return None
    origin = shapes.origin(vector.name)
    if origin is not None and shapes.reembedded(vector.name):
        raise Unfit(
            "a vector cannot be a query to both sides: the target's are of another model than the source's",
            "give `text`, which each side's own model embeds",
        )
    asked = vector if origin is None else origin
    if len(numbers) != asked.dimensions:
        side = "target" if origin is None else "source"
        raise Unfit(
            f"a vector of {len(numbers):,} numbers, and those of the {side} have {asked.dimensions:,}",
            "give one that its model made, or `text`",
        )
    return numbers


def unfit_queries(
    migration: Migration, source: Schema, namespaces: Collection[str], decisions: Mapping[str, Decision]
) -> list[Problem]:
    """Return what is wrong with the migration's queries, held against the source as it is.

    Vectors of another length, texts that nothing embeds, unknown namespaces, and relevant ids that the source does not
    hold. With `namespace_from` the source's keys are not known, and the last two are not looked at. Where the source is
    empty, nothing is.
    """
    golden = migration.golden
    if golden is None or not namespaces:
        return []
    declared = declare(migration, source, None, decisions=decisions)
    shapes = Shapes(source, declared, conversion_of(migration, source, declared, decisions))
    found = [*_vectors(golden, shapes), *_models(migration, golden, source, decisions, shapes)]
    if migration.namespace_from is None:
        found += _places(golden, namespaces)
        with closing(migration.source.open_source()) as store:
            found += islice(_ids(migration, golden, namespaces, store), SHOWN)
    more = len(found) - SHOWN
    last = (
        [_problem(golden, golden.queries[0], f"and more: only the first {SHOWN} problems are told")] if more > 0 else []
    )
    return found[:SHOWN] + last


def _vectors(golden: Golden, shapes: Shapes) -> Iterator[Problem]:
    for query in golden.queries:
        try:
            for vector in shapes.dense:
                numbers_for(shapes, query, vector)
        except Unfit as unfit:
            yield _problem(golden, query, str(unfit), unfit.hint)


def _models(
    migration: Migration, golden: Golden, source: Schema, decisions: Mapping[str, Decision], shapes: Shapes
) -> Iterator[Problem]:
    """Yield a problem for each vector that no text can be held against: nothing of it would ever be decided."""
    first = next((query for query in golden.queries if query.text is not None), None)
    if first is None:
        return
    known = models_of(migration, source, decisions)
    for vector in shapes.dense:
        sides: tuple[Name, ...] = ("target",) if shapes.reembedded(vector.name) else ("target", "source")
        names = [known[side, vector.name][0] for side in sides if (side, vector.name) in known]
        if any(migration.provider_of(name) is not None for name in names):
            continue
        where = f"vector {vector.name!r}: " if vector.name else ""
        why = f"nothing here embeds with {names[0]}" if names else "nothing says which model made the vectors"
        hint = (
            f"give a provider in `providers` (`{names[0].partition('/')[0]}: {{type: openai, base_url: …}}`), or"
            if names
            else "say it in `embedding: {model: provider/model}` of the source, or"
        )
        yield _problem(golden, first, f"{where}queries are texts, and {why}", f"{hint} give vectors as queries")


def _places(golden: Golden, namespaces: Collection[str]) -> Iterator[Problem]:
    known = ", ".join(map(repr, sorted(namespaces)[:NAMED])) + (" …" if len(namespaces) > NAMED else "")
    for query in golden.queries:
        name = query.namespace_in(namespaces)
        if name not in namespaces and query.namespace is None:
            yield _problem(golden, query, f"the source has several namespaces: {known}", "say which: `namespace`")
        elif name not in namespaces:
            yield _problem(golden, query, f"the source has no namespace {name!r}", f"it has {known}")


def _ids(migration: Migration, golden: Golden, namespaces: Collection[str], store: Source) -> Iterator[Problem]:
    """Yield a problem for each line whose relevant ids are not moved."""
    keys_of = {
        query.line: [Key(name, id) for id, grade in query.relevant.items() if grade > 0]
        for query in golden.queries
        if (name := query.namespace_in(namespaces)) in namespaces
    }
    keys = sorted({key for found in keys_of.values() for key in found})
    held: dict[Key, bool] = {}  # whether `where` takes it
    for start in range(0, len(keys), FETCHED):
        records = store.fetch(migration.source.options.collection, keys[start : start + FETCHED])
        for key, metadata in zip(records.keys, records.bytes_of("metadata"), strict=True):
            held[key] = migration.where is None or matches(migration.where, loads(metadata))
    for query in golden.queries:
        asked = keys_of.get(query.line, [])
        unknown = [key for key in asked if key not in held]
        left_out = [key for key in asked if not held.get(key, True)]
        if unknown:
            more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
            message = f"`relevant` names {unknown[0]}{more}, which the source does not hold"
            yield _problem(golden, query, message, "ids are those of the records, as texts")
        if left_out:
            message = f"`relevant` names {left_out[0]}, which `where` leaves out of the migration"
            yield _problem(golden, query, message, "such an id can never be found: leave it out")


def _problem(golden: Golden, query: Query, message: str, hint: str = "") -> Problem:
    return Problem(message, Position(golden.file, query.line, 1), hint=hint)
