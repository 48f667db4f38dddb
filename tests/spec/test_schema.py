import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from vecmig.plugins import connector_types
from vecmig.spec.schema import published, published_text, schema

ROOT = Path(__file__).parents[2]


def keys(fragment: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each key that a schema describes: its path, what is said of it, and whether it is required."""
    if isinstance(fragment, list):
        for each in fragment:
            yield from keys(each, path)
    if not isinstance(fragment, dict):
        return
    described = fragment.get("properties", {})
    for name, value in described.items() if isinstance(described, dict) else ():
        yield f"{path}.{name}", value, name in fragment.get("required", ())
    for name, value in fragment.items():
        if name not in ("if", "default", "examples"):
            yield from keys(value, f"{path}.{name}" if name not in ("properties", "$defs") else path)


def test_the_schema_in_the_repository_is_the_one_of_the_code() -> None:
    assert (ROOT / "schema.json").read_text() == published_text(), "run: vecmig schema > schema.json"


@pytest.mark.parametrize("made", [schema, published])
def test_the_schema_is_one(made: Any) -> None:
    Draft202012Validator.check_schema(made())


@pytest.mark.parametrize(("path", "key", "required"), [pytest.param(*each, id=each[0]) for each in keys(published())])
def test_each_key_has_a_description_an_example_and_a_default(path: str, key: dict[str, Any], required: bool) -> None:
    assert key.get("description")
    assert key.get("examples")
    assert required or "default" in key


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda path: path.name)
def test_editors_accept_every_example_with_its_expressions(path: Path) -> None:
    document = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
    assert [error.message for error in Draft202012Validator(published()).iter_errors(document)] == []


def test_editors_refuse_what_is_no_expression() -> None:
    document = {"version": 1, "name": "x", "index": {"m": "sixteen"}}
    (error,) = Draft202012Validator(published()).iter_errors(document)
    assert list(error.absolute_path) == ["index", "m"]


def test_connectors_for_tests_are_not_published_but_validated() -> None:
    assert "memory" in connector_types()
    assert "memory" not in published_text()
    assert "memory_source" in schema()["$defs"]


def test_examples_are_valid() -> None:
    whole = published()
    for path, key, _ in keys(whole):
        for example in key["examples"]:
            errors = list(Draft202012Validator({"$defs": whole["$defs"], **key}).iter_errors(example))
            assert errors == [], f"{path}: {example}"
