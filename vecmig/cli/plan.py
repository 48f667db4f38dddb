"""plan and show."""

import sys
from contextlib import suppress

import click

from vecmig.cli.project import project_of, read_plan, store_of, write_plan
from vecmig.cli.settings import Settings, global_options, width
from vecmig.model.plan import Plan
from vecmig.reporting.json import plan_json, reports_json
from vecmig.reporting.markdown import plan_markdown
from vecmig.reporting.terminal.plan import plan_text
from vecmig.reporting.terminal.report import report_text
from vecmig.reporting.terminal.state import status_text, unfinished_text

CHANGES = 2


@click.command()
@click.option("--out", metavar="FILE", help="Save the plan for `vecmig apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--data", is_flag=True, help="Compare every record, and count what differs.")
@click.option("--no-probe", is_flag=True, help="Embed no text to see whether the models are the same; needs no key.")
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@global_options
def plan(settings: Settings, out: str | None, detailed_exitcode: bool, data: bool, no_probe: bool, form: str) -> int:
    """Show what apply would do, and what it takes. Writes nothing to either side, and takes no lock.

    Where an apply was left unfinished and would go on, that is its plan; `--data` makes a new one all the same.
    """
    from vecmig.workflow.plan import make_plan
    from vecmig.workflow.run import against_unfinished
    from vecmig.workflow.switch import check_ended

    project = project_of(settings)
    state = store_of(project, "plan").load()
    check_ended(project, state, settings.only)
    form = "json" if settings.as_json else form
    unfinished = state.plan if state else None
    against = against_unfinished(project, state, settings.only) if state and unfinished else []
    if state and unfinished and not against and not data:
        made = unfinished
        click.echo(unfinished_text(state, width()), err=form != "text")
    else:
        made = make_plan(project, state, settings.only, data=data, probes=not no_probe)
    if out:
        write_plan(made, out)
    _print(made, form, settings, out, project.protected and made is not unfinished)
    if against:
        click.echo(f"\nAn apply was left unfinished, and does not go on: {'; '.join(against)}.", err=True)
    elif unfinished and data:
        click.echo("\nAn apply was left unfinished: without this plan, `vecmig apply` goes on with its own.", err=True)
    return CHANGES if detailed_exitcode and not made.empty else 0


@click.command()
@click.argument("plan_file", required=False, metavar="[PLAN]")
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@global_options
def show(settings: Settings, plan_file: str | None, form: str) -> None:
    """Show a saved plan or, without one, the last run and its verification."""
    form = "json" if settings.as_json else form
    if plan_file:
        _print(read_plan(plan_file), form, settings, plan_file, protected=False)
        return
    project = project_of(settings)
    state = store_of(project, "show").load()
    reports = [each.report for each in state.applied.values() if each.report] if state else []
    if form == "json":
        click.echo(reports_json(reports), nl=False)
        return
    click.echo(status_text(project.name, project.environment, state, "", settings.colour, width()), nl=False)
    for report in reports:
        click.echo("\n" + report_text(report, bool(settings.verbose), settings.colour, width()), nl=False)


def _print(plan: Plan, form: str, settings: Settings, saved_as: str | None, protected: bool) -> None:
    if form == "json":
        click.echo(plan_json(plan), nl=False)
    elif form == "markdown":
        click.echo(plan_markdown(plan, saved_as), nl=False)
    else:
        text = plan_text(plan, bool(settings.verbose), settings.colour, width(), saved_as, protected)
        click.echo(text, nl=False)
    with suppress(BrokenPipeError):
        sys.stdout.flush()
