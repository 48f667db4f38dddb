"""Variables from outside the spec: --var-file, VECMIG_VAR_x and --var. They are values, never expressions."""

from collections.abc import Mapping as Map
from dataclasses import dataclass

from vecmig.errors import Problem
from vecmig.spec.parse import Mapping, Scalar, parse
from vecmig.spec.scalar import Value, value_of
from vecmig.spec.suggest import did_you_mean
from vecmig.spec.text import read as read_text

PREFIX = "VECMIG_VAR_"


@dataclass(frozen=True, slots=True)
class Given:
    text: str
    value: Value  # what the text means in YAML


def from_file(path: str) -> tuple[dict[str, Given], list[Problem]]:
    """Return the values of a --var-file, and its problems. Raises SpecError if it cannot be read."""
    text = read_text(path, "variable file")
    node, problems = parse(text)
    found: dict[str, Given] = {}
    if node is not None and not isinstance(node, Mapping):
        problems.append(text.problem(node.mark, "a variable file is a mapping such as `table: kb_chunks`"))
    for key, value in node.entries if isinstance(node, Mapping) else ():
        if not isinstance(value, Scalar):
            problems.append(
                text.problem(value.mark, f"variable `{key.text}` must be one value, not a list or a mapping")
            )
            continue
        try:
            found[key.text] = Given(value.text, value_of(value.text) if value.plain else value.text)
        except ValueError as error:
            problems.append(text.problem(value.mark, f"`{key.text}`: {error}"))
    return found, list(text.illustrated(problems))


def from_process(environment: Map[str, str], known: set[str]) -> tuple[dict[str, Given], list[Problem]]:
    """Return the values of VECMIG_VAR_x; one that the spec does not mention is for another spec."""
    names = {name for name in known if PREFIX + name in environment}
    return _read({name: environment[PREFIX + name] for name in sorted(names)}, PREFIX)


def from_line(options: Map[str, str], known: set[str]) -> tuple[dict[str, Given], list[Problem]]:
    """Return the values of --var; one that the spec does not mention is a mistake."""
    found, problems = _read({name: text for name, text in options.items() if name in known}, "--var ")
    problems += [
        Problem(f"--var {name}: the spec has no variable `{name}`", hint=did_you_mean(name, sorted(known)))
        for name in options
        if name not in known
    ]
    return found, problems


def _read(texts: Map[str, str], label: str) -> tuple[dict[str, Given], list[Problem]]:
    found: dict[str, Given] = {}
    problems: list[Problem] = []
    for name, text in texts.items():
        try:
            found[name] = Given(text, value_of(text))
        except ValueError as error:
            problems.append(Problem(f"{label}{name}: {error}"))
    return found, problems
