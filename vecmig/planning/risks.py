"""What may go otherwise than the plan says, as far as it is known before, and what was not looked at."""

from collections.abc import Iterable, Sequence

from vecmig.conversion.convert import Converted
from vecmig.migration import Migration
from vecmig.model.batch import Rejected
from vecmig.model.collection import Collection
from vecmig.model.metadata import loads
from vecmig.model.observed import Observed
from vecmig.model.plan import Decision, LoadRecords, ReconcileRecords
from vecmig.model.settings import Limits
from vecmig.planning.declare import asked_of, choices_of, decisions_of
from vecmig.planning.fidelity import digits_lost, held, risks_of_sample, rounded
from vecmig.planning.moving import Move

REASONS = 3  # why records cannot be moved, that a plan tells; the most frequent ones


def risks_of(
    migration: Migration,
    declared: Collection,
    source: Observed,
    target: Observed,
    move: Move | None,
    sampled: Converted | None,
    limits: Limits,
) -> list[str]:
    """Return what may go otherwise, one sentence each."""
    risks = [f"of the source, {each}" for each in (source.collection.findings if source.collection else ())]
    if sampled is not None and move is not None:
        risks += source.risks
        risks += _unprovided(migration, source)
        risks += _unpriced(source)
        risks += _too_long(migration, source)
        options = migration.target.options
        refused = options.rejects(declared, sampled.batch)
        batch, rejected = held(sampled.batch, refused), [*sampled.rejected, *refused]
        consequence = (
            "they would be put aside"
            if migration.on_bad_record == "quarantine"
            else "on_bad_record is `fail`, so apply would stop at the first"
        )
        risks += _unmovable(migration, rejected, sampled, source.rows, limits, consequence)
        risks += risks_of_sample(batch, sampled.selected, declared, consequence)
        risks += options.rewrites(declared, batch)
    if source.rounds_integers and source.sample is not None and move is not None:
        risks += [
            f"{count:,} of {len(source.sample):,} sampled records have an integer of 2**53 or more in {name!r}: the source"
            " keeps numbers as doubles, so it may be another one than was written; hold it against its origin"
            for name, count in rounded(source.sample).items()
        ]
    if source.sample is not None and move is not None:
        risks += [
            f"{count:,} of {len(source.sample):,} sampled records lose digits of {name!r}: `type: float` holds about 17 of"
            " them. Say `type: text`, or leave the type out, where each digit counts"
            for name, count in digits_lost(source.sample, move.conversion).items()
        ]
    if isinstance(move, ReconcileRecords) and move.prune:
        risks.append(
            "prune: records that only the target has are deleted; how many, is known when both sides are compared"
        )
    if source.fingerprint is not None and source.fingerprint.strength != "exact":
        risks.append(
            f"the source shows changes by {source.fingerprint.strength} only: one that leaves them equal is not seen"
        )
    if move is not None:
        risks += _undecided(migration, declared, source)
    if sampled is not None and move is not None and sampled.selected:
        seen = {name for text in sampled.batch.bytes_of("metadata") for name in loads(text)}
        unseen = [field.name for field in migration.fields if field.name not in seen]
        if unseen and len(sampled.batch):
            risks.append(f"no sampled record has the field {', '.join(map(repr, unseen))}: is that its name?")
    if none := sorted(name for name, rows in source.counts.items() if not rows):
        risks.append(f"the source holds no record in namespace {', '.join(map(repr, none))}: is that its name?")
    if isinstance(move, LoadRecords) and source.rows == 0:
        risks.append("the source is empty")
    return risks


def unchecked(source: Observed, move: Move | None, decisions: Iterable[Decision]) -> list[str]:
    """Return what was not looked at."""
    unchecked = ["writes to the source after this plan"]
    if isinstance(move, ReconcileRecords):
        unchecked.append("how many records differ (`--data` counts them)")
    if source.sample is not None and len(source.sample) < source.rows and move is not None:
        unchecked.append("records outside the sample")
    if move is not None:
        unchecked += dict.fromkeys(each.unchecked for each in decisions if each.unchecked)
    return unchecked


