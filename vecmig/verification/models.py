"""Which model makes vectors of queries that are texts: on each side, the one whose vectors are searched there."""

from collections.abc import Callable, Mapping, Sequence
from threading import Event

import numpy as np
from numpy.typing import NDArray

from vecmig.conversion.convert import shortened
from vecmig.embedding.models import Purse
from vecmig.embedding.queries import embed_queries
from vecmig.migration import Migration
from vecmig.model.collection import Collection
from vecmig.model.plan import Decision
from vecmig.planning.declare import choices_of, decisions_of
from vecmig.verification.asked import Embeds, Name

Model = tuple[str, int]  # provider/model, and the dimensions of its vectors


def models_of(
    migration: Migration, source: Collection, decisions: Mapping[str, Decision]
) -> dict[tuple[Name, str], Model]:
    """Return the model of each side's vectors, by the side and the vector's name in the target, where one is known.

    Of a vector that is cut it is the whole one's.
    """
    stored = {vector.name: vector for vector in source.vectors}
    decided = decisions_of(migration, source, decisions)
    given = migration.source.embedding.model or source.model
    found: dict[tuple[Name, str], Model] = {}
    for choice in choices_of(migration, source):
        how, origin = decided.get(choice.name), stored.get(choice.source)
        if how is None:
            continue  # sparse
        if how.model is not None:
            whole = origin is not None and how.how == "truncate"
            found["target", choice.name] = how.model, origin.dimensions if origin and whole else how.dimensions
        before = given or (how.model if how.how != "reembed" else None)
        if before is not None and origin is not None:
            found["source", choice.name] = before, origin.dimensions
    return found


def embeds_of(
    migration: Migration, source: Collection, decisions: Mapping[str, Decision], purse: Purse, stop: Event
) -> Embeds:
    """Return what makes vectors of texts. A model is opened when it is asked, for one that is retired may be gone."""
    decided = decisions_of(migration, source, decisions)

    def made(side: Name, name: str, model: str, dimensions: int) -> Callable[[Sequence[str]], NDArray[np.float32]]:
        def embed(texts: Sequence[str]) -> NDArray[np.float32]:
            vectors = embed_queries(texts, migration.provider_of(model), model, dimensions, purse, stop)
            cut = side == "target" and decided[name].how == "truncate"
            return shortened(vectors, decided[name].dimensions)[0] if cut else vectors

        return embed

    return {
        (side, name): made(side, name, *model)
        for (side, name), model in models_of(migration, source, decisions).items()
    }
