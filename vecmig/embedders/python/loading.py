"""`module:name` -> what it names; and calls of it, whose errors are the user's own."""

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vecmig.embedders.python.options import PythonOptions
from vecmig.errors import ConnectorError, VecmigError

Function = Callable[[list[str]], Any]


def load(options: PythonOptions) -> Function:
    """Return what takes the texts. Raises ConnectorError."""
    named = _named(options.call, options.path)
    if not callable(named):
        raise ConnectorError(f"`{options.call}` cannot be called: it is a {type(named).__name__}")
    if not options.factory:
        function: Function = named
        return function
    with own_errors(f"`{options.call}` could not make the model"):
        made = named(**options.arguments)
    method: Function | None = made if callable(made) else getattr(made, "encode", None)
    if method is None:
        raise ConnectorError(f"what `{options.call}` made can neither be called nor has it a method `encode`")
    return method


@contextmanager
def own_errors(what: str) -> Iterator[None]:
    """Raise whatever is raised inside as ConnectorError, with its place; vecmig's own errors as they are."""
    try:
        yield
    except VecmigError:
        raise
    except Exception as error:  # a function of the user's own raises what it likes
        last = traceback.extract_tb(error.__traceback__)[-1]
        # not what the error says: that may be a text
        raise ConnectorError(f"{what}: {type(error).__name__} at {last.filename}:{last.lineno}") from error


def _named(call: str, path: str | None) -> Any:
    module, _, name = call.partition(":")
    if path is not None and path not in sys.path:
        sys.path.insert(0, path)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        where = f", nor is it in {path}" if path else "; if it is a file, `path` names its directory"
        raise ConnectorError(f"`{call}`: the module {error.name!r} is not installed{where}") from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConnectorError(f"`{call}`: {module} has no {name!r}") from None
    return found
