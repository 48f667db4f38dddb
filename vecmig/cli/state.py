"""status, and state: list, show, unlock, forget."""

from contextlib import closing

import click

from vecmig.cli.ask import confirm
from vecmig.cli.project import project_of, store_of
from vecmig.cli.settings import Settings, echo_json, global_options, width
from vecmig.errors import Problem, SpecError
from vecmig.migration import Project
from vecmig.reporting.json import state_json, states_json
from vecmig.reporting.quantities import quantity, size
from vecmig.reporting.terminal.state import state_text, states_text, status_text
from vecmig.storage.file import states_in


@click.command()
@global_options
def status(settings: Settings) -> None:
    """Show what was done in this environment, and how it stands."""
    project = project_of(settings)
    store = store_of(project, "status")
    state = store.load()
    if settings.as_json:
        click.echo(state_json(state) if state else "null\n", nl=False)
        return
    holder = store.holder()
    running = str(holder) if holder else ""
    click.echo(status_text(project.name, project.environment, state, running, settings.colour, width()), nl=False)
    if state is None and (back := store.way_back()):
        click.echo(f"Copy        of an earlier state, lost or forgotten: {back}")
    if held := _cache(project):
        click.echo(f"Embeddings  {held}")


def _cache(project: Project) -> str:
    """Return how much the cache of embeddings holds; "" where there is none."""
    from vecmig.workflow.embeddings import cache_path, open_cache

    if not cache_path(project).exists():
        return ""
    with closing(open_cache(project)) as cache:
        found = cache.size()
    return f"{quantity(found.entries, 'embedding')}, {size(found.bytes)} in the cache (`vecmig cache show`)"


@click.group()
@global_options
def state(settings: Settings) -> None:
    """List, show, unlock or forget states."""


@state.command("list")
@global_options
def list_(settings: Settings) -> None:
    """List the states beside the spec."""
    found = states_in(project_of(settings).directory)
    click.echo(states_json(found) if settings.as_json else states_text(found, width()), nl=False)


@state.command()
@global_options
def show(settings: Settings) -> None:
    """Show all that the state of this environment holds."""
    project = project_of(settings)
    store = store_of(project, "state show")
    found = store.load()
    if found is None:
        raise SpecError(
            Problem(f"there is no state of {project.name} in {project.environment}: nothing was applied yet")
        )
    text = state_json(found) if settings.as_json else state_text(found, str(store.path), settings.colour, width())
    click.echo(text, nl=False)


@state.command()
@global_options
def unlock(settings: Settings) -> None:
    """Clear what a dead run left behind. A lock that a live process holds stays: it ends with that process."""
    removed = store_of(project_of(settings), "state unlock").unlock()
    if settings.as_json:
        echo_json(cleared=str(removed) if removed else None)
        return
    click.echo(f"Cleared what {removed} left behind." if removed else "It was not locked.")


@state.command()
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@global_options
def forget(settings: Settings, auto_approve: bool) -> None:
    """Put the state aside. No data is touched; collections that it made are then another state's, to be adopted."""
    project = project_of(settings)
    store = store_of(project, "state forget")
    if not auto_approve:
        question = f"Forget the state of {project.name} in {project.environment} ({store.path})?"
        confirm(question, "state forget", "say --auto-approve")
    gone = store.forget(settings.lock_timeout)
    if settings.as_json:
        echo_json(forgotten=bool(gone))
        return
    click.echo(f"Put aside; a copy is beside {store.path}." if gone else "There was no state.")
