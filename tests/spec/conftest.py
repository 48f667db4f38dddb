from collections.abc import Callable
from pathlib import Path

import pytest

from vecmig.errors import Problem, SpecError
from vecmig.migration import Project
from vecmig.spec.load import load

HEAD = "version: 1\nname: test\n"
ENDS = """\
sources:
  kb: {type: memory, collection: old}
targets:
  shop: {type: memory, collection: new}
"""
MIGRATION = "migrations:\n  - {name: move, source: kb, target: shop}\n"
SPEC = HEAD + ENDS + MIGRATION

Load = Callable[..., Project]
Problems = Callable[..., list[Problem]]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Return a function that loads a spec from its text."""

    def load_text(text: str, environment: str = "default", **given: dict[str, str] | list[str]) -> Project:
        path = tmp_path / "vecmig.yaml"
        path.write_text(text)
        return load(str(path), environment, **given)  # type: ignore[arg-type]

    return load_text


@pytest.fixture
def problems(loaded: Load) -> Problems:
    """Return a function that loads a spec that is wrong, and returns its problems."""

    def of(text: str, environment: str = "default", **given: dict[str, str] | list[str]) -> list[Problem]:
        with pytest.raises(SpecError) as caught:
            loaded(text, environment, **given)
        return list(caught.value.problems)

    return of
