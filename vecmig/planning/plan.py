"""One migration, both sides as observed, and what was done before: a plan. No side effects, no clock, no network."""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from vecmig.conversion.convert import Converted, convert
from vecmig.errors import CollectionConflict, RebuildNeeded, UnsupportedError
from vecmig.migration import DeclaredTarget, Migration
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.metadata import loads
from vecmig.model.observed import Observed
from vecmig.model.plan import (
    Action,
    BuildIndex,
    Conversion,
    CreateCollection,
    DataDiff,
    Decision,
    LoadRecords,
    MigrationPlan,
    ReconcileRecords,
)
from vecmig.model.settings import Limits
from vecmig.model.state import Applied
from vecmig.planning.costs import Planned, costs
from vecmig.planning.declare import conversion_of, decisions_of, declare, without_index
from vecmig.planning.differ import index_changes, rebuilds
from vecmig.planning.estimate import UNLIMITED, estimate
from vecmig.planning.fidelity import fidelity, held, metadata_bytes, risks_of_sample, rounded
from vecmig.planning.infer import with_fields


def plan_migration(
    migration: Migration,
    source: Observed,
    target: Observed,
    applied: Applied | None,
    mark: str,
    limits: Limits = UNLIMITED,
) -> MigrationPlan:
    """Return what to do. `mark`: the one that this state's collections carry. `limits`: what the estimate is bound by.

    Raises UnsupportedError where only another target can be what the spec asks for, CollectionConflict where the
    target is not vecmig's to change.
    """
    assert source.collection is not None
    assert source.fingerprint is not None
    namespaced = migration.namespace_from is not None or any(source.counts)  # the one without a name is ""
    decided = decisions_of(migration, source.collection, source.decisions)
    declared = declare(migration, source.collection, mark, namespaced, target.collection, decided)
    conversion = conversion_of(migration, source.collection, declared, decided)
    sampled = convert(source.sample, conversion) if source.sample is not None else None
    declared = with_fields(
        migration.target.options,
        declared,
        sampled.batch if sampled else None,
        target.collection,
        _as_they_are(source.collection, conversion),
    )
    if target.collection is not None:
        declared = replace(declared, mark=owned(migration, target.collection, mark))
        if target.collection.unwritable:
            raise UnsupportedError(f"{migration.name}: {target.collection.unwritable}")
        refuse_rebuild(migration, declared, target.collection, _other_models(decided.values(), applied))
    changes = index_changes(declared, target.collection)
    digest = endpoints_digest(migration, source, target)
    move, why = _records(migration, conversion, source, target, applied, digest)
    actions: list[Action] = []
    rows = _expected(migration, source)
    if target.collection is None:
        actions.append(CreateCollection(migration.name, declared))
    if move is not None:
        actions.append(move)
    if changes:
        actions.append(BuildIndex(migration.name, declared))
    mends = bool(applied and (applied.report is None or applied.report.verdict != "passed"))
    asked = Planned(
        migration,
        declared,
        source,
        target,
        move,
        proves=bool(actions) or mends,
        mends=mends,
        written=frozenset(applied.namespaces) if applied else frozenset(),
    )
    return MigrationPlan(
        name=migration.name,
        source=migration.source.label,
        target=migration.target.label,
        actions=tuple(actions),
        source_fingerprint=source.fingerprint,
        schema_digests=(schema_digest(source.collection), schema_digest(target.collection)),
        source_counts=dict(source.counts),
        target_counts=dict(target.counts),
        places=(source.place, target.place),
        endpoints_digest=digest,
        verify=mends,
        why=why,
        changes=tuple(changes) if target.collection is not None else (),
        details=(
            *_places(source, target),
            *embedding_details(decided.values()),
            *details(declared, conversion),
            *_not_applied(migration, declared),
            *_fixed_name(migration, target),
        ),
        decisions=tuple(decided.values()),
        fidelity=fidelity(source.sample, sampled, conversion) if source.sample is not None and sampled else (),
        sampled=sampled.selected if sampled else 0,
        risks=tuple(_risks(migration, declared, source, target, move, sampled)),
        unchecked=(
            *_unchecked(source, move),
            *dict.fromkeys(each.unchecked for each in decided.values() if each.unchecked and move is not None),
        ),
        estimate=estimate(
            migration,
            declared,
            rows=rows,
            metadata_bytes=metadata_bytes(source.sample) if source.sample is not None else 0,
            loads=move is not None,
            indexes=bool(changes),
            applied=applied,
            costs=costs(asked, source.sample, sampled.batch if sampled else None),
            embeds=[
                (each, source.texts[each.vector]) for each in decided.values() if each.vector in source.texts and move
            ],
            limits=limits,
        ),
    )


