"""A target that is there: whether it is vecmig's to change, and can be what the spec asks for."""

from collections.abc import Iterable, Sequence

from vecmig.errors import CollectionConflict, RebuildNeeded, UnsupportedError
from vecmig.migration import DeclaredTarget, Migration
from vecmig.model.collection import Collection
from vecmig.model.plan import Decision
from vecmig.model.state import Applied
from vecmig.planning.differ import rebuilds


def owned(migration: Migration | DeclaredTarget, actual: Collection, mark: str) -> str | None:
    """Return the mark to ask for: that of an adopted collection is not ours to demand."""
    if actual.mark == mark:
        return mark
    if migration.target.adopt:
        return None
    way_out = "name another target, or say `adopt: true` in the target to let vecmig write to it"
    if actual.mark is None:
        made = "was not made by vecmig"
    elif _spec_of(actual.mark) == _spec_of(mark):
        made = f"was made by vecmig for this spec, under a state that is not here ({actual.mark})"
        way_out = f"where that state was lost, put it back (`vecmig status` tells of a copy); else {way_out}"
    else:
        made = f"was made by vecmig under another state ({actual.mark})"
    raise CollectionConflict(f"{migration.name}: {migration.target.label} exists and {made}. {way_out.capitalize()}")


def _spec_of(mark: str) -> str:
    return mark.rpartition(":")[0]  # without the state's lineage


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


def other_models(decisions: Iterable[Decision], applied: Applied | None) -> list[str]:
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
