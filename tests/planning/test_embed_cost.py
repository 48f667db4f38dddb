"""What a re-embedding costs, and how long it takes."""

from contextlib import closing
from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest

from tests.reporting.examples import PLAN
from vecmig.catalogue.models import Catalogue, catalogue, facts_of
from vecmig.connectors.memory import MemoryOptions
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.embedding.terms import price_of
from vecmig.migration import Embedding, Endpoint, Migration, Provider
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.observed import Observed, Probe, Texts
from vecmig.model.plan import Decision, Fingerprint, Partition
from vecmig.planning.decide import decide
from vecmig.planning.embed_cost import cost_of, requests_of, seconds_of, tokens_of
from vecmig.planning.plan import plan_migration
from vecmig.reporting.quantities import duration, usd
from vecmig.reporting.terminal.plan import plan_text

ADA, SMALL = "openai/text-embedding-ada-002", "openai/text-embedding-3-small"
OPENAI = Provider("openai", "openai", OpenAIOptions())
ROWS = [{"id": "a", "namespace": "", "vector:": [0.0] * 1536, "metadata": '{"text": "t"}'}]
DIFFERENT = Probe(32, 0.02, -0.04, 16_000, 0.00032)


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


def plan_of(documents: int, found: Texts, asked: Embedding) -> str:
    """Return the plan that retires ada-002, as a user reads it, on one line."""
    stored = VectorField("", 1536, "cosine")
    migration = Migration(
        "m",
        Endpoint("s", "memory", MemoryOptions("docs"), Embedding(ADA)),
        Endpoint("t", "memory", MemoryOptions("kb")),
        asked,
    )
    decisions = {"": decide("", stored, asked, ADA, DIFFERENT)}
    source = Observed(
        Collection("docs", (stored,), model=ADA),
        {"": documents},
        Fingerprint("1", "exact"),
        sample=RecordBatch(pa.RecordBatch.from_pylist(ROWS, schema_of((stored,)))),
        partitions=(Partition("docs", "0/1"),),
        decisions=decisions,
        texts={"": found},
    )
    plan = plan_migration(migration, source, Observed(None, {}), None, "vecmig:kb/prod:1")
    whole = msgspec.structs.replace(PLAN, migrations=(plan,), max_usd=50.0)
    return " ".join(plan_text(whole, verbose=True).split())


@pytest.mark.parametrize(
    ("documents", "price", "time", "requests"),
    [(100_000, "USD 1.00", "50 m", "300"), (1_000_000, "USD 10.00", "8 h 20 m", "3,000")],
)
def test_the_plan_says_that_the_models_differ_what_it_costs_and_how_long_it_takes(
    documents: int, price: str, time: str, requests: str
) -> None:
    embedding = Embedding(SMALL, 1536, OPENAI, text="{{ text }}")
    with closing(OPENAI.options.open("text-embedding-3-small", 1536)) as embedder:
        limits = embedder.limits  # those that the plan goes by: OpenAI's, of the package's table
    found = texts(
        max_items=limits.max_items,
        max_request_tokens=limits.max_request_tokens,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        usd_per_million_tokens=price_of(OPENAI, "text-embedding-3-small"),
    )
    text = plan_of(documents, found, embedding)
    assert f"{documents:,} records to embed" in text
    assert f"{ADA} (1,536) -> {SMALL} (1,536) RE-EMBED: different models" in text
    assert "cosine to the stored vectors 0.0200 in the median" in text
    assert f"{documents // 2000} M tokens, {price} " in text
    assert f"embedding {time}, then load" in text
    assert f"Guards {price} of 50.00" in text
    assert f"1,000 sampled texts, about {requests} requests" in text


def test_the_spec_overrides_prices_and_limits() -> None:
    own = Provider(
        "openai", "openai", OpenAIOptions(requests_per_minute=10, tokens_per_minute=500_000), (("text-embedding-3-small", 0.01),)
    )  # fmt: skip
    assert price_of(own, "text-embedding-3-small") == 0.01
    assert price_of(own, "text-embedding-3-large") == 0.13, "of the table"
    with closing(own.options.open("text-embedding-3-small", None)) as embedder:
        assert (embedder.limits.requests_per_minute, embedder.limits.tokens_per_minute) == (10, 500_000)
    free = replace(own, prices=(("text-embedding-3-small", 0.0),))
    assert price_of(free, "text-embedding-3-small") == 0.0, "nothing is a price, too"


def test_what_is_known_of_openai_is_not_taken_for_true_elsewhere() -> None:
    elsewhere = Provider("mine", "openai", OpenAIOptions(base_url="http://localhost:8000/v1"))
    with closing(elsewhere.options.open("text-embedding-3-small", None)) as embedder:
        assert (embedder.limits.requests_per_minute, embedder.limits.tokens_per_minute) == (None, None)
    assert price_of(elsewhere, "unheard-of") is None


def test_the_table_is_dated_and_each_model_of_it_is_whole() -> None:
    table: Catalogue = catalogue()
    assert len(table.date) == 10
    assert table.sources
    for name, facts in table.models.items():
        assert facts.dimensions, name
        assert facts.max_text_tokens, name
        assert facts.shortens is None or facts.shortens < facts.dimensions, name
        assert name.startswith("openai/") == (facts.usd_per_million_tokens is not None), name


def test_an_unknown_price_is_said_and_is_no_zero() -> None:
    found = texts(usd_per_million_tokens=None, requests_per_minute=None, tokens_per_minute=None)
    text = plan_of(100_000, found, Embedding(SMALL, 1536, OPENAI, text="{{ text }}"))
    assert "prices of openai are not known, so what embedding costs is not, either" in text
    assert "50 M tokens, price unknown" in text
    assert "how long it takes is not known" in text
    assert "of 50.00 (without openai embedding with openai/text-embedding-3-small)" in text


def test_requests_are_as_full_as_items_or_tokens_allow() -> None:
    assert requests_of(texts((10,) * 100), 20_480) == 10
    assert requests_of(texts((3000,) * 100), 1000) == 10
    assert requests_of(texts((), sampled=0), 1000) is None


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
