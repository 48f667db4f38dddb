"""What `inspect` writes of an index of Pinecone says what is there: a plan on it finds no changes."""

import json
from pathlib import Path

import pytest

from tests.doubles.pinecone import Double
from tests.end_to_end.conftest import Site, rows
from tests.end_to_end.pinecone import HEAD, INDEXES, Cloud, end


@pytest.fixture
def cloud(double: Double, site: Site) -> Cloud:
    return Cloud(double, site)


def inspected(cloud: Cloud, index: str, *options: str) -> Path:
    """Return the spec that `inspect` wrote."""
    given = ("api_key={{ env.PINECONE_API_KEY }}", f"host={cloud.double.url}", f"index={index}")
    ran = cloud.site.run("inspect", "pinecone", *given, *options, "-f", "found.yaml")
    assert ran.code == 0, ran.err
    return cloud.site.directory / "found.yaml"


def check_no_changes(cloud: Cloud, index: str) -> None:
    assert cloud.site.run("validate", "-f", "found.yaml").code == 0
    planned = cloud.site.run("plan", "-f", "found.yaml", "--detailed-exitcode")
    assert planned.code == 0, planned.err + planned.out
    assert planned.out.startswith("No changes.")
    assert f"pinecone {index}" in planned.out
    assert cloud.site.run("doctor", "-f", "found.yaml").code == 0


@pytest.mark.parametrize("name", INDEXES)
def test_the_spec_of_an_index_that_others_made_is_valid_and_plans_to_no_changes(cloud: Cloud, name: str) -> None:
    cloud.fill(name)
    text = inspected(cloud, name).read_text()
    assert "adopt: true" in text
    assert 'api_key: "{{ env.PINECONE_API_KEY }}"' in text
    check_no_changes(cloud, name)


@pytest.mark.parametrize("more", ["", ", kind: documents"])
def test_the_spec_of_an_index_that_vecmig_made_plans_to_no_changes(cloud: Cloud, more: str) -> None:
    cloud.site.store(rows(range(30)))
    cloud.site.spec(f"""{HEAD}
sources: {{s: {{type: snapshot, path: source}}}}
targets: {{t: {end("kb", more)}}}
index: {{metric: dot}}
fields: {{n: {{type: int, filter: true}}, title: {{type: text}}}}
verification: {{search: {{queries: {{sample: 5}}}}, thresholds: {{overlap: 0}}}}
migrations: [{{name: m, source: s, target: t}}]
""")
    cloud.outcome()
    text = inspected(cloud, "kb").read_text()
    assert "type: int" in text
    assert "metric: dot" in text
    check_no_changes(cloud, "kb")


def test_an_index_that_others_made_is_refused_as_a_target_until_the_spec_adopts_it(cloud: Cloud) -> None:
    cloud.fill("dense")
    cloud.site.store(rows(range(6)))
    cloud.site.spec(f"""{HEAD}
sources: {{s: {{type: snapshot, path: source}}}}
targets: {{t: {end("dense")}}}
verification: {{search: {{queries: {{sample: 5}}}}, thresholds: {{overlap: 0, extra: 100}}}}
migrations: [{{name: m, source: s, target: t}}]
""")
    refused = cloud.site.run("apply", "--auto-approve")
    assert refused.code == 5
    assert "was not made by vecmig" in refused.err
    assert "adopt: true" in refused.err
    cloud.forget()
    cloud.site.edit("index: dense", "index: dense, adopt: true")
    cloud.outcome()
    assert cloud.upserted("dense") == 6
    assert cloud.double.store.find("dense").tags == {}, "an adopted index keeps its tags"


def test_what_is_inspected_as_a_source_is_one_to_copy_from(cloud: Cloud) -> None:
    count = cloud.fill("documents")
    spec = inspected(cloud, "documents", "--as-source", "--name", "kb")
    spec.write_text(
        spec.read_text() + "targets: {t: {type: snapshot, path: t}}\nmigrations: [{name: m, source: kb, target: t}]\n"
    )
    assert cloud.outcome("-f", "found.yaml")["written"] == count


def test_another_shape_in_the_spec_of_an_adopted_index_is_refused(cloud: Cloud) -> None:
    cloud.fill("dense")
    spec = inspected(cloud, "dense")
    spec.write_text(spec.read_text().replace("dimensions: 8", "dimensions: 9"))
    planned = cloud.site.run("plan", "-f", "found.yaml", "--json")
    assert planned.code == 3
    assert "dimensions 8 -> 9" in planned.err or "dimensions 8 -> 9" in json.dumps(planned.out)
