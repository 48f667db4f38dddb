"""Nodes -> plain values, with every expression rendered but those of secrets, and the place of each value kept."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from vecmig.errors import Problem
from vecmig.spec.credentials import literal_credential, looks_like_credential
from vecmig.spec.parse import Mapping, Node, Scalar, Sequence
from vecmig.spec.scalar import value_of
from vecmig.spec.template import ExpressionError, is_expression, literal, read, render, segments
from vecmig.spec.text import Mark, Text
from vecmig.spec.variables import Variables, missing, misuse, result

Path = tuple[str | int, ...]
Role = Literal["value", "secret", "unknown", "raw"]  # unknown: of a connector that is not; raw: not to be rendered


@dataclass(slots=True)
class Rendered:
    """The spec as plain values, and where they stand in the file."""

    text: Text
    value: Any = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    rendered: dict[Path, str] = field(default_factory=dict)  # what came from expressions, as text
    broken: set[Path] = field(default_factory=set)  # has a problem already; its value is None
    secrets: set[Path] = field(default_factory=set)  # where an expression stands that finds a secret
    hidden: set[tuple[Mark, Mark]] = field(default_factory=set)  # what no excerpt may show
    unset: dict[str, Path] = field(default_factory=dict)  # names that secrets use -> the first place
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """Return a problem at a value or its key; where it is missing, at what should hold it."""
        places = self.keys if key else self.values
        while path and path not in places:
            path, places = path[:-1], self.values
        return self.text.problem(places.get(path, Mark(0, 0)), message, hint)

    def where(self, path: Path) -> str:
        """Return what people call a place, such as targets.warehouse.dsn."""
        return ".".join(map(str, path))

    def add(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.problem(path, message, hint, key=key))


def render_document(root: Node, text: Text, variables: Variables, role: Callable[[Path], Role]) -> Rendered:
    """Return the values of the spec; `role` says what may stand at a path."""
    into = Rendered(text)
    into.value = _value(root, (), into, variables, role)
    return into


def _value(node: Node, path: Path, into: Rendered, variables: Variables, role: Callable[[Path], Role]) -> Any:
    into.values[path] = node.mark
    match node:
        case Mapping():
            for key, _ in node.entries:
                into.keys[*path, key.text] = key.mark
            return {
                key.text: _value(value, (*path, key.text), into, variables, role) for key, value in node.entries
            }  # fmt: skip
        case Sequence():
            return [_value(item, (*path, n), into, variables, role) for n, item in enumerate(node.items)]
        case Scalar():
            match role(path):
                case "secret":
                    into.hidden.add((node.mark, node.end))
                    into.secrets.add(path)
                    return _secret(node, path, into, variables)
                case "unknown":
                    into.hidden.add((node.mark, node.end))
                    return node.text
                case "raw":
                    return _safe(node.text if is_expression(node.text) else _plain(node, path, into), node, path, into)
                case "value":
                    return _rendered(node, path, into, variables)


def _plain(node: Scalar, path: Path, into: Rendered) -> Any:
    if not node.plain:
        return node.text
    try:
        return value_of(node.text)
    except ValueError as error:
        into.broken.add(path)
        into.add(path, str(error))
        return None


def _rendered(node: Scalar, path: Path, into: Rendered, variables: Variables) -> Any:
    value = _evaluated(node, path, into, variables) if is_expression(node.text) else _plain(node, path, into)
    return _safe(value, node, path, into)


def _safe(value: Any, node: Scalar, path: Path, into: Rendered) -> Any:
    """Return the value of a key that takes no secret, if it is none."""
    if not isinstance(value, str) or not looks_like_credential(value):
        return value
    into.hidden.add((node.mark, node.end))
    into.broken.add(path)
    into.add(
        path,
        f"`{path[-1] if path else ''}` looks like a credential, and would be seen in plans and reports",
        'credentials belong to the keys that take a secret, as "{{ env.NAME }}"',
    )
    return None


def _evaluated(node: Scalar, path: Path, into: Rendered, variables: Variables) -> Any:
    key = str(path[-1]) if path else ""
    try:
        expression = read(node.text)
        found = misuse(expression, variables, into.text, node, key)
        if not found and not expression.variables & variables.broken:
            value, into.rendered[path] = result(expression, variables)
            return value
        into.problems += found
    except ValueError as error:
        into.add(path, f"`{key}`: {error}")
    into.broken.add(path)
    return None


def _secret(node: Scalar, path: Path, into: Rendered, variables: Variables) -> str | None:
    """Return the secret's expression, in which only `env` is left."""
    key = str(path[-1])
    if node.plain and node.text in ("", "~", "null", "Null", "NULL"):
        return None
    text: str | None = node.text
    if is_expression(node.text):
        text = _expression_of(node, path, into, variables)
    if text is not None and literal_credential(key, text):
        name = key.upper() if key.lower() != "dsn" else "DATABASE_URL"
        into.add(
            path,
            f"`{key}` holds a credential that would lie in the file for everyone to read",
            f'put it into the environment and write "{{{{ env.{name} }}}}", or {{{{ env.NAME }}}} in the place of the '
            "secret part",
        )
        text = None
    if text is None:
        into.broken.add(path)
    return text


def _expression_of(node: Scalar, path: Path, into: Rendered, variables: Variables) -> str | None:
    try:
        whole = read(node.text)
        into.problems += missing(whole, variables, into.text, node)
        if whole.variables - variables.values.keys():
            return None
        parts = [_part(source, variables) if code else source for code, source in segments(node.text)]
    except ExpressionError as error:
        into.add(path, f"`{path[-1]}`: {error}")
        return None
    for name in sorted(whole.environment):
        into.unset.setdefault(name, path)
    return "".join(parts)


def _part(source: str, variables: Variables) -> str:
    expression = read(source)
    if expression.environment:
        if expression.variables or expression.optional:
            raise ExpressionError("`env` and `vars` stand in one expression; write one {{ … }} for each")
        return source
    text = render(source, variables.values)
    # what a variable holds stays text: it must not become an expression when the secret is resolved
    return literal(text) if "{" in text else text
