"""From the flags to the project, its state and a saved plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from vecmig.cli.settings import Settings
from vecmig.errors import Problem, SpecError
from vecmig.migration import Project
from vecmig.model.plan import PLAN_FORMAT, Plan
from vecmig.spec.load import load


def project_of(settings: Settings, saved: Plan | None = None) -> Project:
    """Load the spec; a saved plan says which, unless a flag does. Raises SpecError."""
    file, environment = settings.file, settings.environment
    variables = _variables(settings)
    if saved is not None:
        file = file if "file" in settings.given else saved.spec_file
        environment = environment if "environment" in settings.given else saved.environment
        variables = {**saved.variables, **variables}
    return load(file, environment, variables, settings.variable_files)


if TYPE_CHECKING:
    from vecmig.storage.file import FileStateStore


def store_of(project: Project, command: str) -> FileStateStore:
    """Return where the project's state is kept. `command` is shown to those who find it locked."""
    from vecmig.storage.file import FileStateStore  # `validate` needs no state

    return FileStateStore(project.directory, project.name, project.environment, f"vecmig {command}")


def read_plan(path: str) -> Plan:
    """Return a saved plan. Raises SpecError if the file is none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        version = msgspec.json.decode(data, type=_Format).format_version
        if version > PLAN_FORMAT:
            raise SpecError(Problem(f"{path} was saved by a newer vecmig (format {version}): upgrade vecmig"))
        return msgspec.json.decode(data, type=Plan)
    except OSError as error:
        raise SpecError(Problem(f"cannot read the plan {path}: {error.strerror}", hint=_MAKE_ONE)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise SpecError(Problem(f"{path} is no plan of vecmig, or is damaged", hint=_MAKE_ONE)) from None


def write_plan(plan: Plan, path: str) -> None:
    """Save a plan for `apply`. Raises SpecError if the file cannot be written."""
    try:
        with open(path, "wb") as file:
            file.write(msgspec.json.encode(plan))
    except OSError as error:
        raise SpecError(Problem(f"cannot write the plan to {path}: {error.strerror}")) from error


_MAKE_ONE = "make one with: vecmig plan --out FILE"


class _Format(msgspec.Struct):
    format_version: int


def _variables(settings: Settings) -> Mapping[str, str]:
    variables = {}
    for each in settings.variables:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise SpecError(Problem(f"--var takes NAME=VALUE, not {each!r}"))
        variables[name] = value
    return variables
