"""What a model costs: the spec's price, else that of the package's table, else nobody knows."""

from vecmig.catalogue.models import facts_of
from vecmig.migration import Provider


def price_of(provider: Provider, model: str) -> float | None:
    """Return USD for a million tokens. `model`: its name without the provider's. None: not known."""
    if not getattr(provider.options, "metered", True):
        return 0.0
    given = dict(provider.prices).get(model)
    return given if given is not None else facts_of(f"{provider.type}/{model}").usd_per_million_tokens
