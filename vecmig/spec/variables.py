"""The variables of a spec in one environment: who says what, and who wins."""

from collections.abc import Mapping as Map
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from vecmig.errors import Problem
from vecmig.spec.outside import PREFIX, Given
from vecmig.spec.parse import Mapping, Node, Scalar, Sequence
from vecmig.spec.scalar import Value, value_of
from vecmig.spec.suggest import did_you_mean, nearest
from vecmig.spec.template import Expression, ExpressionError, is_expression, read, render
from vecmig.spec.text import Text


@dataclass(frozen=True, slots=True)
class Variables:
    """`values` are ready; a name in `broken` has a problem of its own, which need not be told again."""

    values: Map[str, Value]
    texts: Map[str, str]  # as they were written
    broken: frozenset[str] = frozenset()


def entry(node: Node | None, name: str) -> Node | None:
    """Return the value of a key, or None."""
    if not isinstance(node, Mapping):
        return None
    return next((value for key, value in node.entries if key.text == name), None)


def declared(root: Node, environment: str) -> dict[str, Scalar]:
    """Return the spec's own values, those of the environment before the global ones."""
    found: dict[str, Scalar] = {}
    for node in (entry(root, "vars"), entry(entry(entry(root, "environments"), environment), "vars")):
        if isinstance(node, Mapping):
            found |= {key.text: value for key, value in node.entries if isinstance(value, Scalar)}
    return found


def mentioned(root: Node) -> set[str]:
    """Return every name that the spec declares in any environment, or uses in an expression."""
    environments = entry(root, "environments")
    each = [value for _, value in environments.entries] if isinstance(environments, Mapping) else []
    spaces = [entry(root, "vars"), *(entry(node, "vars") for node in each)]
    names = {key.text for space in spaces if isinstance(space, Mapping) for key, _ in space.entries}
    return names.union(*_uses(root, set()))


def _uses(node: Node, seen: set[int]) -> list[frozenset[str]]:
    if id(node) in seen:  # an alias: the same nodes again, perhaps very often
        return []
    seen.add(id(node))
    match node:
        case Scalar():
            if not is_expression(node.text):
                return []
            try:
                expression = read(node.text)
            except ExpressionError:  # told where the value is rendered
                return []
            return [expression.variables | expression.optional]
        case Sequence():
            return [names for item in node.items for names in _uses(item, seen)]
        case Mapping():
            return [names for _, value in node.entries for names in _uses(value, seen)]


def evaluated(own: Map[str, Scalar], given: Map[str, Given], text: Text) -> tuple[Variables, list[Problem]]:
    """Return all values; those of the spec may use each other, in any order."""
    values: dict[str, Value] = {name: each.value for name, each in given.items()}
    for name, scalar in own.items():  # "2024" in quotes stays a text if another text takes its place
        if name in given and not scalar.plain and not is_expression(scalar.text):
            values[name] = given[name].text
    texts = {name: scalar.text for name, scalar in own.items()} | {name: each.text for name, each in given.items()}
    problems: list[Problem] = []
    broken: set[str] = set()
    expressions: dict[str, Expression] = {}
    for name, scalar in own.items():
        if name in given:
            continue
        try:
            if is_expression(scalar.text):
                expressions[name] = read(scalar.text)
            else:
                values[name] = value_of(scalar.text) if scalar.plain else scalar.text
        except ExpressionError as error:
            broken.add(name)
            problems.append(text.problem(scalar.mark, f"`{name}`: {error}"))
        except ValueError:  # told with the other values of the spec
            broken.add(name)
    for name in _ordered(expressions, own, text, problems, broken):
        _evaluate(name, expressions[name], own[name], text, values, texts, broken, problems)
    return Variables(values, texts, frozenset(broken)), problems


def _ordered(
    expressions: Map[str, Expression], own: Map[str, Scalar], text: Text, problems: list[Problem], broken: set[str]
) -> list[str]:
    uses = {name: (each.variables | each.optional) & expressions.keys() for name, each in expressions.items()}
    try:
        return list(TopologicalSorter(uses).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        mark = own[min(cycle, key=lambda name: own[name].mark)].mark
        problems.append(text.problem(mark, f"variables use each other in a circle: {' -> '.join(cycle)}"))
        broken.update(expressions)
        return []


def _evaluate(
    name: str,
    expression: Expression,
    scalar: Scalar,
    text: Text,
    values: dict[str, Value],
    texts: dict[str, str],
    broken: set[str],
    problems: list[Problem],
) -> None:
    found = misuse(expression, Variables(values, texts, frozenset(broken)), text, scalar, name)
    if expression.variables & broken:
        broken.add(name)
        return
    if found:
        broken.add(name)
        problems.extend(found)
        return
    try:
        values[name], texts[name] = result(expression, Variables(values, texts))
    except ValueError as error:
        broken.add(name)
        problems.append(text.problem(scalar.mark, f"`{name}`: {error}"))


def misuse(expression: Expression, variables: Variables, text: Text, scalar: Scalar, key: str) -> list[Problem]:
    """Return what is wrong with an expression at a key that takes no secret."""
    problems = missing(expression, variables, text, scalar)
    for name in sorted(expression.environment):
        plain = name.lower()
        problems.append(
            text.problem(
                scalar.mark,
                f"`env` may stand only where a secret goes, and `{key}` is none",
                f'write "{{{{ vars.{plain} }}}}" and set {PREFIX}{plain} in the environment',
            )
        )
    return problems


def missing(expression: Expression, variables: Variables, text: Text, scalar: Scalar) -> list[Problem]:
    """Return a problem for each variable that has no value."""
    return [
        text.problem(
            scalar.mark,
            f"variable `{name}` has no value",
            did_you_mean(name, variables.values) if nearest(name, variables.values) else _ways(name),
        )
        for name in sorted(expression.variables)
        if name not in variables.values and name not in variables.broken
    ]


def _ways(name: str) -> str:
    return f"add it to `vars`, or give --var {name}=… or {PREFIX}{name}"


def result(expression: Expression, variables: Variables) -> tuple[Value, str]:
    """Return what an expression becomes, and as text: a lone variable's own value, else what the text means in YAML.

    Raises ValueError.
    """
    if expression.alone is not None:
        return variables.values[expression.alone], variables.texts[expression.alone]
    text = render(expression.source, variables.values)
    return value_of(text) if text else "", text
