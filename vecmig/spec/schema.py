"""The spec's JSON Schema (draft 2020-12), from the document's types and the options of the connectors."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from vecmig.model.secret import Secret
from vecmig.plugins import connector_options, connector_types, embedder_options, embedder_types
from vecmig.spec.document import Document, ProviderSettings, SourceSettings, TargetSettings

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SECRET = "secret"  # the `format` of a string that is one
EXPRESSION = {"type": "string", "pattern": r"\{\{.*\}\}"}
INTERNAL = "page_rows"  # an attribute of every connector's options that is no key of the spec
_ROLES = {"source": SourceSettings, "target": TargetSettings, "provider": ProviderSettings}


@dataclass(frozen=True, slots=True)
class Plugins:
    """What may stand as `type` in one role."""

    loaded: Mapping[str, type]  # options by name: those whose keys the schema tells
    names: Sequence[str]  # all that there are


def schema(types: Iterable[str] | None = None, providers: Iterable[str] = ()) -> Schema:
    """Return what a spec must be once its expressions are rendered; with the options of these connectors, or all.

    Raises PluginError if one of them cannot be loaded.
    """
    installed = connector_types()
    connectors = {name: connector_options(name) for name in (installed if types is None else types)}
    embedders = {name: embedder_options(name) for name in providers}
    return _schema(Plugins(connectors, installed), Plugins(embedders, embedder_types()))


def published() -> Schema:
    """Return the schema for editors: any value may also be an expression. Plug-ins for tests are left out."""
    connectors = {name: connector_options(name) for name in published_types("sources")}
    embedders = {name: embedder_options(name) for name in published_types("providers")}
    document = _lenient(_schema(Plugins(connectors, list(connectors)), Plugins(embedders, list(embedders))))
    assert isinstance(document, dict)
    return document


def published_text() -> str:
    """Return what stands in schema.json."""
    return json.dumps(published(), indent=2, ensure_ascii=False) + "\n"


def published_types(section: str) -> list[str]:
    """Return what may be a `type` in this section of the spec, but for what is for tests only.

    Raises PluginError if one cannot be loaded.
    """
    if section == "providers":
        return [name for name in embedder_types() if getattr(embedder_options(name), "published", True)]
    return [name for name in connector_types() if getattr(connector_options(name), "published", True)]


def secret_paths(fragment: Schema, whole: Schema) -> frozenset[tuple[str, ...]]:
    """Return where secrets stand in values of this fragment; "*" is any key or place in a list."""
    return frozenset(_secrets(fragment, whole, ()))


def resolved(fragment: Schema, whole: Schema) -> Schema:
    """Return the fragment that a reference to a definition names, or the fragment itself."""
    while "$ref" in fragment:
        fragment = whole["$defs"][fragment["$ref"].rpartition("/")[2]]
    return fragment


def _schema(connectors: Plugins, embedders: Plugins) -> Schema:
    plugins = {"source": connectors, "target": connectors, "provider": embedders}
    (root, *fragments), defs = msgspec.json.schema_components(
        [Document, *_ROLES.values(), *connectors.loaded.values(), *embedders.loaded.values()],
        ref_template="#/$defs/{name}",
    )
    if Secret.__name__ in defs:
        defs[Secret.__name__] = {"type": "string", "format": SECRET}
    whole: Schema = {"$schema": DIALECT, "$defs": defs}
    whole = {**whole, **resolved(root, whole), "title": "vecmig spec"}
    options = dict(zip([*connectors.loaded, *embedders.loaded], fragments[len(_ROLES) :], strict=True))
    for role, common in zip(_ROLES, fragments, strict=False):
        for name in plugins[role].loaded:
            defs[f"{name}_{role}"] = _endpoint(name, resolved(common, whole), resolved(options[name], whole))
        defs[role] = _dispatch(role, list(plugins[role].names), list(plugins[role].loaded))
        whole["properties"][f"{role}s"]["additionalProperties"] = {"$ref": f"#/$defs/{role}"}
    made: Schema = json.loads(json.dumps(_with_examples(_used(whole))))  # defaults may be tuples, which no schema knows
    return made


def _endpoint(name: str, common: Schema, options: Schema) -> Schema:
    """Return what an endpoint of one connector may say: the keys of every endpoint, and the connector's own."""
    own = {key: value for key, value in options["properties"].items() if key != INTERNAL}
    return {
        "title": name,
        "description": options.get("description", ""),
        "type": "object",
        "properties": common["properties"]
        | {"type": common["properties"]["type"] | {"const": name, "examples": [name]}}
        | own,
        "required": ["type", *(key for key in options.get("required", ()) if key != INTERNAL)],
        "additionalProperties": False,
    }


