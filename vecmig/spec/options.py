"""Options of a connector from the command line, where there is no spec: `inspect TYPE key=value…`."""

from collections.abc import Mapping

from vecmig.errors import PluginError, Problem, SpecError
from vecmig.plugins import connector_options
from vecmig.protocols import ConnectorOptions
from vecmig.spec.render import Path, Rendered
from vecmig.spec.resolve import Resolver
from vecmig.spec.scalar import value_of
from vecmig.spec.schema import published_types, schema, secret_paths
from vecmig.spec.text import Text
from vecmig.spec.validate import validate


def read_options(type: str, texts: Mapping[str, str], directory: str) -> ConnectorOptions:
    """Return the options that `key=value` pairs give; `columns.id=doc_id` reaches into a mapping, `without=[a, b]` is a list.

    Values are read as YAML reads them without quotes; relative paths stand in `directory`. A secret may be written
    out here, for a command line is no file. Raises SpecError with all problems, also for a type that is unknown.
    """
    try:
        options = connector_options(type)
    except PluginError as error:
        raise SpecError(Problem(str(error))) from None
    whole = schema([type])
    document = Rendered(Text("", ""))
    document.value = {}
    secrets = secret_paths(whole["$defs"][f"{type}_source"], whole)
    for key, text in texts.items():
        path = tuple(key.split("."))
        if path in secrets:
            document.secrets.add(path)
        _put(document, path, text)
    # the connector's own keys, but not those that only a spec has
    fragment = whole["$defs"][f"{type}_source"]
    own = {name: value for name, value in fragment["properties"].items() if name not in ("type", "embedding")}
    required = [name for name in fragment["required"] if name != "type"]
    wrong = validate(document, whole | fragment | {"properties": own, "required": required}, published_types)
    resolver = Resolver(document, frozenset(wrong), {type: options}, directory)
    found = None if document.problems else resolver.convert((), resolver.raw(()), options)
    if found is None:
        raise SpecError(*(_without_place(problem) for problem in document.problems))
    return found.anchored(directory)


def elements_of(text: str) -> list[str] | None:
    """Return the elements of `[a, b]`; None for a text that is no list."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    return [each.strip() for each in text[1:-1].split(",") if each.strip()]


def _without_place(problem: Problem) -> Problem:
    """Return the problem without a position: there is no file."""
    return Problem(problem.message.replace(", which is what the expression became", ""), hint=problem.hint)


def _put(document: Rendered, path: Path, text: str) -> None:
    parent = document.value
    for step in path[:-1]:
        parent = parent.setdefault(step, {})
        if not isinstance(parent, dict):
            document.add(path, f"`{step}` is given as a value and as a mapping")
            return
    try:
        elements = elements_of(text)
        if path in document.secrets:
            parent[path[-1]] = text
        else:
            parent[path[-1]] = value_of(text) if elements is None else [value_of(each) for each in elements]
    except ValueError as error:
        document.add(path, f"{'.'.join(map(str, path))}: {error}")
        return
    document.rendered[path] = text
