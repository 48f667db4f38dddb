"""Values against the JSON Schema: each violation as a sentence with its place."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from vecmig.spec.document import NAME, VARIABLE
from vecmig.spec.render import Path, Rendered
from vecmig.spec.schema import Schema, resolved
from vecmig.spec.suggest import did_you_mean, listed, nearest

_WORDS = {"object": "a mapping", "array": "a list", "string": "a text", "integer": "an integer", "number": "a number",
          "boolean": "true or false", "null": "empty"}  # fmt: skip
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_UNITS = {"Length": "characters", "Items": "entries", "Properties": "keys"}
# JSON Schema would take 1.0 for an integer.
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@dataclass(frozen=True, slots=True)
class Violation:
    """What JSON Schema says of one value: `word` of its `fragment`, such as maximum, does not hold."""

    path: Path
    word: str
    limit: Any  # what the word asks for
    value: Any
    fragment: Schema
    is_name: bool  # the value is a key


def validate(document: Rendered, schema: Schema, types: Callable[[str], list[str]]) -> set[Path]:
    """Add what is wrong to the document's problems; return the paths of what is wrong.

    Where a text is expected, an expression that became something else is read as the text that it became. `types`
    gives what to name in a section where a `type` is not known.
    """
    for violation in _violations(document, schema):
        if violation.path in document.rendered and _wants_text(violation):
            _replace(document, violation.path, document.rendered[violation.path])
    wrong: set[Path] = set()
    for violation in _violations(document, schema):
        if not any(violation.path[:n] in document.broken for n in range(len(violation.path) + 1)):
            wrong |= _tell(document, violation, schema, types)
    return wrong


def _violations(document: Rendered, schema: Schema) -> list[Violation]:
    return list(_leaves(_Validator(schema).iter_errors(document.value), schema))


def _leaves(errors: Iterable[ValidationError], schema: Schema) -> Iterator[Violation]:
    """Yield what is violated; where each of several branches was, what is wrong with the branch that was meant."""
    for error in errors:
        word, limit, fragment = str(error.validator), cast(Any, error.validator_value), cast(Schema, error.schema)
        if word == "anyOf":
            meant = [n for n, branch in enumerate(limit) if _fits(error.instance, resolved(branch, schema))]
            nested = [each for each in error.context or () if each.schema_path[0] in meant]
            if len(meant) == 1 and nested:
                yield from _leaves(nested, schema)
                continue
        is_name = "propertyNames" in error.absolute_schema_path
        yield Violation(tuple(error.absolute_path), word, limit, error.instance, fragment, is_name)


def _fits(value: object, branch: Schema) -> bool:
    kind = branch.get("type")
    return isinstance(kind, str) and bool(_Validator({"type": kind}).is_valid(value))


def _wants_text(violation: Violation) -> bool:
    branches = violation.limit if violation.word == "anyOf" else [violation.fragment]
    return violation.word in ("type", "anyOf") and any(branch.get("type") == "string" for branch in branches)


def _replace(document: Rendered, path: Path, value: str) -> None:
    parent = document.value
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value


def _tell(document: Rendered, violation: Violation, schema: Schema, types: Callable[[str], list[str]]) -> set[Path]:
    path = violation.path
    if violation.is_name:
        path = (*path, str(violation.value))
        document.add(path, f"{_shown(violation.value)} is no name that fits here", _names(violation), key=True)
        return {path}
    if violation.word == "additionalProperties":
        return _unknown_keys(document, violation)
    if violation.word == "required":
        return _missing_keys(document, violation)
    known = types(str(path[0])) if path[-1:] == ("type",) and len(path) == 3 else violation.limit
    message, hint = _sentence(violation, known, schema)
    if path in document.rendered:
        message += ", which is what the expression became"
    document.add(path, message, hint)
    return {path}


def _names(violation: Violation) -> str:
    if violation.word == "minLength":
        return "it must not be empty"
    if violation.word == "maxLength":
        return f"it has at most {violation.limit} characters"
    dash = "`-`, " if "-]" in str(violation.limit) else ""
    return f"it is made of letters, digits, {dash}and `_`, and starts with a letter{' or a digit' if dash else ''}"


def _unknown_keys(document: Rendered, violation: Violation) -> set[Path]:
    path, known = violation.path, violation.fragment.get("properties", {})
    extra = [key for key in violation.value if key not in known]
    where = f" in {_name(path)}" if path else ""
    for key in extra:
        document.add((*path, key), f"unknown key {_shown(key)}{where}", did_you_mean(key, known, "known are"), key=True)
    return {(*path, key) for key in extra}


def _missing_keys(document: Rendered, violation: Violation) -> set[Path]:
    path = violation.path
    known = violation.fragment.get("properties", {})
    meant = {nearest(key, known) for key in violation.value if key not in known}  # told as an unknown key
    for key in (key for key in violation.limit if key not in violation.value and key not in meant):
        about = known.get(key, {})
        examples = about.get("examples") or ["…"]
        hint = f"{about.get('description', '')} For example `{key}: {_example(examples[0])}`".strip()
        document.add(path, f"{_name(path)} needs `{key}`", hint, key=bool(path) and isinstance(path[-1], str))
    return {path}


def _sentence(violation: Violation, known: Any, schema: Schema) -> tuple[str, str]:
    name, limit, value = _name(violation.path), violation.limit, _shown(violation.value)
    match violation.word:
        case "type" | "anyOf":
            branches = limit if violation.word == "anyOf" else [violation.fragment]
            return f"{name} must be {_expected(branches, schema)}, not {value}", _correction(
                violation, branches, schema
            )
        case "enum" | "const":
            choices = [str(each) for each in (known if violation.word == "enum" else [limit])]
            found = nearest(str(violation.value), choices)
            return f"{name} must be {listed(choices, 'or')}, not {value}", f"did you mean `{found}`?" if found else ""
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" as word:
            return f"{name} must be {_BOUNDS[word]} {limit}, not {value}", ""
        case "minLength" | "minItems" | "minProperties" as word:
            what = "not be empty" if limit == 1 else f"have at least {limit} {_UNITS[word[3:]]}"
            return f"{name} must {what}", ""
        case "maxLength" | "maxItems" | "maxProperties" as word:
            return f"{name} must have at most {limit} {_UNITS[word[3:]]}", ""
        case "pattern":
            hint = _names(violation) if limit in (NAME, VARIABLE) else f"it must match {limit}"
            return f"{name} cannot be {value}", hint
    return f"{name} cannot be {value}", str(violation.fragment.get("description", ""))


def _correction(violation: Violation, branches: Iterable[Schema], schema: Schema) -> str:
    if not isinstance(violation.value, str):
        return ""
    if violation.value.lower() in ("yes", "no", "on", "off"):
        return "write true or false"
    found = nearest(
        violation.value, [str(each) for branch in branches for each in resolved(branch, schema).get("enum", ())]
    )
    return f"did you mean `{found}`?" if found else ""


def _expected(branches: Iterable[Schema], schema: Schema) -> str:
    words: list[str] = []
    for branch in (resolved(each, schema) for each in branches):
        if "enum" in branch:
            words += [f"`{each}`" for each in branch["enum"]]
        elif branch.get("type") == "object" and branch.get("required"):
            words.append("{" + ", ".join(f"{key}: …" for key in branch["required"]) + "}")
        elif branch.get("type") != "null":
            words.append(_WORDS.get(str(branch.get("type")), "something else"))
    *front, last = dict.fromkeys(words or ["empty"])
    return f"{', '.join(front)} or {last}" if front else last


def _name(path: Path) -> str:
    """Return what people call the place: `index.m`, or `migrations[0].name`."""
    if not path:
        return "the spec"
    parts = [f"[{step}]" if isinstance(step, int) else f".{step[:60]}" for step in path]
    return f"`{''.join(parts).lstrip('.')}`"


def _shown(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return repr(value if len(value) <= 60 else value[:60] + "…")
        case int() | float():
            return str(value)
        case dict():
            return "a mapping"
    return "a list"


def _example(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) and "{" in value else str(value)
