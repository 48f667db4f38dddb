"""What a re-embedding costs, and how long it takes."""

import pytest

from vecmig.catalogue.models import facts_of
from vecmig.model.observed import Texts
from vecmig.model.plan import Decision
from vecmig.planning.embed_cost import cost_of, seconds_of, tokens_of
from vecmig.reporting.quantities import duration, usd

SMALL = "openai/text-embedding-3-small"


def texts(tokens: tuple[int, ...] = (500,) * 1000, **changes: object) -> Texts:
    facts = facts_of(SMALL)
    known = {
        "sampled": len(tokens),
        "missing": 0,
        "cached": 0,
        "exact": True,
        "usd_per_million_tokens": facts.usd_per_million_tokens,
        "prices": "",
        "service": "openai",
        "max_items": 2048,
        "max_request_tokens": 300_000,
        "requests_per_minute": facts.requests_per_minute,
        "tokens_per_minute": facts.tokens_per_minute,
    }
    return Texts(tokens=tokens, **(known | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("documents", "price", "time"), [(100_000, "USD 1.00", "50 m"), (1_000_000, "USD 10.00", "8 h 20 m")]
)
def test_the_rule_of_thumb_of_500_tokens_a_document_and_2000_documents_a_minute(
    documents: int, price: str, time: str
) -> None:
    cost = cost_of(Decision("", "reembed", 1536, SMALL), texts(), documents)
    assert usd(cost.usd) == price
    assert duration(seconds_of(texts(), documents)) == time
    assert (seconds_of(texts(), 1_000_000) or 0) / 3600 == pytest.approx(8.3, abs=0.05)


def test_the_interval_is_that_of_the_samples_mean() -> None:
    found = tokens_of(texts((100, 300) * 50), 10_000)
    assert (found.low + found.high) / 2 == pytest.approx(2_000_000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 100.5 / 10 * 10_000, rel=0.01)


def test_what_is_cached_is_free() -> None:
    half = texts((500,) * 500, sampled=1000, cached=500)
    assert tokens_of(half, 1000).high == pytest.approx(250_000)
    none = texts((), sampled=1000, cached=1000)
    assert (tokens_of(none, 1000).high, seconds_of(none, 1000)) == (0, 0)


def test_an_unknown_price_and_an_unknown_speed_are_no_numbers() -> None:
    unknown = texts(usd_per_million_tokens=None, requests_per_minute=None, tokens_per_minute=None)
    assert cost_of(Decision("", "reembed", 1536, SMALL), unknown, 10).usd is None
    assert seconds_of(unknown, 10) is None
    assert seconds_of(texts(requests_per_minute=None, tokens_per_minute=None, texts_per_s=20.0), 100) == 5.0
