"""Every exception of vecmig; all pickle, for they come back from workers.

VecmigError
├── SpecError                 the spec, a variable or a flag is wrong: all problems at once, with positions
├── PluginError               a connector is unknown, or its extra is not installed
├── PlanError
│   ├── StalePlanError        what the plan was made from has moved
│   ├── UnsupportedError      the target cannot hold, or be changed into, what the spec asks for
│   │   └── RebuildNeeded     but a new collection can be
│   └── GuardError            a limit, a protected environment or a destructive step stops here
├── ConnectorError            a store refused or failed: final, but for
│   ├── TransientError        the same call may succeed later
│   │   └── LostAnswer        an embedding provider was asked, and no whole answer came: it may have charged
│   ├── RefusedText           an embedding provider does not take a text
│   ├── CollectionConflict    one of this name exists, but differs or is not vecmig's
│   └── CollectionNotFound
├── BadRecordError            a record that cannot be moved, under `on_bad_record: fail`
├── StateError                the state is damaged, or written by a newer version
│   └── StateLocked           another run holds it
├── VerificationFailed        below a threshold, or undecided
└── Stopped                   ended early at the user's wish; safe to run again
"""

from dataclasses import dataclass


class VecmigError(Exception):
    """A message says what happened, where, and what to do next."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a spec."""

    message: str
    position: Position | None = None
    excerpt: str = ""  # the offending line and, below it, a caret
    hint: str = ""  # the nearest known key, or the way to write it

    def __str__(self) -> str:
        head = f"{self.position}: {self.message}" if self.position else self.message
        return "\n".join(part for part in (head, self.excerpt, self.hint and f"  {self.hint}") if part)


class SpecError(VecmigError):
    """Carries every problem found, in the order of the file."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.args

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.problems))


class PluginError(VecmigError): ...


class PlanError(VecmigError): ...


class StalePlanError(PlanError): ...


class UnsupportedError(PlanError): ...


class RebuildNeeded(UnsupportedError):
    """Carries the reasons, a line each."""

    def __init__(self, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message, reasons)

    @property
    def reasons(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self.args[1]
        return found

    def __str__(self) -> str:
        return str(self.args[0])


class GuardError(PlanError): ...


class ConnectorError(VecmigError): ...


class TransientError(ConnectorError): ...


class LostAnswer(TransientError): ...


class RefusedText(ConnectorError): ...


class CollectionConflict(ConnectorError): ...


class CollectionNotFound(ConnectorError): ...


class BadRecordError(VecmigError): ...


class StateError(VecmigError): ...


class StateLocked(StateError): ...


class VerificationFailed(VecmigError): ...


class Stopped(VecmigError): ...
