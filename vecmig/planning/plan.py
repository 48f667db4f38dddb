"""One migration, both sides as observed, and what was done before: a plan. No side effects, no clock, no network."""

from collections.abc import Mapping

from msgspec.structs import replace

from vecmig.conversion.convert import Converted, convert
from vecmig.errors import UnsupportedError
from vecmig.migration import Migration
from vecmig.model.collection import Collection, Field
from vecmig.model.observed import Observed
from vecmig.model.plan import (
    Action,
    BuildIndex,
    Conversion,
    CreateCollection,
    DataDiff,
    Decision,
    MigrationPlan,
)
from vecmig.model.settings import Limits
from vecmig.model.state import Applied
from vecmig.planning.costs import Planned, costs
from vecmig.planning.declare import conversion_of, decisions_of, declare
from vecmig.planning.details import details
from vecmig.planning.differ import index_changes
from vecmig.planning.digests import endpoints_digest, schema_digest
from vecmig.planning.estimate import UNLIMITED, estimate
from vecmig.planning.fidelity import fidelity, metadata_bytes
from vecmig.planning.infer import with_fields
from vecmig.planning.moving import expected_rows, move_of
from vecmig.planning.refusals import other_models, owned, refuse_rebuild
from vecmig.planning.risks import risks_of, unchecked


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
    decided = decisions_of(migration, source.collection, source.decisions)
    declared, conversion, sampled = _becomes(migration, source, target, mark, decided)
    if target.collection is not None:
        declared = replace(declared, mark=owned(migration, target.collection, mark))
        if target.collection.unwritable:
            raise UnsupportedError(f"{migration.name}: {target.collection.unwritable}")
        refuse_rebuild(migration, declared, target.collection, other_models(decided.values(), applied))
    changes = index_changes(declared, target.collection)
    digest = endpoints_digest(migration, source, target)
    move, why = move_of(migration, conversion, source, target, applied, digest)
    actions: list[Action] = []
    if target.collection is None:
        actions.append(CreateCollection(migration.name, declared))
    if move is not None:
        actions.append(move)
    if changes:
        actions.append(BuildIndex(migration.name, declared))
    mends = bool(applied and (applied.report is None or applied.report.verdict != "passed"))
    planned = Planned(
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
        details=details(migration, source, target, declared, conversion, decided.values()),
        decisions=tuple(decided.values()),
        fidelity=fidelity(source.sample, sampled, conversion, source.collection.left_out)
        if source.sample is not None and sampled
        else (),
        sampled=sampled.selected if sampled else 0,
        risks=tuple(risks_of(migration, declared, source, target, move, sampled, limits)),
        unchecked=tuple(unchecked(source, move, decided.values())),
        estimate=estimate(
            migration,
            declared,
            rows=expected_rows(migration, source),
            metadata_bytes=metadata_bytes(source.sample) if source.sample is not None else 0,
            loads=move is not None,
            indexes=bool(changes),
            applied=applied,
            costs=costs(planned, source.sample, sampled.batch if sampled else None),
            embeds=[
                (each, source.texts[each.vector]) for each in decided.values() if each.vector in source.texts and move
            ],
            limits=limits,
        ),
    )


def _becomes(
    migration: Migration, source: Observed, target: Observed, mark: str, decided: Mapping[str, Decision]
) -> tuple[Collection, Conversion, Converted | None]:
    """Return the target as it is to be, how records get there, and what the sample becomes."""
    assert source.collection is not None
    namespaced = migration.namespace_from is not None or any(source.counts)  # the one without a name is ""
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
    return declared, conversion, sampled


def _as_they_are(source: Collection, conversion: Conversion) -> list[Field]:
    """Return the fields of the source that come to the target under their names, as they are."""
    ruled = {name for rule in conversion.fields for name in (rule.source, rule.name)}
    return [field for field in source.fields if field.name not in ruled]


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
