"""Where the embeddings of a project are kept, and who pays for them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from vecmig.embedding.cache import Cache
from vecmig.embedding.models import Purse
from vecmig.migration import Migration, Project
from vecmig.model.plan import LoadRecords, Plan, ReconcileRecords

GB = 10**9


def cache_path(project: Project) -> Path:
    """Return the file of the cache, one for all specs beside each other."""
    return Path(project.directory, ".vecmig", "embeddings.sqlite")


def open_cache(project: Project) -> Cache:
    most = project.limits.max_cache_gb
    return Cache(cache_path(project), None if most is None else int(most * GB))


def run_of(project: Project, lineage: str, migration: str) -> str:
    """Return the name under which a migration pays, in all its runs."""
    return f"{project.name}/{project.environment}/{lineage}/{migration}"


def may_embed(migration: Migration) -> bool:
    """Return whether the spec says with what model, and of what text, vectors could be made."""
    common = migration.embedding.over(migration.target.embedding)
    settings = [choice.embedding.over(common) for choice in migration.vectors] or [common]
    return any(each.model is not None and each.text is not None for each in settings)


def embeds(plan: Plan) -> list[str]:
    """Return the migrations of the plan that make vectors of texts."""
    return [
        action.migration
        for action in plan.actions
        if isinstance(action, LoadRecords | ReconcileRecords) and action.conversion.embed
    ]


@contextmanager
def purses(
    project: Project, lineage: str, migrations: Sequence[str], at_work: bool = False
) -> Iterator[dict[str, Purse]]:
    """Yield the purse of each of these migrations; none where the list is empty.

    `at_work`: what they pay for is kept until `finished`; for a run that holds the state's lock.
    """
    with ExitStack() as stack:
        found: dict[str, Purse] = {}
        if migrations:
            cache = stack.enter_context(closing(open_cache(project)))
            for name in migrations:
                run = run_of(project, lineage, name)
                if at_work:
                    cache.begin(run)
                found[name] = Purse(cache, run, project.limits.max_usd)
        yield found


def finished(found: dict[str, Purse]) -> None:
    """Let go of what these migrations paid for: all of it is in the targets."""
    for purse in found.values():
        if purse.run is not None:
            purse.cache.finish(purse.run)
