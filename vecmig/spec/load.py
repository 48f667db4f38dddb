"""A spec file -> a Project, in stages; or every problem that it has, at once."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecmig.errors import PluginError, Problem, SpecError
from vecmig.migration import Project
from vecmig.model.settings import Execution, Limits
from vecmig.plugins import connector_options, connector_types, embedder_options, embedder_types
from vecmig.protocols import ConnectorOptions, EmbedderOptions
from vecmig.spec import check, outside, variables
from vecmig.spec.document import Environment, SourceSettings, TargetSettings
from vecmig.spec.outside import Given
from vecmig.spec.parse import Mapping as Tree
from vecmig.spec.parse import Node, Scalar, parse
from vecmig.spec.render import Path, Rendered, Role, render_document
from vecmig.spec.resolve import Resolver, declared_targets, endpoints, migrations, providers
from vecmig.spec.schema import Schema, published_types, schema, secret_paths
from vecmig.spec.template import is_expression
from vecmig.spec.template import read as read_expression
from vecmig.spec.text import Text
from vecmig.spec.text import read as read_text
from vecmig.spec.validate import validate
from vecmig.spec.variables import Variables, entry

_COMMON = {"type", "embedding", "adopt", "usd_per_million_tokens"}  # keys of every endpoint, and of every provider
_SECTIONS = {"sources": "source", "targets": "target", "providers": "provider"}


@dataclass(frozen=True, slots=True)
class Plugins:
    """Those that the spec names. `failed`: places of a `type` that cannot be loaded."""

    connectors: Mapping[str, type[ConnectorOptions]]
    embedders: Mapping[str, type[EmbedderOptions]]
    of: Mapping[tuple[str, str], str]  # (section, name) -> type
    failed: frozenset[Path]


def load(
    path: str, environment: str = "default", variables: Mapping[str, str] = {}, variable_files: Sequence[str] = ()
) -> Project:
    """Return what the spec says in an environment; `variables` and `variable_files` come from the command line.

    Raises SpecError with all problems, in the order of the file.
    """
    text = read_text(path, "spec")
    root, problems = parse(text)
    if not isinstance(root, Tree):
        if not problems:
            problems.append(_no_mapping(text, root))
        raise SpecError(*text.illustrated(problems))
    names = _keys(entry(root, "environments"))
    if (hint := check.environment_hint(environment, names)) is not None:
        problems.append(Problem(f"environment `{environment}` is not declared in {path}", hint=hint))
    values, given, notes, more = _variables(root, text, environment, variables, variable_files)
    problems += more
    plugins, more = _plugins(root, text, values)
    problems += more
    whole = schema(plugins.connectors, plugins.embedders)
    document = render_document(root, text, values, _roles(plugins, whole))
    document.broken |= plugins.failed
    wrong = validate(document, whole, published_types)
    directory = os.path.dirname(os.path.abspath(path))
    resolver = Resolver(document, frozenset(wrong), plugins.connectors, directory, plugins.embedders)
    resolver.providers.update(providers(resolver))
    project = _project(resolver, path, environment, given, notes)
    problems += document.problems
    if problems:
        raise SpecError(*text.illustrated(problems, document.hidden))
    return project


def _no_mapping(text: Text, root: Node | None) -> Problem:
    if root is None or (isinstance(root, Scalar) and not root.text):
        return Problem(f"{text.file} is empty", hint="`vecmig init` writes a first spec")
    return text.problem(
        root.mark, "a spec is a mapping of keys such as `version: 1`", "`vecmig init` writes a first one"
    )


def _keys(node: Node | None) -> list[str]:
    return [key.text for key, _ in node.entries] if isinstance(node, Tree) else []


def _variables(
    root: Tree, text: Text, environment: str, options: Mapping[str, str], files: Sequence[str]
) -> tuple[Variables, dict[str, Given], list[str], list[Problem]]:
    """Return all variables, those of the command line alone, notes, and problems."""
    known = variables.mentioned(root)
    given: dict[str, Given] = {}
    notes: list[str] = []
    problems: list[Problem] = []
    for file in files:
        found, more = outside.from_file(file)
        problems += more
        given |= {name: value for name, value in found.items() if name in known}
        if strange := sorted(found.keys() - known):
            notes.append(f"{file} gives variables that the spec does not use: {', '.join(strange)}")
    process, more = outside.from_process(os.environ, known)
    problems += more
    line, more = outside.from_line(options, known)
    problems += more
    own = variables.declared(root, environment)
    values, more = variables.evaluated(own, given | process | line, text)
    # VECMIG_VAR_x stays out: it is part of where the command runs, as env is
    return values, given | line, notes, problems + more


def _plugins(root: Tree, text: Text, values: Variables) -> tuple[Plugins, list[Problem]]:
    connectors: dict[str, type[ConnectorOptions]] = {}
    embedders: dict[str, type[EmbedderOptions]] = {}
    of: dict[tuple[str, str], str] = {}
    failed: set[Path] = set()
    problems: list[Problem] = []
    installed = {"sources": connector_types(), "targets": connector_types(), "providers": embedder_types()}
    for section in _SECTIONS:
        entries = entry(root, section)
        for key, node in entries.entries if isinstance(entries, Tree) else ():
            kind = entry(node, "type")
            name = _type(kind, values) if isinstance(kind, Scalar) else None
            if not isinstance(kind, Scalar) or name not in installed[section]:
                continue
            try:
                if section == "providers":
                    embedders[name] = embedder_options(name)
                else:
                    connectors[name] = connectors.get(name) or connector_options(name)
                of[section, key.text] = name
            except PluginError as error:
                failed.add((section, key.text))
                problems.append(text.problem(kind.mark, str(error)))
    return Plugins(connectors, embedders, of, frozenset(failed)), problems


def _type(kind: Scalar, values: Variables) -> str | None:
    if not is_expression(kind.text):
        return kind.text
    try:
        expression = read_expression(kind.text)
        return None if expression.variables - values.values.keys() else variables.result(expression, values)[1]
    except ValueError:  # told where the value is rendered
        return None


def _roles(plugins: Plugins, whole: Schema) -> Callable[[Path], Role]:
    """Return what may stand at a path."""
    secrets = {
        (section, kind): secret_paths(whole["$defs"][f"{kind}_{_SECTIONS[section]}"], whole)
        for (section, _), kind in plugins.of.items()
    }

    def role(path: Path) -> Role:
        match path:
            case ("vars", *_) | ("environments", _, "vars", *_) | (*_, "embedding", "text"):
                return "raw"  # the text is a template over each record
            case (str(section), str(name), str(key), *rest) if section in _SECTIONS and key not in _COMMON:
                kind = plugins.of.get((section, name))
                if kind is None:
                    return "unknown"
                return "secret" if any(_matches(each, (key, *rest)) for each in secrets[section, kind]) else "value"
        return "value"

    return role


def _matches(pattern: tuple[str, ...], path: Path) -> bool:
    return len(pattern) == len(path) and all(want in ("*", step) for want, step in zip(pattern, path, strict=True))


def _project(resolver: Resolver, path: str, environment: str, given: Mapping[str, Given], notes: list[str]) -> Project:
    document = resolver.document
    sources = endpoints(resolver, "sources", SourceSettings)
    targets = endpoints(resolver, "targets", TargetSettings)
    check.check_references(document, sources, targets)
    check.check_indexes(resolver)
    check.check_fields(resolver)
    check.check_filters(resolver)
    check.check_queries(resolver)
    found = migrations(resolver, sources, targets)
    for each in found:
        check.check_migration(document, each)
        check.check_thresholds(resolver, each)
        check.check_target(document, each)
    settings = resolver.piece(("environments", environment), Environment, Environment())
    unset = [
        f"{name} is not set ({document.where(place)})"
        for name, place in document.unset.items()
        if name not in os.environ
    ]
    moves = tuple(each.migration for each in found)
    return Project(
        name=str(document.value.get("name", "")),
        environment=environment,
        file=path,
        directory=resolver.directory,
        digest=_digest(document, environment, settings.protected),
        migrations=moves,
        targets=tuple(declared_targets(resolver, targets, {each.target.name for each in moves})),
        protected=settings.protected,
        execution=resolver.piece(("execution",), Execution, Execution()),
        limits=resolver.piece(("limits",), Limits, Limits()),
        variables=tuple((name, value.text) for name, value in sorted(given.items())),
        notes=(*notes, *unset, *check.shared_targets(moves), *check.chained(moves)),
    )


def _digest(document: Rendered, environment: str, protected: bool) -> str:
    """Return the digest of what the spec says here: of other environments, and how it is written, it says nothing."""
    value: dict[str, Any] = {
        key: each for key, each in document.value.items() if key not in ("vars", "environments")
    } | {"environment": environment, "protected": protected}  # fmt: skip
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