def _dispatch(role: str, names: list[str], loaded: list[str]) -> Schema:
    about = "The kind of provider." if role == "provider" else "The connector."
    kind = {"description": about, "enum": names, "examples": loaded[:1]}
    own = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{name}_{role}"},
        }
        for name in loaded
    ]
    dispatch = {"title": role, "type": "object", "properties": {"type": kind}, "required": ["type"]}
    # not oneOf: a problem then is one of the plug-in that is named, not of all that there are
    return dispatch | {"allOf": own} if own else dispatch


def _used(whole: Schema) -> Schema:
    """Return the schema without definitions that nothing refers to."""

    def refs(fragment: object) -> set[str]:
        if isinstance(fragment, list):
            return {ref for each in fragment for ref in refs(each)}
        if not isinstance(fragment, dict):
            return set()
        own = {fragment["$ref"].rpartition("/")[2]} if isinstance(fragment.get("$ref"), str) else set()
        return own.union(*map(refs, fragment.values()))

    used: set[str] = set()
    new = refs({key: value for key, value in whole.items() if key != "$defs"})
    while new:
        used |= new
        new = {ref for name in new for ref in refs(whole["$defs"][name])} - used
    order = ("$schema", "title", "description", "type")
    rest = {key: value for key, value in whole.items() if key not in (*order, "$defs")}
    kept = {name: whole["$defs"][name] for name in sorted(used)}
    return {key: whole[key] for key in order} | rest | {"$defs": kept}


def _with_examples(whole: Schema) -> Schema:
    """Give each key without an example its default, or its first choice, as one."""
    for fragment in (whole, *whole["$defs"].values()):
        for key in fragment.get("properties", {}).values():
            if "examples" not in key:
                key["examples"] = _examples(key)
    return whole


def _examples(key: Schema) -> list[Any]:
    if key.get("default") is not None:
        return [key["default"]]
    return [key["const"]] if "const" in key else list(key.get("enum", ())[:1])


def _secrets(fragment: Schema, whole: Schema, path: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    fragment = resolved(fragment, whole)
    if fragment.get("format") == SECRET:
        yield path
    if len(path) > 8:  # a type that holds itself
        return
    for key, value in fragment.get("properties", {}).items():
        yield from _secrets(value, whole, (*path, key))
    for name in ("additionalProperties", "items"):
        if isinstance(fragment.get(name), dict):
            yield from _secrets(fragment[name], whole, (*path, "*"))
    for branch in fragment.get("anyOf", ()):
        yield from _secrets(branch, whole, path)


_SAME = ("$schema", "default", "examples", "const", "enum", "if", "required", "propertyNames", "description")
_NAMED = ("properties", "$defs")  # mappings whose keys are names, not words of JSON Schema
_ABOUT = ("description", "default", "examples", "title")


def _lenient(fragment: Any) -> Any:
    """Return the fragment with an expression allowed wherever a value stands that is not just any text."""
    if isinstance(fragment, list):
        return [_lenient(each) for each in fragment]
    if not isinstance(fragment, dict):
        return fragment
    inner = {key: value if key in _SAME else _lenient(value) for key, value in fragment.items() if key not in _NAMED}
    for name in (name for name in _NAMED if name in fragment):
        inner[name] = {key: _lenient(value) for key, value in fragment[name].items()}
    if not _restricted(fragment):
        return inner
    about = {key: inner.pop(key) for key in _ABOUT if key in inner}
    return about | {"anyOf": [*inner.get("anyOf", [inner]), EXPRESSION]}


def _restricted(fragment: Schema) -> bool:
    if "const" in fragment or "enum" in fragment:
        return True
    if "anyOf" in fragment:  # each branch that is a scalar gets its own
        return False
    kind = fragment.get("type")
    return kind in ("integer", "number", "boolean") or (kind == "string" and bool(re.search("pattern", str(fragment))))