def _as_they_are(source: Collection, conversion: Conversion) -> list[Field]:
    """Return the fields of the source that come to the target under their names, as they are."""
    ruled = {name for rule in conversion.fields for name in (rule.source, rule.name)}
    return [field for field in source.fields if field.name not in ruled]


def schema_digest(collection: Collection | None) -> str:
    """Return a digest of what of a collection cannot be changed in place; of its absence, too."""
    shape = msgspec.to_builtins(without_index(collection)) if collection else None
    if shape is not None:  # what a store does not know of is left out: it says nothing
        del shape["settings"]
        del shape["findings"]
        del shape["unwritable"]
        if shape["namespaced"] is None:
            del shape["namespaced"]
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()


def endpoints_digest(migration: Migration, source: Observed, target: Observed) -> str:
    """Return a digest of where both sides are and how they are read; secrets count as expressions."""
    ends = [
        (end.type, end.plain or end.options, observed.place)
        for end, observed in ((migration.source, source), (migration.target, target))
    ]
    return hashlib.sha256(msgspec.json.encode(ends)).hexdigest()


def conversion_digest(conversion: Conversion) -> str:
    """Return a digest that changes where records would be converted otherwise."""
    return hashlib.sha256(msgspec.json.encode(conversion)).hexdigest()


def owned(migration: Migration | DeclaredTarget, actual: Collection, mark: str) -> str | None:
    """Return the mark to ask for: that of an adopted collection is not ours to demand."""
    if actual.mark == mark:
        return mark
    if migration.target.adopt:
        return None
    if actual.mark is None:
        made = "was not made by vecmig"
    else:
        made = f"was made by vecmig under another state ({actual.mark})"
    raise CollectionConflict(
        f"{migration.name}: {migration.target.label} exists and {made}. "
        "Name another target, or say `adopt: true` in the target to let vecmig write to it"
    )


def refuse_rebuild(
    migration: Migration | DeclaredTarget, declared: Collection, actual: Collection, more: Sequence[str] = ()
) -> None:
    """Raise with every reason where only a new collection can be what the spec asks for: RebuildNeeded where vecmig may

    build one beside. `more`: reasons that the collections do not show.
    """
    options = migration.target.options
    never = options.refusals(declared)  # `declare` asks for these
    never_here = [each for each in options.refusals(declared, actual) if each not in never]
    reasons = list(dict.fromkeys((*rebuilds(declared, actual), *more, *never_here)))
    if not reasons:
        return
    lines = "\n".join(f"  - {reason}" for reason in reasons)
    message = (
        f"{migration.name}: {migration.target.label} exists and cannot be changed into what the spec asks for\n"
        f"{lines}\n  vecmig never alters or empties it in place: name another target, and switch to that"
    )
    if isinstance(migration, Migration) and not migration.target.adopt:
        raise RebuildNeeded(message, tuple(reasons))
    raise UnsupportedError(message)


def _other_models(decisions: Iterable[Decision], applied: Applied | None) -> list[str]:
    """Return which vectors would be of another model than those that the last apply wrote."""
    before = {each.vector: each for each in applied.decisions} if applied else {}
    reasons = []
    for each in decisions:
        old = before.get(each.vector)
        if old is None or (each.how == "copy" and old.how == "copy" and None in (each.model, old.model)):
            continue
        if each.model != old.model:
            reasons.append(f"model {old.model or 'of the source'} -> {each.model or 'of the source'}")
        elif "reembed" in (each.how, old.how) and each.how != old.how:
            reasons.append(f"vectors of {each.model}: {old.how} -> {each.how}")
    return reasons