def _unmovable(
    migration: Migration, rejected: Sequence[Rejected], sampled: Converted, rows: int, limits: Limits, consequence: str
) -> list[str]:
    """Return how many sampled records cannot be moved, why, and whether the source's `rows` may hold too many of them."""
    if not rejected:
        return []
    by_reason: dict[str, list[Rejected]] = {}
    for each in rejected:
        by_reason.setdefault(each.reason, []).append(each)
    most = sorted(by_reason.values(), key=len, reverse=True)
    told = [f"{each[0].key}{f' and {len(each) - 1:,} more' if each[1:] else ''}: {each[0].reason}" for each in most]
    others = [f"{len(most) - REASONS:,} other reasons"] if len(most) > REASONS else []
    risks = [
        f"{len(rejected):,} of {sampled.selected:,} sampled records cannot be moved; {consequence}: "
        + " · ".join([*told[:REASONS], *others])
    ]
    reached = min(rows, migration.limit or rows)
    expected = round(len(rejected) / sampled.read * reached)
    if migration.on_bad_record == "quarantine" and expected > limits.max_quarantined:
        risks.append(
            f"as in the sample, about {expected:,} of {reached:,} records would be put aside, and `limits.max_quarantined`"
            f" is {limits.max_quarantined:,}, where apply stops (6): mend the source, or raise it"
        )
    return risks


def _unprovided(migration: Migration, source: Observed) -> list[str]:
    """Return under which names vectors are copied that nothing here can hold them against, and the source does not give."""
    if source.collection is None:
        return []
    given = migration.source.embedding.model or source.collection.model
    decided = decisions_of(migration, source.collection, source.decisions)
    asked = [(asked_of(migration, each), decided.get(each.name)) for each in choices_of(migration, source.collection)]
    return [
        f"nothing here embeds with {each.model}{f' (did you mean `{each.meant}`?)' if each.meant else ''}, so whether"
        " the stored vectors are of it cannot be checked: they are taken under this name all the same"
        for each, decision in asked
        if decision is not None and decision.how != "reembed" and each.model is not None and each.provider is None
        if each.model != given or each.meant
    ]


def _unpriced(source: Observed) -> list[str]:
    return [
        f"prices of {texts.service} are not known, so what embedding costs is not, either: `usd_per_million_tokens` in"
        " `providers` says it"
        for texts in source.texts.values()
        if texts.usd_per_million_tokens is None and texts.tokens
    ]


def _too_long(migration: Migration, source: Observed) -> list[str]:
    """Return how many texts the model does not take as a whole, and what becomes of them."""
    stops = "stop apply at the first" if migration.on_bad_record == "fail" else "are put aside"
    becomes = {
        "truncate": "are cut there, so that what stands behind is not found: make them shorter, or say"
        " `too_long: split_and_average`",
        "split_and_average": "are embedded in pieces, whose mean is a vector of no passage of theirs: shorter ones are"
        " found better",
        "quarantine": f"{stops} (`too_long: quarantine`)",
    }
    return [
        f"{texts.over:,} of {texts.sampled + texts.missing:,} sampled texts are over the limit of {texts.service}"
        f" ({texts.max_text_tokens:,} tokens), and {becomes[texts.too_long]}"
        for texts in source.texts.values()
        if texts.over and texts.max_text_tokens
    ]


def _undecided(migration: Migration, declared: Collection, source: Observed) -> list[str]:
    """Return why the overlap of both sides, which the spec asks for, will not be known."""
    wanted = migration.verification
    if wanted.search is None or not wanted.thresholds.overlap or source.collection is None:
        return []
    before = {vector.name: vector.metric for vector in source.collection.vectors}
    from_ = {choice.name: choice.source for choice in migration.vectors}
    if any(each.how == "reembed" for each in decisions_of(migration, source.collection, source.decisions).values()):
        return []  # it is shown, and gates nothing
    metrics = [
        f"metric {before[name]} -> {vector.metric}"
        for vector in declared.vectors
        if (name := from_.get(vector.name, vector.name)) in before and before[name] != vector.metric
    ]
    reasons = [
        *metrics,
        *(["`limit`"] if migration.limit else []),
        *(["`namespace_from`"] if migration.namespace_from else []),
    ]
    if not reasons:
        return []
    return [
        f"search cannot be compared ({', '.join(reasons)}), so the verification will end undecided (7): "
        "say `thresholds: {overlap: 0}` not to ask for it"
    ]
