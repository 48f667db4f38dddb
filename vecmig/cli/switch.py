"""cutover, rollback and drop."""

import click

from vecmig.cli.project import project_of, store_of
from vecmig.cli.settings import Settings, global_options
from vecmig.reporting.switch import dropped_json, switched_json, switched_text


@click.command()
@global_options
def cutover(settings: Settings) -> None:
    """Let what was built beside serve: in one step, once it is complete and verified."""
    from vecmig.workflow.switch import cutover as run

    project = project_of(settings)
    store = store_of(project, "cutover")
    with store.lock(settings.lock_timeout):
        done = list(run(project, store, settings.only))
    if settings.as_json:
        click.echo(switched_json(done), nl=False)
    elif done:
        click.echo("".join(switched_text(each, "rollback") for each in done), nl=False)
    else:
        click.echo("No changes. Nothing was built beside what serves.")


@click.command()
@global_options
def rollback(settings: Settings) -> None:
    """Let what served before the last cutover serve again, while it is there."""
    from vecmig.workflow.switch import rollback as run

    project = project_of(settings)
    store = store_of(project, "rollback")
    with store.lock(settings.lock_timeout):
        done = list(run(project, store, settings.only))
    if settings.as_json:
        click.echo(switched_json(done), nl=False)
    elif done:
        click.echo("".join(switched_text(each, "cutover") for each in done), nl=False)
    else:
        click.echo("No changes. Nothing served before that could serve again.")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--allow-destroy", is_flag=True, help="Destroy what is named.")
@global_options
def drop(settings: Settings, names: tuple[str, ...], allow_destroy: bool) -> None:
    """Remove superseded collections by NAME; without one, list them. Only what carries vecmig's mark goes."""
    from vecmig.workflow.switch import drop as run
    from vecmig.workflow.switch import superseded

    project = project_of(settings)
    store = store_of(project, "drop")
    if not names:
        found = [each.options.collection for _, _, each in superseded(project, store.load())]
        if settings.as_json:
            click.echo(dropped_json(found, []), nl=False)
        elif found:
            click.echo("Superseded: " + ", ".join(found) + "\nDrop one    vecmig drop --allow-destroy " + found[0])
        else:
            click.echo("Nothing is superseded.")
        return
    with store.lock(settings.lock_timeout):
        gone = list(run(project, store, names, allow_destroy))
    if settings.as_json:
        click.echo(dropped_json([], gone), nl=False)
    else:
        click.echo("\n".join(f"Dropped {each}" for each in gone) or "No changes. What is named is gone already.")
