"""apply and verify: the commands that work, and are watched."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from types import FrameType

import click

from vecmig.cli.project import project_of, read_plan, store_of
from vecmig.cli.settings import Settings, global_options, width
from vecmig.errors import Problem, SpecError, VerificationFailed
from vecmig.model.report import Report
from vecmig.reporting.json import outcome_json, reports_json
from vecmig.reporting.markdown import report_markdown
from vecmig.reporting.outcome import outcome_of
from vecmig.reporting.progress import watch
from vecmig.reporting.terminal.plan import plan_text
from vecmig.reporting.terminal.report import report_text
from vecmig.reporting.terminal.state import outcome_text

STOPPED = 8


@click.command()
@click.argument("plan_file", required=False, metavar="[PLAN]")
@click.option("--auto-approve", is_flag=True, help="Do not ask.")
@click.option("--html", metavar="FILE", help="Write the verification as one HTML file, too.")
@global_options
def apply(settings: Settings, plan_file: str | None, auto_approve: bool, html: str | None) -> None:
    """Make the target what the spec says, and prove it.

    Takes a saved PLAN, or plans, shows and asks. What an earlier run left unfinished goes on.
    """
    from vecmig.workflow import execute, prepare

    saved = read_plan(plan_file) if plan_file else None
    project = project_of(settings, saved)
    store = store_of(project, "apply")
    with store.lock(settings.lock_timeout), stoppable() as stop:
        started = time.monotonic()
        run = prepare(project, store.load(), saved, settings.only)
        if run.resumed:
            click.echo(f"Going on with the plan of {run.plan.created_at}, which was not finished.\n", err=True)
        elif saved is None:
            shown = plan_text(run.plan, bool(settings.verbose), settings.colour, width(), None, False)
            click.echo(shown, nl=False, err=settings.as_json)
        if run.plan.empty:
            if saved is not None:
                click.echo("No changes.")
            return
        if saved is None and not run.resumed and not auto_approve:
            confirm()
        for _ in watch(execute(project, run, store, stop), live=live(settings), quiet=settings.quiet):
            pass
        state = store.load()
        assert state is not None
        reports = [state.applied[each.name].report for each in run.plan.migrations if each.name in state.applied]
        outcome = outcome_of(run.plan, state, seconds=time.monotonic() - started, resumed=run.resumed)
    show_reports([each for each in reports if each], settings, html)


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@click.option("--html", metavar="FILE", help="Write the report as one HTML file, too.")
@global_options
def verify(settings: Settings, form: str, html: str | None) -> None:
    """Compare the target with the source: counts, every record, and search. Exits with 7 where it is not equal."""
    from vecmig.workflow import verify as run_verify

    project = project_of(settings)
    store = store_of(project, "verify")
    with store.lock(settings.lock_timeout), stoppable() as stop:
        events = run_verify(project, store, stop, settings.only)
        reports = [
            each for each in watch(events, live=live(settings), quiet=settings.quiet) if isinstance(each, Report)
        ]
    show_reports(reports, settings, html)


def live(settings: Settings) -> bool:
    """Whether progress may redraw the terminal."""
    return sys.stderr.isatty() and not settings.as_json


def confirm() -> None:
    """Ask whether to go on. Raises SpecError where nobody can answer, Abort at a no."""
    if not sys.stdin.isatty():
        hint = "say --auto-approve, or apply a saved plan: vecmig plan --out FILE, then vecmig apply FILE"
        raise SpecError(Problem("apply asks before it changes anything, and there is no terminal to answer", hint=hint))
    click.confirm("\nApply this plan?", abort=True, err=True)


@contextmanager
def stoppable() -> Iterator[Flag]:
    """Turn Ctrl-C and SIGTERM into a flag: the first ends after the batches at hand, the second at once."""
    stop = Flag()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(STOPPED)  # what was acknowledged and saved is safe; a batch at hand is written again
        stop.set()
        click.echo("\nFinishing the batches at hand; once more to stop at once.", err=True)

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
