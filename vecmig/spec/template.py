"""Jinja2 expressions in the values of a spec: small on purpose, so that reading a stranger's spec is safe."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from types import SimpleNamespace

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

MAX_CHARACTERS = 10_000  # of one value, before and after
_FILTERS = ("abs", "capitalize", "d", "default", "first", "float", "int", "join", "last", "length", "lower", "max", "min",
            "replace", "round", "string", "title", "trim", "upper")  # fmt: skip
_TESTS = ("defined", "undefined", "none", "number", "string", "in", "eq", "equalto", "ne", "lt", "le", "gt", "ge")
# What evaluating an expression that someone else wrote can raise.
_FAILURES = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError,
             MemoryError, SyntaxError)  # fmt: skip


class ExpressionError(ValueError):
    """What is wrong with an expression."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What a template uses, from its syntax alone."""

    source: str
    variables: frozenset[str]  # of `vars`, needed
    optional: frozenset[str] = frozenset()  # of `vars`, where `default` or `is defined` takes care of a missing one
    environment: frozenset[str] = frozenset()  # of `env`
    alone: str | None = None  # the variable, where the template is nothing but {{ vars.NAME }}


class _Sandbox(SandboxedEnvironment):
    intercepted_binops = frozenset({"*", "%", "**"})

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        # a text times a billion, or % with a width, or a power fills the memory of whoever validates the spec
        if operator == "**":
            raise SecurityError("`**` is not available")
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise SecurityError(f"`{operator}` takes two numbers")
        return super().call_binop(context, operator, left, right)


def is_expression(text: str) -> bool:
    return "{{" in text or "{%" in text


@cache
def _sandbox() -> SandboxedEnvironment:
    sandbox = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True, finalize=_written)
    sandbox.globals.clear()
    sandbox.filters = {name: _bounded(sandbox.filters[name]) for name in _FILTERS}
    sandbox.tests = {name: sandbox.tests[name] for name in _TESTS}
    return sandbox


def _written(value: object) -> object:
    """Return a value as YAML writes it: Python's True and None are texts there."""
    return {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else value


def _bounded(apply: Callable[..., object]) -> Callable[..., object]:
    """Return the filter, with a limit: a chain of `replace` doubles a text with each link."""

    @wraps(apply)
    def bounded(*args: object, **options: object) -> object:
        result = apply(*args, **options)
        if isinstance(result, str) and len(result) > MAX_CHARACTERS:
            raise SecurityError(f"it becomes a text of more than {MAX_CHARACTERS:,} characters")
        return result

    return bounded


def read(source: str) -> Expression:
    """Return what the template uses. Raises ExpressionError where it is none, or does what a value need not."""
    if len(source) > MAX_CHARACTERS:
        raise ExpressionError(f"an expression has at most {MAX_CHARACTERS:,} characters")
    if "{%" in source:
        raise ExpressionError("statements ({% … %}) are not allowed, only expressions ({{ … }})")
    try:
        tree = _sandbox().parse(source)
        used = list(_used(tree, optional=False))
    except _FAILURES as error:
        raise ExpressionError(_message(error)) from None
    body = tree.body[0].nodes if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output) else []
    own = _reference(body[0]) if len(body) == 1 else None
    return Expression(
        source,
        variables=frozenset(name for space, name, optional in used if space == "vars" and not optional),
        optional=frozenset(name for space, name, optional in used if space == "vars" and optional),
        environment=frozenset(name for space, name, _ in used if space == "env"),
        alone=own[1] if own and own[0] == "vars" else None,
    )


def render(source: str, variables: Mapping[str, object]) -> str:
    """Return the text that the template becomes. Raises ExpressionError."""
    try:
        # a namespace, not a dict: in Jinja2 `vars.items` of a dict is its method
        text = _sandbox().from_string(source).render(vars=SimpleNamespace(**variables))
    except _FAILURES as error:
        raise ExpressionError(_message(error)) from None
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"it becomes a text of more than {MAX_CHARACTERS:,} characters")
    return text


def literal(text: str) -> str:
    """Return a template that renders to this very text."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{{ "{quoted}" }}}}'


def segments(source: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a template that `read` took, in order: whether it is an expression, and its source."""
    part, inside = "", False
    for _, kind, text in _sandbox().lex(source):
        if kind == "variable_begin":
            yield False, part
            part, inside = "", True
        part += text
        if kind == "variable_end":
            yield True, part
            part, inside = "", False
    yield inside, part


def _used(node: nodes.Node, *, optional: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield the names that stand below a node: space, name, and whether it may be missing."""
    reference = _reference(node)
    if reference:
        yield (*reference, optional)
        return
    match node:
        case nodes.Call():
            raise ExpressionError("an expression calls nothing; filters such as `| lower` are there")
        case nodes.Name(name="vars" | "env" as space):
            raise ExpressionError(f"`{space}` alone is no value; name what you mean: `{space}.NAME`")
        case nodes.Name():
            raise ExpressionError(f"`{node.name}` is not known here; an expression reads `vars.NAME`")
        case nodes.Filter(name="default" | "d") | nodes.Test(name="defined" | "undefined"):
            optional = True
    for child in node.iter_child_nodes():
        yield from _used(child, optional=optional)


def _reference(node: nodes.Node) -> tuple[str, str] | None:
    match node:
        case nodes.Getattr(node=nodes.Name(name="vars" | "env" as space), attr=name):
            return space, name
        case nodes.Getitem(node=nodes.Name(name="vars" | "env" as space), arg=nodes.Const(value=str(name))):
            return space, name
    return None


def _message(error: BaseException) -> str:
    if isinstance(error, RecursionError | MemoryError | SyntaxError):
        return "it is too deep"
    text = str(getattr(error, "message", None) or error)
    return text if len(text) <= 200 else text[:200] + "…"