def _records(
    migration: Migration,
    conversion: Conversion,
    source: Observed,
    target: Observed,
    applied: Applied | None,
    endpoints: str,
) -> tuple[LoadRecords | ReconcileRecords | None, str]:
    names = migration.source.options.collection, migration.target.options.collection
    rows = _expected(migration, source)
    load = LoadRecords(migration.name, *names, source.partitions, conversion, rows)
    if target.collection is None:
        return load, "there is no target yet"
    if applied is not None and applied.endpoints_digest != endpoints:
        why = "the spec names another place, or other columns, than at the last apply"
    elif applied is not None and applied.conversion_digest == conversion_digest(conversion):
        moved = [
            side
            for side, now, then in (
                ("the source", source.fingerprint, applied.source_fingerprint),
                ("the target", target.fingerprint, applied.target_fingerprint),
            )
            if now != then
        ]
        if not moved and _known_to_differ(applied, migration.prune):
            why = f"the verification of {applied.at} found records that differ"
        elif not moved:
            strengths = " · ".join(
                f"{side} unchanged ({now.strength})"
                for side, now in (("source", source.fingerprint), ("target", target.fingerprint))
                if now is not None
            )
            return None, f"{strengths} since the apply of {applied.at}"
        else:
            why = f"{' and '.join(moved)} changed since the apply of {applied.at}"
    elif applied is not None:
        why = "the spec converts records otherwise than the last apply did"
    else:
        why = "no finished apply is known, so both sides are compared"
    if target.rows == 0:
        return load, "the target is empty"
    return ReconcileRecords(migration.name, *names, conversion, migration.prune, rows), why


def with_data(planned: MigrationPlan, data: DataDiff, migration: Migration) -> MigrationPlan:
    """Return the plan with what comparing every record found."""
    risks = planned.risks
    empty = not (data.matching or data.mismatched or data.missing)
    if (empty or not migration.prune) and data.extra > migration.verification.thresholds.extra:
        records = "1 record is" if data.extra == 1 else f"{data.extra:,} records are"
        way = "the source gives none, and then nothing is deleted" if empty else "`prune: true` deletes them"
        risks += (f"{records} only in the target and would stay, so verification would fail: {way}",)
    unchecked = tuple(each for each in planned.unchecked if "--data" not in each)
    return replace(planned, data=data, risks=risks, unchecked=unchecked)


def _known_to_differ(applied: Applied, prune: bool) -> bool:
    """Return whether the last verification found what a reconciliation can mend."""
    records = applied.report.records if applied.report else None
    if records and (records.missing or records.mismatched or (prune and records.extra)):
        return True
    count = applied.report.count if applied.report else None
    if count is None:
        return False
    surplus = [count.actual.get(name, 0) - count.expected.get(name, 0) for name in {*count.actual, *count.expected}]
    return min(surplus, default=0) < 0 or (prune and max(surplus, default=0) > 0)


def _expected(migration: Migration, source: Observed) -> int | None:
    if migration.where is not None:
        return None  # how many pass is known when they are read
    return source.rows if migration.limit is None else min(migration.limit, source.rows)


def _places(source: Observed, target: Observed) -> tuple[tuple[str, str], ...]:
    places = [place for place in (source.place, target.place) if place]
    return (("where", " -> ".join(places)),) if places else ()


def details(declared: Collection, conversion: Conversion) -> tuple[tuple[str, str], ...]:
    """Return what the target is to be, as labels and texts."""
    found = [("vectors", ", ".join(map(_vector_text, declared.vectors)))]
    if declared.fields:
        suffix = {(True, True): ", filter and search", (True, False): ", filter", (False, True): ", search"}
        fields = " · ".join(
            f"{field.name} {field.type}{suffix.get((field.filter, field.search), '')}" for field in declared.fields
        )
        found.append(("fields", fields))
    for vector in declared.vectors:
        if vector.index is not None:
            label = f"index {vector.name}".strip()
            found.append((label, f"{_index_text(vector.index)} {vector.metric}"))
    found += [*declared.settings]
    if conversion.where is not None or conversion.limit is not None:
        found.append(("taken", "those that `where` and `limit` let through"))
    return tuple(found)


