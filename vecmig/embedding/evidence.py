"""What speaks for copying vectors, or for embedding anew: a probe with the target's model, and the texts' tokens."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Event

import numpy as np

from vecmig.catalogue.models import catalogue, facts_of
from vecmig.conversion.convert import convert
from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import Cache, key_of
from vecmig.embedding.coming import vector_of
from vecmig.embedding.embed import Model, embedded
from vecmig.embedding.models import open_embedder
from vecmig.embedding.probed import PATIENCE_S, Unread, chosen, taken, text_of, unread
from vecmig.embedding.terms import price_of
from vecmig.embedding.texts import pieces_of
from vecmig.errors import Problem, SpecError
from vecmig.migration import Embedding, Migration, Provider, VectorChoice
from vecmig.model.batch import RecordBatch, text_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.observed import Probe, Texts
from vecmig.model.plan import Conversion, Decision, EmbedRule, VectorRule
from vecmig.model.state import Cursor
from vecmig.planning.decide import SAME, comparable, decide, known_as
from vecmig.planning.declare import asked_of, choices_of
from vecmig.protocols import Embedder
from vecmig.retry import retrying
from vecmig.spec.suggest import did_you_mean, listed

PROBES = "probes"  # who pays for them: no migration, and nobody keeps them
STORED, MADE = "stored", "made"
TIMED = 8  # texts
LENGTHS = "their lengths differ"


@dataclass(frozen=True, slots=True)
class Evidence:
    decisions: Mapping[str, Decision]
    texts: Mapping[str, Texts]
    risks: Sequence[str] = ()


def evidence_of(
    migration: Migration,
    source: Collection,
    sample: RecordBatch | None,
    cache: Cache,
    before: Sequence[Decision] = (),
    probes: bool = True,
) -> Evidence:
    """Return how each vector comes about that the spec says something of.

    `before`: what was decided at the last apply, which holds where nothing is probed. Raises what a provider raises
    where vectors are to be had from it, SpecError where `embedding.text` reads what no record has, and yields nothing.
    """
    stored = {vector.name: vector for vector in source.vectors}
    given = migration.source.embedding.model or source.model
    known = {each.vector: each for each in before}
    sample = taken(sample, migration) if sample is not None else None
    decisions: dict[str, Decision] = {}
    texts: dict[str, Texts] = {}
    risks: list[str] = []
    for choice in choices_of(migration, source):
        asked, vector = asked_of(migration, choice), stored.get(choice.source)
        if asked.model is None or (vector is not None and vector.kind == "sparse"):
            continue
        probe, why, makes, speed = _probe(migration, choice, asked, vector, sample, cache, probes)
        decision = decide(choice.name, vector, asked, given, probe, why, makes)
        earlier = known.get(choice.name)
        if (
            probe is None
            and earlier is not None
            and (earlier.model, earlier.before) == (decision.model, decision.before)
        ):
            decision = earlier
        shown = probe is not None and probe.median is not None and probe.median >= SAME
        if not shown and sample is not None and (fields := unread(asked, sample)) is not None:
            labelled = decision.how != "reembed" and (given == asked.model or asked.trust_labels)
            risks.append(_misspelt(migration, fields, labelled or probe is not None))
        decisions[choice.name] = decision
        if decision.how == "reembed" and not decision.refused and sample is not None:
            texts[choice.name] = _texts(asked, decision, sample, cache, speed)
    return Evidence(decisions, texts, tuple(dict.fromkeys(risks)))


def _misspelt(migration: Migration, found: Unread, fine: bool) -> str:
    """Return what fields no sampled record has. Raises SpecError where so there is no text at all, unless that may be:

    other records have one, or the stored vectors are taken by what they are called.
    """
    message = f"`embedding.text` reads {listed(found.fields)}, which no sampled record has"
    hints = dict.fromkeys(did_you_mean(each, found.known, "the fields are") for each in found.fields)
    hint = " ".join(hints) or "the records have no fields"
    if found.textless and not fine:
        raise SpecError(Problem(f"{migration.name}: {message}, so there is no text to embed", hint=hint))
    return f"{message}: {hint}"


def _probe(
    migration: Migration,
    choice: VectorChoice,
    asked: Embedding,
    vector: VectorField | None,
    sample: RecordBatch | None,
    cache: Cache,
    probes: bool,
) -> tuple[Probe | None, str, int | None, float | None]:
    """Return the probe, or why there is none; the dimensions that the model makes; and the texts it embeds in a second."""
    why = _unprobed(asked, vector, sample, probes)
    if vector is None and asked.provider is not None and asked.text and sample is not None and probes:
        why = ""  # nothing to compare with, but what the model makes, and how fast, is worth a few texts
    # of one that nobody is paid for, the speed is worth a few texts even where their vectors have nothing to say
    timed = why == LENGTHS and asked.provider is not None and _price(asked, asked.provider) == 0
    if (why and not timed) or sample is None or asked.text is None or asked.model is None:
        return None, why, None, None
    found, enough = chosen(migration, sample, asked, vector)
    assert asked.provider is not None
    with closing(open_embedder(asked.provider, asked.model, asked.dimensions)) as embedder:
        known = facts_of(known_as(asked.model, asked.provider)).dimensions
        makes = asked.dimensions or known or _dimensions(embedder, cache, asked, asked.provider)
    if not len(found):
        return None, "no sampled record has a text and a vector that is not zero", makes, None
    price = _price(asked, asked.provider)
    if vector is not None and not comparable(asked, vector, makes) and price != 0:
        return None, LENGTHS, makes, None
    # with the dimensions that the load will name: else its texts would be others to the cache, and be paid for again
    with closing(open_embedder(asked.provider, asked.model, makes)) as embedder:
        rule = EmbedRule(MADE, asked.model, makes, asked.text, too_long=asked.too_long)
        kept = (VectorRule(STORED, vector.name),) if vector else ()
        converted = convert(found, Conversion(vectors=kept, embed=(rule,)))
        spent = cache.spent(PROBES).tokens
        with closing(Buyer(embedder, asked.model, cache, Payer(PROBES, price), Event())) as buyer:
            started = time.monotonic()
            model = Model(embedder, cache, buyer)
            ((done, _),) = embedded([(converted, Cursor(""))], [rule], {MADE: model})
            took = time.monotonic() - started
        tokens = cache.spent(PROBES).tokens - spent
        speed = len(done.batch) / took if tokens else None
        some = converted.batch.strings(text_column(MADE))[:TIMED] if price == 0 and len(done.batch) else []
        if texts := [piece for cut in pieces_of(some, embedder, "truncate") if cut for piece in cut.texts]:
            # from the cache it is no speed of the model, nor is it while one is loaded; nobody is paid for these texts
            again = retrying(Event(), PATIENCE_S)
            again(embedder.embed, texts[:1], "passage")
            started = time.monotonic()
            speed = len(again(embedder.embed, texts, "passage").vectors) / (time.monotonic() - started)
    if vector is not None and not comparable(asked, vector, makes):
        return None, LENGTHS, makes, speed
    usd = None if price is None else tokens * price / 1e6
    if not len(done.batch):
        return None, "the model took none of the sampled texts", makes, speed
    if vector is None:
        return Probe(len(done.batch), None, None, tokens, usd), "", makes, speed
    cosines = _cosines(done.batch)
    median, least = float(np.median(cosines)), float(cosines.min())
    return Probe(len(cosines), median, least, tokens, usd, few=len(cosines) < enough), "", makes, speed


def _unprobed(asked: Embedding, vector: VectorField | None, sample: RecordBatch | None, probes: bool) -> str:
    if vector is None:
        return "the source has no vectors"
    if asked.trust_labels:
        return "`trust_labels: true`"
    if not probes:
        return "--no-probe"
    if asked.text is None:
        return "`embedding.text` does not say of what text they were made"
    if asked.provider is None:
        return "no provider for the model is known here"
    if not comparable(asked, vector):
        return LENGTHS
    return "the source is empty" if sample is None else ""


def _price(asked: Embedding, provider: Provider) -> float | None:
    assert asked.model is not None
    return price_of(provider, asked.model.partition("/")[2])


def _dimensions(embedder: Embedder, cache: Cache, asked: Embedding, provider: Provider) -> int:
    """Return how long the model's vectors are, by one word, which is paid for once."""
    text = "dimensions"
    key = key_of(embedder.identity, "passage", text)
    assert asked.model is not None
    with closing(Buyer(embedder, asked.model, cache, Payer(PROBES, _price(asked, provider)), Event())) as buyer:
        found = buyer.ask({key: text})
        buyer.flush()
        return len(vector_of(found[key]))


