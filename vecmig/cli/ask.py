"""Questions to the person at the terminal."""

import sys

import click

from vecmig.errors import Problem, SpecError


def confirm(question: str, command: str, hint: str) -> None:
    """Ask whether to go on. Raises SpecError, with the way out, where nobody can answer, Abort at a no."""
    if not sys.stdin.isatty():
        raise SpecError(
            Problem(f"{command} asks before it changes anything, and there is no terminal to answer", hint=hint)
        )
    click.confirm(question, abort=True, err=True)