def embedding_details(decisions: Iterable[Decision]) -> tuple[tuple[str, str], ...]:
    """Return how vectors come about, where the spec says something of it, as labels and texts."""
    found = []
    words = {"copy": "COPY", "truncate": "TRUNCATE", "reembed": "RE-EMBED"}
    made = "EMBED"  # where there was no vector
    for each in decisions:
        if each.model is None:
            continue
        after = f"{each.model} ({each.dimensions:,})"
        change = f"{each.before} -> {after}" if each.before not in ("", after) else after
        found.append(
            (f"embedding {each.vector}".strip(), f"{change}  {words[each.how] if each.before else made}: {each.why}")
        )
        if each.evidence:
            found.append(("", each.evidence))
    return tuple(found)


def _not_applied(migration: Migration, declared: Collection) -> tuple[tuple[str, str], ...]:
    """Return what the spec says of indexes that the store makes by itself."""
    own = {vector.name for vector in declared.vectors if vector.index is None}
    chosen = [choice.index or migration.index for choice in migration.vectors if choice.name in own]
    asked = chosen or ([migration.index] if own else [])
    given = [key for index in asked for key, value in msgspec.structs.asdict(index).items() if value is not None]
    names = [f"`{key}`" for key in dict.fromkeys(given) if key != "type"]
    if not names:
        return ()
    return (
        (
            "index",
            f"left to {migration.target.type}: {', '.join(names)} {'does' if len(names) == 1 else 'do'} not apply",
        ),
    )


def _fixed_name(migration: Migration, target: Observed) -> tuple[tuple[str, str], ...]:
    """Return what it costs that the target's name cannot be given to another collection, where that is so."""
    if target.collection is not None and migration.target.adopt:
        cost = "adopted, so it keeps its name: a change that needs a rebuild is refused, and another target the way out"
    elif not target.switches:
        cost = (
            f"its own for good, as {migration.target.type} can give it to no other collection here: a rebuild beside it has"
            " another, which the application must be told at the `cutover`"
        )
    else:
        return ()
    return (("name", cost),)


def _vector_text(vector: VectorField) -> str:
    kinds = {"float32": "", "float16": "as float16", "sparse": "sparse"}
    size = f"{vector.dimensions:,} dimensions" if vector.dimensions else ""  # a sparse one may have no number of them
    return " ".join(part for part in (vector.name, size, kinds[vector.kind]) if part)


def _index_text(index: object) -> str:
    given = {key: value for key, value in msgspec.structs.asdict(index).items() if value is not None}  # type: ignore[arg-type]
    kind = given.pop("type")
    if kind == "flat":
        return "none: exact search,"
    return " ".join([kind, *(f"{key}={value}" for key, value in given.items())])


def _risks(
    migration: Migration,
    declared: Collection,
    source: Observed,
    target: Observed,
    move: LoadRecords | ReconcileRecords | None,
    sampled: Converted | None,
) -> list[str]:
    risks = [f"of the source, {each}" for each in (source.collection.findings if source.collection else ())]
    if sampled is not None and move is not None:
        risks += _unpriced(source)
        risks += _too_long(migration, source)
        options = migration.target.options
        refused = options.rejects(declared, sampled.batch)
        batch, rejected = held(sampled.batch, refused), [*sampled.rejected, *refused]
        risks += risks_of_sample(batch, rejected, declared, migration.on_bad_record == "quarantine")
        risks += options.rewrites(declared, batch)
    if source.rounds_integers and source.sample is not None and move is not None:
        risks += [
            f"{count:,} of {len(source.sample):,} sampled records have an integer of 2**53 or more in {name!r}: the source"
            " keeps numbers as doubles, so it may be another one than was written; hold it against its origin"
            for name, count in rounded(source.sample).items()
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


def _unchecked(source: Observed, move: LoadRecords | ReconcileRecords | None) -> list[str]:
    unchecked = ["writes to the source after this plan"]
    if isinstance(move, ReconcileRecords):
        unchecked.append("how many records differ (`--data` counts them)")
    if source.sample is not None and len(source.sample) < source.rows and move is not None:
        unchecked.append("records outside the sample")
    return unchecked