def _cosines(batch: RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return (n,) the cosines of stored and made vectors; the longer ones are cut to the others' length."""
    rows, stored = batch.present_vectors(STORED)
    made = batch.vectors(MADE)[rows]
    length = min(stored.shape[1], made.shape[1])
    a, b = stored[:, :length].astype(np.float64), made[:, :length].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray[tuple[int], np.dtype[np.float64]] = (a * b).sum(axis=1) / (
            np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        )
    return np.nan_to_num(result, nan=0.0)


def _texts(asked: Embedding, decision: Decision, sample: RecordBatch, cache: Cache, speed: float | None) -> Texts:
    """Count the tokens of the sampled texts that are not in the cache. Nothing is sent anywhere."""
    assert asked.model is not None
    assert asked.provider is not None
    assert asked.text is not None
    found = [text_of(asked, each) for each in sample.bytes_of("metadata")]
    with closing(open_embedder(asked.provider, asked.model, decision.dimensions)) as embedder:
        pieces = pieces_of([text for text in found if text], embedder, asked.too_long)
        whole = [each.texts for each in pieces if each is not None]
        identity = embedder.identity
        keys = {text: key_of(identity, "passage", text) for each in whole for text in each}
        known = cache.find(list(keys.values()))
        left = [[text for text in each if keys[text] not in known] for each in whole]
        counts = [sum(embedder.count_tokens(each)) for each in left if each]
        limits, exact = embedder.limits, embedder.counts_exactly
    price = _price(asked, asked.provider)
    given = dict(asked.provider.prices).get(asked.model.partition("/")[2]) is not None
    return Texts(
        sampled=len(whole),
        missing=len(found) - len(whole),
        over=sum(each is None or each.texts != (text,) for text, each in zip(filter(None, found), pieces, strict=True)),
        cached=len(whole) - len(counts),
        tokens=tuple(counts),
        exact=exact,
        usd_per_million_tokens=price,
        prices="as the spec says" if given else f"table of {catalogue().date}" if price else "",
        service=asked.provider.name,
        too_long=asked.too_long,
        max_text_tokens=limits.max_text_tokens,
        max_items=limits.max_items,
        max_request_tokens=limits.max_request_tokens,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        texts_per_s=None if limits.requests_per_minute or limits.tokens_per_minute else speed,
    )
