"""Texts that are searched for, as vectors of a model: paid and kept like all others."""

from collections.abc import Sequence
from contextlib import closing
from threading import Event

import numpy as np
from numpy.typing import NDArray

from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import key_of
from vecmig.embedding.coming import vector_of
from vecmig.embedding.models import Purse, open_embedder
from vecmig.embedding.terms import price_of
from vecmig.embedding.texts import pieces_of
from vecmig.migration import Provider


def embed_queries(
    texts: Sequence[str], provider: Provider | None, model: str, dimensions: int, purse: Purse, stop: Event
) -> NDArray[np.float32]:
    """Return (n, d) vectors of the texts, as the model makes them of queries; one over its limit is cut.

    Raises what `open_embedder` does and what the provider raised, GuardError where the budget is spent.
    """
    with closing(open_embedder(provider, model, dimensions)) as embedder:
        assert provider is not None, "else it does not open"
        assert purse.run is not None, "queries are bought"
        payer = Payer(purse.run, price_of(provider, model.partition("/")[2]), purse.max_usd)
        pieces = pieces_of(texts, embedder, "truncate")
        cut = [each.texts[0] if each else text for each, text in zip(pieces, texts, strict=True)]
        keys = [key_of(embedder.identity, "query", text) for text in cut]
        with closing(Buyer(embedder, model, purse.cache, payer, stop, "query")) as buyer:
            found = buyer.ask(dict(zip(keys, cut, strict=True)))
            buyer.flush()
            vectors = {key: vector_of(each) for key, each in found.items()}
    return np.stack([vectors[key] for key in keys])
