"""apply and verify: the commands that work, and are watched."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Event as Flag
from threading import Thread
from types import FrameType

import click
from msgspec.structs import replace

from vecmig.cli.ask import confirm
from vecmig.cli.project import project_of, read_plan, store_of
from vecmig.cli.settings import Settings, global_options, width
from vecmig.errors import PluginError, Problem, SpecError, VerificationFailed
from vecmig.model.plan import Plan
from vecmig.model.report import Report
from vecmig.reporting.html import report_html
from vecmig.reporting.json import outcome_json, reports_json
from vecmig.reporting.markdown import report_markdown
from vecmig.reporting.outcome import Outcome, outcome_of, verdict_of
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
    from vecmig.workflow.run import execute, give_up, prepare, quarantine_of

    check_html(html)
    saved = read_plan(plan_file) if plan_file else None
    project = project_of(settings, saved)
    store = store_of(project, "apply")
    with store.lock(settings.lock_timeout):
        started = time.monotonic()
        before = store.load()
        run = prepare(project, before, saved, settings.only)
        if run.resumed:
            click.echo(f"Going on with the plan of {run.plan.created_at}, which was not finished.", err=True)
        elif before and before.plan and run.against:
            reasons = "; ".join(run.against)
            click.echo(
                f"The plan of {before.plan.created_at} is left unfinished: {reasons}. This one is new.", err=True
            )
        if not run.resumed and (saved is None or run.plan.empty):
            show_plan(run.plan, settings)
        if run.plan.empty:
            give_up(project, run, store)
            if settings.as_json:
                click.echo(outcome_json(outcome_of(run.plan, run.state, run.resumed)), nl=False)
            return
        if saved is None and not run.resumed and not auto_approve:
            way = "say --auto-approve, or apply a saved plan: vecmig plan --out FILE, then vecmig apply FILE"
            confirm("\nApply this plan?", "apply", way)
        outcome = outcome_of(run.plan, run.state, run.resumed)
        with stoppable() as stop:
            for event in watched(execute(project, run, store, stop), settings):
                outcome = outcome.after(event)
        state = store.load()
        files = tuple(str(path) for path in sorted(quarantine_of(project, run.plan).glob("*.parquet")))
        outcome = replace(
            outcome,
            serial=state.serial if state else 0,
            seconds=round(time.monotonic() - started, 3),
            quarantine_files=files,
        )
    show_outcome(outcome, settings, html)


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@click.option("--html", metavar="FILE", help="Write the report as one HTML file, too.")
@global_options
def verify(settings: Settings, form: str, html: str | None) -> None:
    """Hold the target against the source: counts, every record, and search. Exits with 7 where it falls short."""
    from vecmig.workflow.run import verify as run_verify

    check_html(html)
    project = project_of(settings)
    store = store_of(project, "verify")
    with store.lock(settings.lock_timeout), stoppable() as stop:
        events = watched(run_verify(project, store, stop, settings.only), settings)
        reports = [event for event in events if isinstance(event, Report)]
    if settings.as_json or form == "json":
        click.echo(reports_json(reports), nl=False)
    elif form == "markdown":
        click.echo(report_markdown(reports), nl=False)
    else:
        show_reports(reports, settings)
    conclude(reports, html)


def show_plan(plan: Plan, settings: Settings) -> None:
    """Print the plan that is about to run; with --json the outcome alone goes to stdout."""
    text = plan_text(plan, bool(settings.verbose), settings.colour, width(), about_to_run=True)
    click.echo(text, nl=False, err=settings.as_json)


def show_outcome(outcome: Outcome, settings: Settings, html: str | None) -> None:
    """Print what was done and how it was proven. Raises VerificationFailed."""
    if settings.as_json:
        click.echo(outcome_json(outcome), nl=False)
    else:
        show_reports(outcome.reports, settings)
        click.echo("\n" + outcome_text(outcome, "", settings.colour, width()), nl=False)
    conclude(outcome.reports, html)


def show_reports(reports: Sequence[Report], settings: Settings) -> None:
    for report in reports:
        click.echo("\n" + report_text(report, bool(settings.verbose), settings.colour, width()), nl=False)


def check_html(path: str | None) -> None:
    """Raise SpecError or PluginError for a report that could not be written, before the hours that it takes to make it."""
    if path is None:
        return
    if find_spec("matplotlib") is None:
        raise PluginError("an HTML report needs the module 'matplotlib': pip install 'vecmig[report]'")
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise SpecError(Problem(f"cannot write {path}", hint="name a file in a directory that is there"))


def conclude(reports: Sequence[Report], html: str | None) -> None:
    """Write the HTML file, and raise VerificationFailed unless everything is proven."""
    if html:
        try:
            with open(html, "w", encoding="utf-8") as file:
                file.write(report_html(reports))
        except OSError as error:
            raise SpecError(Problem(f"cannot write {html}: {error.strerror}")) from error
    if reports and (verdict := verdict_of(reports)) != "passed":
        said = "failed" if verdict == "failed" else "could not decide"
        raise VerificationFailed(
            f"the verification {said}: above, each `!` says what to do. The target is kept as it is"
        )


def watched(events: Iterator[object], settings: Settings) -> Iterator[object]:
    """Show the events as they come."""
    live = sys.stderr.isatty() and not settings.as_json
    return watch(events, live=live, quiet=settings.quiet, colour=settings.colour)


@contextmanager
def stoppable() -> Iterator[Flag]:
    """Turn Ctrl-C and SIGTERM into a flag: the first ends after the batches at hand, the second at once."""
    stop, ended = Flag(), Flag()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(STOPPED)  # what was acknowledged and saved is safe; a batch at hand is written again
        stop.set()

    def tell() -> None:  # not the handler: it may have interrupted a write
        while not ended.is_set():
            if stop.wait(0.1):
                # not click, whose streams pass by what keeps the bars below all other output
                sys.stderr.write("\nFinishing the batches at hand; once more to stop at once.\n")
                return

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    teller = Thread(target=tell, name="stop", daemon=True)
    teller.start()
    try:
        yield stop
    finally:
        ended.set()
        teller.join()
        for each, handler in before.items():
            signal.signal(each, handler)
