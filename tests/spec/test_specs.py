"""The examples of the spec language, and that there is one for each idea."""

import re
from pathlib import Path

import pytest

from vecmig.spec.load import load

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_an_example_loads_in_each_of_its_environments(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n# ")
    environments = ["default", *(["staging", "prod"] if "\nenvironments:" in text else [])]
    for environment in environments:
        project = load(str(path), environment)
        assert all(re.fullmatch(r"\w+ is not set \(.*\)", note) for note in project.notes)


def test_the_examples_of_variables_say_what_they_become() -> None:
    path = next(path for path in SPECS if path.stem == "variables-and-environments")
    found = {env: load(str(path), env).migrations[0] for env in ("default", "staging", "prod")}
    assert [each.index.m for each in found.values()] == [16, 16, 32]
    assert [each.index.ef_construction for each in found.values()] == [64, 64, 128]
    assert [each.target.options.collection for each in found.values()] == [
        "kb_chunks",
        "kb_chunks_staging",
        "kb_chunks",
    ]
