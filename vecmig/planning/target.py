"""A target that no migration fills, held against what the spec declares of it: a plan that moves no records."""

from msgspec.structs import replace

from vecmig.migration import DeclaredTarget
from vecmig.model.collection import Collection, VectorField
from vecmig.model.observed import Observed
from vecmig.model.plan import BuildIndex, Conversion, MigrationPlan
from vecmig.planning.details import target_details
from vecmig.planning.differ import index_changes
from vecmig.planning.digests import schema_digest
from vecmig.planning.refusals import owned, refuse_rebuild

UNCHECKED = "records of targets that no migration fills"


def plan_target(target: DeclaredTarget, observed: Observed, mark: str) -> MigrationPlan:
    """Return the indexes to build, if any. Raises UnsupportedError and CollectionConflict as `plan_migration` does."""
    actual = observed.collection
    plan = MigrationPlan(
        name=target.name,
        source=None,
        target=target.target.label,
        actions=(),
        source_fingerprint=None,
        schema_digests=(schema_digest(None), schema_digest(actual)),
        source_counts={},
        target_counts=dict(observed.counts),
        places=("", observed.place),
        why="it is what the spec declares; no migration fills it",
        unchecked=(UNCHECKED,),
    )
    if actual is None:
        risk = f"{target.target.label} is not there, and no migration makes it: add one, or correct the target"
        return replace(plan, why="it is not there, and no migration makes it", risks=(risk,))
    plan = replace(plan, risks=actual.findings)
    declared = _declared(target, actual)
    refuse_rebuild(target, declared, actual)
    changes = index_changes(declared, actual)
    if not changes:
        return plan
    declared = replace(declared, mark=owned(target, actual, mark))
    return replace(
        plan,
        actions=(BuildIndex(target.name, declared),),
        why="its indexes are not those that the spec declares",
        changes=tuple(changes),
        details=target_details(declared, Conversion()),
    )


def _declared(target: DeclaredTarget, actual: Collection) -> Collection:
    """Return the collection that is there with all that the spec declares otherwise."""
    vectors = tuple(
        VectorField(
            vector.name,
            target.embedding.dimensions or vector.dimensions,
            target.metric or vector.metric,
            vector.kind,
            target.index,
        )
        for vector in actual.vectors
    )
    declared = Collection(actual.name, vectors, target.fields, actual.mark, target.embedding.model)
    completed = target.target.options.complete(declared, actual)
    if target.index is not None:
        return completed
    # nothing is said of the index, so the store's defaults are not asked for
    return replace(completed, vectors=tuple(replace(vector, index=None) for vector in completed.vectors))
