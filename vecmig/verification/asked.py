"""What is searched for on both sides, and how a store is asked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vecmig.comparison.reading import Side
from vecmig.errors import UnsupportedError
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection as Schema
from vecmig.model.collection import VectorField
from vecmig.model.filter import All, Filter
from vecmig.model.plan import Conversion
from vecmig.model.record import Key
from vecmig.protocols import Hits, Search, Source
from vecmig.verification.shapes import Shapes

Vector = NDArray[np.float32]  # (d,)
# Texts as queries -> (n, d), by a side's own model: by the side and the vector's name in the target. Raises ConnectorError.
Name = Literal["source", "target"]
Embeds = Mapping[tuple[Name, str], Callable[[Sequence[str]], NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Searching:
    """What searches follow from, besides the two sides and what the spec says of them."""

    conversion: Conversion = Conversion()  # how records of the source became those of the target
    declared: Schema | None = None  # the target with the settings of queries that the spec asks for; None: as it is
    embeds: Embeds = field(default_factory=dict)  # where it lacks a side's, nothing is known of what that side finds


AS_IT_IS = Searching()


@dataclass(frozen=True, slots=True)
class Setting:
    """What all checks of one verification share."""

    source: Side
    target: Side
    shapes: Shapes
    excluded: frozenset[Key]
    top_k: int
    namespaces: Collection[str] = ()  # of the target; where the source has the same, those of both
    stop: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Queries with one vector, in one namespace: sequences of one length."""

    field: VectorField  # of the target
    namespace: str
    of_target: Sequence[Vector | None]  # None: the target cannot be asked
    of_source: Sequence[Vector | None]
    itself: Sequence[Key | None]  # the record that a query is, which is no hit
    filters: Sequence[Filter | None]  # a query's own
    known: RecordBatch | None  # records of the namespace after conversion, for what it does to them
    why: Mapping[Name, Sequence[str]]  # why a side cannot be asked with some of them
    labelled: bool = False  # it is known what some of them ought to find


def sampled(
    setting: Setting, source: Source, target: Source, field: VectorField, namespace: str, records: RecordBatch
) -> Asked | None:
    """Return records as queries, by the vector that each side holds of them; None where none has one."""
    own = setting.shapes.reembedded(field.name)
    if own or setting.shapes.shortened_to(field.name) is not None:
        keys = records.keys
        there = _held(target.fetch(setting.target.collection, keys), field.name)
        origin = setting.shapes.origin(field.name) if setting.shapes.conversion.namespace_from is None else None
        before = _held(source.fetch(setting.source.collection, keys), origin.name) if origin else {}
        rows = [n for n, key in enumerate(keys) if key in there and (own or origin is None or key in before)]
        of_target: list[Vector | None] = [there[keys[n]] for n in rows]
        of_source = [before.get(keys[n]) for n in rows]
    else:
        present, vectors = records.present_vectors(field.name)
        rows = present.tolist()
        of_target = of_source = [*vectors]
    if not rows:
        return None
    chosen = records.take(rows)
    return Asked(field, namespace, of_target, of_source, chosen.keys, [None] * len(rows), chosen, {})


def _held(records: RecordBatch, vector: str) -> dict[Key, Vector]:
    if f"vector:{vector}" not in records.names:
        return {}
    rows, vectors = records.present_vectors(vector)
    keys = records.keys
    return {keys[row]: each for row, each in zip(rows.tolist(), vectors, strict=True)}


def hits_of(
    store: Source,
    collection: str,
    asked: Asked,
    queries: Sequence[Vector | None],
    vector: str,
    k: int,
    filter: Filter | None,
    exact: bool = False,
) -> tuple[list[Hits | None], list[str]]:
    """Return what each query finds; None where there is no vector, or the store cannot run it: then with the reasons.

    `filter` holds besides each query's own.
    """
    found: list[Hits | None] = [None] * len(queries)
    reasons: dict[str, None] = {}
    groups: dict[Filter | None, list[int]] = {}
    for n, (query, own) in enumerate(zip(queries, asked.filters, strict=True)):
        if query is not None:
            groups.setdefault(own, []).append(n)
    for own, rows in groups.items():
        together = np.array([queries[n] for n in rows], np.float32)
        search = Search(together, k, vector, asked.namespace, both(own, filter), asked.field.index, exact)
        try:
            for n, hits in zip(rows, store.search(collection, search), strict=True):
                found[n] = hits
        except UnsupportedError as error:
            reasons[str(error)] = None
    return found, list(reasons)


def both(*filters: Filter | None) -> Filter | None:
    """Return a filter that holds where all of these do."""
    parts = tuple(each for each in filters if each is not None)
    return All(parts) if len(parts) > 1 else (*parts, None)[0]
