"""What embedding costs, and how long it takes: tokens of a sample, the model's price, its limits."""

import math
import statistics

from vecmig.model.observed import Texts
from vecmig.model.plan import Bounds, Cost, Decision

Z95 = 1.96  # of the normal distribution: a mean of many texts lies within, 95 times in 100


def tokens_of(texts: Texts, rows: int) -> Bounds:
    """Return the tokens that `rows` records need, with the 95 % interval of the sample's mean; what is cached is free."""
    if not texts.sampled:
        return Bounds()
    to_buy = len(texts.tokens) / texts.sampled * rows
    if not texts.tokens:
        return Bounds()
    mean = statistics.fmean(texts.tokens)
    whole = len(texts.tokens) >= rows  # the sample is all that there is
    error = (
        0.0 if whole or len(texts.tokens) < 2 else Z95 * statistics.stdev(texts.tokens) / math.sqrt(len(texts.tokens))
    )
    return Bounds(to_buy * max(0.0, mean - error), to_buy * (mean + error))


def cost_of(decision: Decision, texts: Texts, rows: int) -> Cost:
    """Return what embedding `rows` records costs."""
    tokens, price = tokens_of(texts, rows), texts.usd_per_million_tokens
    usd = None if price is None else Bounds(tokens.low * price / 1e6, tokens.high * price / 1e6)
    cached = f", {texts.cached:,} embedded before" if texts.cached else ""
    how = "" if texts.exact else ", counted as a quarter of the characters"
    requests = f", about {max(1, round(found)):,} requests" if (found := requests_of(texts, rows)) else ""
    return Cost(
        service=texts.service,
        what=f"embedding with {decision.model}",
        unit="tokens",
        units=tokens,
        usd=usd,
        prices=texts.prices,
        steps=("load",),
        side="target",
        store=str(decision.model),
        basis=f"{texts.sampled:,} sampled texts{cached}{how}{requests}",
    )


def requests_of(texts: Texts, rows: int) -> float | None:
    """Return how many requests `rows` records need, each as full as the provider takes it."""
    if not texts.sampled:
        return None
    tokens = tokens_of(texts, rows)
    middle = (tokens.low + tokens.high) / 2
    return max(
        len(texts.tokens) / texts.sampled * rows / texts.max_items, middle / (texts.max_request_tokens or math.inf)
    )


def seconds_of(texts: Texts, rows: int) -> float | None:
    """Return how long it takes to embed `rows` records within the provider's limits, or as fast as was measured."""
    if not texts.sampled:
        return None
    to_buy = len(texts.tokens) / texts.sampled * rows
    if not to_buy:
        return 0.0
    tokens = tokens_of(texts, rows)
    middle = (tokens.low + tokens.high) / 2
    times = []
    if texts.tokens_per_minute:
        times.append(middle / texts.tokens_per_minute * 60)
    if texts.requests_per_minute:
        times.append((requests_of(texts, rows) or 0.0) / texts.requests_per_minute * 60)
    if texts.texts_per_s:
        times.append(to_buy / texts.texts_per_s)
    return max(times) if times else None
