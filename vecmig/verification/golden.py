"""The user's own queries: what each side finds near them and, where that is known, how much of it is relevant."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from vecmig.conversion.convert import shortened
from vecmig.errors import ConnectorError, PluginError, SpecError, UnsupportedError
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import VectorField
from vecmig.model.filter import Filter
from vecmig.model.query import Golden, Query
from vecmig.model.record import Key
from vecmig.model.report import LabelledCheck, Quality
from vecmig.protocols import Source
from vecmig.verification.asked import Asked, Embeds, Name, Setting, Vector
from vecmig.verification.fit import FETCHED, Unfit, numbers_for
from vecmig.verification.ranking import quality
from vecmig.verification.search import UNMEASURED, Ranked, Run, Searched, run


@dataclass(slots=True)
class _Vectors:
    """Queries with one vector: a vector of each side for each, or the reasons why there is none."""

    target: list[Vector | None]
    source: list[Vector | None]
    why: dict[Name, dict[str, None]] = field(default_factory=lambda: {"source": {}, "target": {}})


def golden_checks(
    setting: Setting,
    golden: Golden,
    embeds: Embeds,
    known: dict[str, RecordBatch],
    filters: Sequence[Filter],
) -> tuple[list[Searched], list[LabelledCheck]]:
    """Run the queries with each vector, without a filter but their own and with each of `filters`, too.

    `known`: some records by namespace, after conversion.
    """
    searched: list[Searched] = []
    labelled: list[LabelledCheck] = []
    with closing(setting.source.open()) as source, closing(setting.target.open()) as target:
        for vector in setting.shapes.dense:
            queries = [each for each in golden.queries if each.text is not None or _names(setting, each, vector)]
            vectors = _vectors(setting, embeds, queries, vector)
            places = [query.namespace_in(setting.namespaces) for query in queries]
            runs: list[tuple[list[Query], Run]] = []
            for namespace in sorted(set(places)):
                rows = [n for n, place in enumerate(places) if place == namespace]
                asked = Asked(
                    vector,
                    namespace,
                    [vectors.target[n] for n in rows],
                    [vectors.source[n] for n in rows],
                    [None] * len(rows),
                    [queries[n].filter for n in rows],
                    known.get(namespace),
                    {side: tuple(reasons) for side, reasons in vectors.why.items()},
                    any(queries[n].labelled for n in rows),
                )
                first, *more = (run(setting, source, target, asked, each) for each in (None, *filters))
                runs.append(([queries[n] for n in rows], first))
                searched += [first.searched, *(each.searched for each in more)]
            check = _labelled(setting, vector, runs, target)
            labelled += [check] if check is not None else []
    return searched, labelled


def _names(setting: Setting, query: Query, vector: VectorField) -> bool:
    try:
        return numbers_for(setting.shapes, query, vector) is not None
    except Unfit:
        return True  # it is told as one that cannot be asked


def _vectors(setting: Setting, embeds: Embeds, queries: Sequence[Query], vector: VectorField) -> _Vectors:
    made = _Vectors([None] * len(queries), [None] * len(queries))
    cut, apart = setting.shapes.shortened_to(vector.name), setting.shapes.reembedded(vector.name)
    for n, query in enumerate(queries):
        try:
            numbers = numbers_for(setting.shapes, query, vector)
        except Unfit as unfit:
            for reasons in made.why.values():
                reasons[f"line {query.line} cannot be asked: {unfit}"] = None
            continue
        if numbers is not None:
            given = np.array(numbers, np.float32)
            made.target[n] = given if cut is None else shortened(given[None], cut)[0][0]
            made.source[n] = None if apart else given
    rows = [n for n, query in enumerate(queries) if query.text is not None]
    if not rows:
        return made
    texts = [str(queries[n].text) for n in rows]
    origin = setting.shapes.origin(vector.name)
    of_target, why_target = _embedded(embeds, "target", vector, texts)
    of_source, why_source = _embedded(embeds, "source", vector, texts, origin) if origin else (None, "")
    if not apart and cut is None:  # the vectors are the same: so is their model
        of_target = of_source if of_target is None else of_target
        of_source = of_target if of_source is None else of_source
    for side, found, why in (("target", of_target, why_target), ("source", of_source, why_source)):
        if found is None and why:
            made.why[side][why] = None  # type: ignore[index]  # one of both
    for place, n in enumerate(rows):
        made.target[n] = of_target[place] if of_target is not None else None
        made.source[n] = of_source[place] if of_source is not None else None
    return made


def _embedded(
    embeds: Embeds, side: Name, vector: VectorField, texts: Sequence[str], origin: VectorField | None = None
) -> tuple[Sequence[Vector] | None, str]:
    """Return the texts as vectors of one side, or why there are none."""
    embed, wanted = embeds.get((side, vector.name)), (origin or vector).dimensions
    if embed is None:
        return None, f"queries are texts, and it is not known here what embeds them for the {side}"
    try:
        found = embed(texts)
    except (ConnectorError, PluginError, SpecError, UnsupportedError) as error:
        return None, f"the model of the {side} did not embed the queries: {error}"
    if found.shape != (len(texts), wanted):
        made = found.shape[-1] if found.ndim else 0
        return None, f"the model of the {side} makes {made:,} dimensions, and its vectors have {wanted:,}"
    return [*found.astype(np.float32, copy=False)], ""


def _labelled(
    setting: Setting, vector: VectorField, runs: Sequence[tuple[Sequence[Query], Run]], target: Source
) -> LabelledCheck | None:
    """Return how both sides rank what is relevant; of one that was not asked all these queries nothing is known."""
    rows = [(query, each, n) for queries, each in runs for n, query in enumerate(queries) if query.labelled]
    if not rows:
        return None
    k = setting.top_k
    grades = [query.relevant for query, _, _ in rows]

    def of(found: Sequence[Ranked | None]) -> Quality | None:
        rankings = [[key.id for key, _ in each] for each in found if each is not None]
        return quality(rankings, grades, k) if len(rankings) == len(rows) else None

    there, before = of([each.target[n] for _, each, n in rows]), of([each.source[n] for _, each, n in rows])
    notes: dict[str, None] = {}
    for side, found in (("target", there), ("source", before)):
        why = dict.fromkeys(reason for _, each, _ in rows for reason in each.why[side])  # type: ignore[index]
        if found is None:
            reasons = [reason.removeprefix(UNMEASURED) for reason in why or ("it was not asked",)]
            notes |= {f"the {side} is not measured: {reason}": None for reason in reasons}
    notes |= dict.fromkeys(_lost(setting, rows, target))
    return LabelledCheck(vector.name, len(rows), k, before, there, "; ".join(notes))


def _lost(setting: Setting, rows: Sequence[tuple[Query, Run, int]], target: Source) -> list[str]:
    """Return how many relevant ids the target does not hold, if there are some."""
    keys = sorted(
        {
            Key(each.searched.check.namespace, id)
            for query, each, _ in rows
            for id, grade in query.relevant.items()
            if grade
        }
    )
    held = sum(
        len(target.fetch(setting.target.collection, keys[start : start + FETCHED]))
        for start in range(0, len(keys), FETCHED)
    )
    return [f"{len(keys) - held:,} of {len(keys):,} relevant ids are not in the target"] if held < len(keys) else []
