"""cache: show or clear the embeddings that were paid for."""

from contextlib import closing

import click

from vecmig.cli.project import project_of
from vecmig.cli.settings import Settings, echo_json, global_options
from vecmig.reporting.quantities import number, quantity, size


@click.group()
@global_options
def cache(settings: Settings) -> None:
    """Show or clear the cache of embeddings, which all specs beside each other share."""


@cache.command()
@global_options
def show(settings: Settings) -> None:
    """Show how much the cache holds."""
    from vecmig.workflow.embeddings import cache_path, open_cache

    project = project_of(settings)
    if not cache_path(project).exists():
        click.echo("null" if settings.as_json else "Nothing was embedded yet.")
        return
    with closing(open_cache(project)) as opened:
        found, unfinished = opened.size(), opened.unfinished()
    if settings.as_json:
        path = str(cache_path(project))
        echo_json(path=path, entries=found.entries, bytes=found.bytes, kept=found.kept, unfinished=unfinished)
        return
    click.echo(f"{quantity(found.entries, 'embedding')}, {size(found.bytes)} in {cache_path(project)}")
    for run in unfinished:
        click.echo(f"! {run} is unfinished: what it paid for stays ({number(found.kept)} in all)")


@cache.command()
@click.option("--all", "all_", is_flag=True, help="Also what unfinished migrations paid for: it is paid for again.")
@global_options
def clear(settings: Settings, all_: bool) -> None:
    """Remove the embeddings, but those that an unfinished migration paid for. They would be paid for again."""
    from vecmig.workflow.embeddings import cache_path, open_cache

    project = project_of(settings)
    removed = 0
    if cache_path(project).exists():
        with closing(open_cache(project)) as opened:
            removed = opened.clear(all_)
    if settings.as_json:
        echo_json(removed=removed)
        return
    click.echo(f"Removed {quantity(removed, 'embedding')}.")
