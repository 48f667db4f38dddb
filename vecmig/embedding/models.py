"""The models of a migration, opened once for all its workers."""

from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from threading import Event

from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import Cache
from vecmig.embedding.embed import Model, Step, embedded
from vecmig.embedding.terms import price_of
from vecmig.errors import UnsupportedError
from vecmig.migration import Migration, Provider
from vecmig.model.plan import EmbedRule
from vecmig.model.record import Key
from vecmig.protocols import Embedder, Spent


@dataclass(frozen=True, slots=True)
class Purse:
    """Where embeddings are kept, and who pays for those that are not there. `run` None: nothing is bought."""

    cache: Cache
    run: str | None
    max_usd: float | None = None


def open_embedder(provider: Provider | None, model: str, dimensions: int | None) -> Embedder:
    """Connect to `provider/model`. Raises UnsupportedError where there is no such provider, ConnectorError."""
    name, _, own = model.partition("/")
    if provider is None or not own:
        raise UnsupportedError(
            f"nothing here embeds with {model!r}: write it as provider/model, with a provider that is installed or"
            f" stands in `providers` (`providers: {{{name}: {{type: openai, base_url: …}}}}`)"
        )
    return provider.options.open(own, dimensions)


def spent_of(migration: Migration, models: Iterable[str], purse: Purse) -> Spent:
    """Return what a migration has paid so far; its price is unknown where that of one of the models is."""
    spent = purse.cache.spent(purse.run or "")
    prices = [
        price_of(provider, model.partition("/")[2]) for model in models if (provider := migration.provider_of(model))
    ]
    return Spent(migration.name, spent.tokens, None if None in prices else spent.usd)


@contextmanager
def embedding_step(
    migration: Migration, rules: Sequence[EmbedRule], purse: Purse, stop: Event, aside: Set[Key] = frozenset()
) -> Iterator[Step]:
    """Yield what puts vectors in the place of texts, for all workers. Raises what `open_embedder` does.

    `aside`: records that the last apply could not move, whose embeddings need not be there.
    """
    with ExitStack() as stack:
        opened: dict[tuple[str, int], Model] = {}
        for rule in rules:
            name = rule.model, rule.dimensions
            if name not in opened:
                provider = migration.provider_of(rule.model)
                embedder = stack.enter_context(closing(open_embedder(provider, *name)))
                buyer = None
                if purse.run is not None and provider is not None:
                    price = price_of(provider, rule.model.partition("/")[2])
                    payer = Payer(purse.run, price, purse.max_usd)
                    buyer = stack.enter_context(closing(Buyer(embedder, rule.model, purse.cache, payer, stop)))
                opened[name] = Model(embedder, purse.cache, buyer)
        models = {rule.name: opened[rule.model, rule.dimensions] for rule in rules}

        yield lambda pages: embedded(pages, rules, models, aside)
