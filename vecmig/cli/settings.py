"""The flags that every command takes, before or after its name."""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Settings:
    file: str = "vecmig.yaml"
    environment: str = "default"
    variables: tuple[str, ...] = ()  # k=v each
    variable_files: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    lock_timeout: float = 0.0
    as_json: bool = False
    no_color: bool = False
    quiet: bool = False
    verbose: int = 0
    given: frozenset[str] = frozenset()  # names of the fields that stand on the command line

    @property
    def colour(self) -> bool:
        """Whether the result may be coloured."""
        return not self.no_color and "NO_COLOR" not in os.environ and sys.stdout.isatty()


def _seconds(ctx: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter(f"{value} is no number of seconds", ctx, option)
    return value


_OPTIONS = [
    click.option("-f", "--file", metavar="SPEC", help="The spec.  [default: vecmig.yaml]"),
    click.option("-e", "--env", "environment", metavar="NAME", help="Environment of the spec.  [default: default]"),
    click.option("--var", "variables", metavar="K=V", multiple=True, help="Set a variable."),
    click.option("--var-file", "variable_files", metavar="FILE", multiple=True, help="Set variables from YAML."),
    click.option("--only", metavar="MIGRATION", multiple=True, help="Work on this migration only."),
    click.option(
        "--lock-timeout",
        type=float,
        callback=_seconds,
        metavar="SECONDS",
        help="Wait so long for another run.  [default: 0]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    click.option("--no-color", is_flag=True, help="Print without colours (as with NO_COLOR)."),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
    click.option("-v", "--verbose", count=True, help="More detail; twice: what vecmig does."),
]


def global_options(function: F) -> F:
    """Give a command the global flags, as one argument `settings`; those after its name win."""

    @click.pass_context
    @wraps(function)
    def wrapper(ctx: click.Context, /, **values: Any) -> Any:
        names = {field.name for field in fields(Settings)} - {"given"}
        given = {name: values.pop(name) for name in list(values) if name in names}
        given = {name: value for name, value in given.items() if value not in (None, (), False, 0)}
        before = ctx.parent.obj if ctx.parent and isinstance(ctx.parent.obj, Settings) else Settings()
        kept = {name: getattr(before, name) for name in before.given}
        settings = Settings(**(kept | given), given=before.given | given.keys())
        ctx.obj = settings
        _log(settings)
        return function(settings=settings, **values)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]  # click's decorators keep no signature


class _Stderr(logging.Handler):
    """Writes to stderr as it is at that time: while bars are shown, that is what keeps them below all other output."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more: that ends no migration
            sys.stderr.write(self.format(record) + "\n")


def _log(settings: Settings) -> None:
    level = (
        logging.ERROR if settings.quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(settings.verbose, 2)]
    )
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_Stderr()])
    logging.getLogger("vecmig").setLevel(level)


def echo_json(**document: object) -> None:
    """Print a small document for programs."""
    import json  # not for `vecmig --help`

    click.echo(json.dumps({"format_version": 1, **document}, indent=2))


def width() -> int:
    """Return the columns to write for: those of the terminal, within what is pleasant to read."""
    return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
