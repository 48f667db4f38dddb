"""Secrets as references: what is stored, shown and pickled is the expression that finds the value, never the value."""

import os
from dataclasses import dataclass

from vecmig.errors import Problem, SpecError

SHORTEST = 4  # a secret: what is shorter stands in any text, and masking it would only garble that
_revealed: set[str] = set()  # resolved by this process, so that `redact` can take it out of a vendor's message


@dataclass(frozen=True, slots=True)
class Secret:
    """A string of the spec that may hold `{{ env.NAME }}`; resolved only when a connection opens."""

    expression: str

    def __str__(self) -> str:
        return self.expression

    def reveal(self) -> str:
        """Return the value. Raises SpecError that names a variable which is not set."""
        # only here: `vecmig --help` passes through this module
        from jinja2 import StrictUndefined, UndefinedError
        from jinja2.sandbox import SandboxedEnvironment

        environment = SandboxedEnvironment(undefined=StrictUndefined)
        try:
            value = environment.from_string(self.expression).render(env=dict(os.environ))
        except UndefinedError as error:
            name = str(error.message).rpartition("attribute ")[2].strip("'")
            hint = f"set it, then run again: export {name}=…"
            raise SpecError(
                Problem(f"`{self.expression}` needs the variable {name}, which is not set", hint=hint)
            ) from None
        if not value.strip():
            raise SpecError(Problem(f"`{self.expression}` is empty", hint="give the variable a value, then run again"))
        if value != self.expression:
            found = (value, *(os.environ[name] for name in os.environ if name in self.expression))
            _revealed.update(text for each in found for text in (each, each.strip()))  # a client may show it trimmed
        return value


def redact(text: str) -> str:
    """Return `text` without any value that a secret of this process resolved to."""
    for value in sorted(_revealed, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, "***")
    return text
