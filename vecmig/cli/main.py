"""The entry point: find the command, run it, turn an error into its exit code."""

import os
import signal
import sys
from importlib import import_module

import click

from vecmig.cli.settings import Settings, global_options
from vecmig.errors import (
    BadRecordError,
    CollectionConflict,
    GuardError,
    PluginError,
    SpecError,
    StalePlanError,
    StateLocked,
    Stopped,
    UnsupportedError,
    VecmigError,
    VerificationFailed,
)
from vecmig.model.secret import redact

FAILED, CHANGES, BAD_INPUT, LOCKED, STALE, GUARDED, UNPROVEN, STOPPED = range(1, 9)
EXIT_CODES: dict[type[VecmigError], int] = {
    SpecError: BAD_INPUT,
    PluginError: BAD_INPUT,
    UnsupportedError: BAD_INPUT,
    StateLocked: LOCKED,
    StalePlanError: STALE,
    CollectionConflict: STALE,
    GuardError: GUARDED,
    VerificationFailed: UNPROVEN,
    Stopped: STOPPED,
    BadRecordError: FAILED,
}

# seconds that a thread whose store has answered waits for one that computes: in the 5 ms that Python takes, the store
# could have sent most of another page
SWITCH_S = 0.0003

# name: where it is, and its line in the help; a command's module is imported when it is called, so that help is fast
COMMANDS = {
    "init": ("vecmig.cli.spec:init", "Write a first spec to edit."),
    "validate": ("vecmig.cli.spec:validate", "Check the spec, offline."),
    "inspect": ("vecmig.cli.spec:inspect", "Read a live collection and write its spec."),
    "plan": ("vecmig.cli.plan:plan", "Show what apply would do, and what it takes."),
    "show": ("vecmig.cli.plan:show", "Show a saved plan."),
    "apply": ("vecmig.cli.apply:apply", "Make the target what the spec says, and prove it."),
    "verify": ("vecmig.cli.apply:verify", "Compare the target with the source."),
    "cutover": ("vecmig.cli.switch:cutover", "Let what was built beside serve."),
    "rollback": ("vecmig.cli.switch:rollback", "Let what served before serve again."),
    "drop": ("vecmig.cli.switch:drop", "Remove superseded collections, by name."),
    "cache": ("vecmig.cli.cache:cache", "Show or clear the cache of embeddings."),
    "status": ("vecmig.cli.state:status", "Show what was done, and how it stands."),
    "state": ("vecmig.cli.state:state", "List, show, unlock or forget states."),
    "schema": ("vecmig.cli.spec:schema", "Print the JSON Schema of specs, plans or reports."),
    "doctor": ("vecmig.cli.doctor:doctor", "Check versions, connectivity and rights."),
}


class Commands(click.Group):
    """Knows its commands by name, and loads one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else f" There are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command `{args[0]}`.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="vecmig", message="vecmig %(version)s")
@global_options
def vecmig(settings: Settings) -> None:
    """Declarative, provable migrations between vector databases.

    A spec in Git says what the target must be; plan shows the difference; apply makes it so, can be killed at any
    moment and run again; verify proves that nothing was lost.
    """


def main() -> None:
    """Run the command line and exit with its code."""
    sys.setswitchinterval(SWITCH_S)
    try:
        code = vecmig.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = BAD_INPUT
    except click.UsageError as error:
        if error.ctx:
            click.echo(error.ctx.get_usage(), err=True)
        code = _complain(error.format_message(), BAD_INPUT)
    except click.ClickException as error:
        code = _complain(error.format_message(), BAD_INPUT)
    except (click.Abort, KeyboardInterrupt) as error:
        # a no to a question is an Abort, too: it alone is known to come before everything
        is_no = isinstance(error, click.Abort) and not isinstance(error.__cause__, KeyboardInterrupt)
        code = _complain(
            "stopped before anything was changed" if is_no else "stopped; it is safe to run the same command again",
            STOPPED,
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a pager that closed wants no traceback
        code = 128 + signal.SIGPIPE
    except VecmigError as error:
        kinds = (EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
        code = _complain(str(error), next(kinds, FAILED))
    except Exception as error:  # a defect: say so, and keep what is needed to report it
        if os.environ.get("VECMIG_DEBUG"):
            raise
        code = _complain(
            f"unexpected {type(error).__name__}: {error}\nThis is a defect of vecmig. Run again with VECMIG_DEBUG=1 "
            "for the traceback, and report it; what was acknowledged is saved",
            FAILED,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int) -> int:
    click.echo(f"Error: {redact(message)}", err=True)
    return code
