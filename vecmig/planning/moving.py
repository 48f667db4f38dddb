"""Whether records are loaded, reconciled or left alone, and why."""

from vecmig.migration import Migration
from vecmig.model.observed import Observed
from vecmig.model.plan import Conversion, LoadRecords, ReconcileRecords
from vecmig.model.state import Applied
from vecmig.planning.digests import conversion_digest

Move = LoadRecords | ReconcileRecords


def move_of(
    migration: Migration,
    conversion: Conversion,
    source: Observed,
    target: Observed,
    applied: Applied | None,
    endpoints: str,
) -> tuple[Move | None, str]:
    """Return what moves the records, or None; and why."""
    names = migration.source.options.collection, migration.target.options.collection
    rows = expected_rows(migration, source)
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


def expected_rows(migration: Migration, source: Observed) -> int | None:
    """Return how many records the migration takes; None: that is known only when they are read."""
    if migration.where is not None:
        return None
    return source.rows if migration.limit is None else min(migration.limit, source.rows)


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
