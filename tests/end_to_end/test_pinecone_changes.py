"""What a second apply does where Pinecone is the source, or the target: it shows changes by its counts only."""

import json
import re
from collections.abc import Sequence

import pytest

from tests.doubles.pinecone import Double
from tests.end_to_end.conftest import Row, Site, rows
from tests.end_to_end.pinecone import HEAD, Cloud, end
from vecmig.model.record import Key

SPEC = f"""{HEAD}
sources: {{s: {end("source")}}}
targets: {{t: {end("kb")}}}
verification: {{search: {{queries: {{sample: 5}}, top_k: 3}}}}
migrations: [{{name: m, source: s, target: t}}]
execution: {{workers: 2}}
"""


def of_one(numbers: Sequence[int], version: int = 0) -> list[Row]:
    """Return records of one namespace, such as Pinecone takes from anyone."""
    return [
        {**row, "id": f"r{n}", "namespace": "en", "metadata": {"n": n, "version": version, "tags": ["a", "b"]}}
        for n, row in zip(numbers, rows(numbers, version), strict=True)
    ]


@pytest.fixture
def cloud(double: Double, site: Site) -> Cloud:
    """An index of sixty records, copied into another one."""
    made = Cloud(double, site)
    site.spec(SPEC)
    made.make("source")
    made.put("source", of_one(range(60)))
    made.outcome()
    return made


def change(cloud: Cloud) -> None:
    """Add five records, alter three and remove two."""
    cloud.put("source", of_one(range(100, 105)))
    cloud.put("source", of_one(range(10, 13), version=1))
    cloud.remove("source", [Key("en", "r0"), Key("en", "r1")])
    cloud.forget()


def test_eight_records_that_changed_in_the_source_are_eight_that_are_written(cloud: Cloud) -> None:
    change(cloud)
    outcome = cloud.outcome(code=7)
    assert (outcome["written"], outcome["deleted"]) == (8, 0)
    assert cloud.upserted("kb") == 8
    assert cloud.upserted("source") == 0
    (report,) = outcome["reports"]
    assert report["records"]["matching"] == 63
    assert [key[1] for key in report["records"]["extra_keys"]] == ["r0", "r1"]


def test_the_text_names_those_that_only_the_target_has_and_prune_removes_them(cloud: Cloud) -> None:
    change(cloud)
    ran = cloud.site.run("apply", "--auto-approve")
    assert ran.code == 7
    assert "the source changed since the apply" in " ".join(ran.out.split())
    assert "'r0' in namespace 'en', 'r1' in namespace 'en'" in ran.out
    assert "prune" in ran.out
    cloud.site.edit("target: t}", "target: t, prune: true}")
    cloud.forget()
    outcome = cloud.outcome()
    assert (outcome["written"], outcome["deleted"]) == (0, 2)
    assert cloud.upserted("kb") == 0
    assert cloud.digest("kb") == cloud.digest("source")
    cloud.site.settled()


def test_changes_that_leave_the_counts_equal_are_not_seen_by_the_plan_which_says_so_and_verify_finds_them(
    cloud: Cloud,
) -> None:
    cloud.put("source", of_one(range(100, 102)))
    cloud.remove("source", [Key("en", "r0"), Key("en", "r1")])
    ran = cloud.site.run("plan", "--detailed-exitcode")
    assert ran.code == 0
    said = " ".join(ran.out.split())
    assert said.startswith("No changes.")
    assert "the source shows changes by counts only: one that leaves them equal is not seen" in said
    assert "source unchanged (counts) · target unchanged (counts)" in said
    counted = json.loads(cloud.site.run("plan", "--data", "--json").out)["migrations"][0]["data"]
    assert (counted["missing"], counted["extra"]) == (2, 2)
    assert cloud.site.run("plan", "--data", "--detailed-exitcode").code == 2
    found = cloud.site.run("verify")
    assert found.code == 7
    assert "missing 2, at most 0 asked" in found.out
    assert "extra 2, at most 0 asked" in found.out
    outcome = cloud.outcome(code=7)  # what the verification found is mended; what is extra stays, without `prune`
    assert outcome["written"] == 2
    assert outcome["reports"][0]["records"]["missing"] == 0


def test_records_that_were_altered_in_the_target_are_mended_where_its_counts_changed(cloud: Cloud) -> None:
    cloud.put("kb", of_one([4, 5], version=9))
    cloud.remove("kb", [Key("en", "r7")])
    assert cloud.outcome()["written"] == 3
    assert cloud.digest("kb") == cloud.digest("source")


def test_an_index_that_was_deleted_by_hand_is_made_again(cloud: Cloud) -> None:
    cloud.double.store.delete("kb")
    outcome = cloud.outcome()
    assert (outcome["created"], outcome["written"]) == (1, 60)
    cloud.site.settled()


def test_a_target_that_shows_late_what_was_written_is_waited_for_and_the_report_says_how_long(
    double: Double, site: Site
) -> None:
    site.spec(SPEC)
    late = Cloud(double, site)
    late.store("source", of_one(range(60)))
    double.store.lag.seconds = 2.5  # more than the way there takes
    (report,) = late.outcome()["reports"]
    assert report["verdict"] == "passed"
    assert any(
        re.match(r"\d+ s went by until pinecone kb showed what was written last", note) for note in report["notes"]
    )
    site.settled()


@pytest.mark.parametrize("namespaces", [["en"], ["", "de", "en"]])
def test_counts_that_come_later_than_the_records_are_no_change_to_the_next_plan(
    double: Double, site: Site, namespaces: list[str]
) -> None:
    site.spec(SPEC)
    late = Cloud(double, site)
    records = of_one(range(60))
    late.store("source", [{**each, "namespace": namespaces[n % len(namespaces)]} for n, each in enumerate(records)])
    double.store.lag.counts = 1.5
    late.outcome()
    site.settled()
    assert site.run("plan", "--detailed-exitcode").code == 0


def test_index_parameters_that_pinecone_has_no_use_for_are_said_not_to_apply(double: Double, site: Site) -> None:
    Cloud(double, site).store("source", of_one(range(6)))
    site.spec(f"{SPEC}index: {{type: hnsw, m: 32, ef_construction: 200}}\n")
    said = " ".join(site.run("plan").out.split())
    assert "index left to pinecone: `m`, `ef_construction` do not apply" in said


def test_the_dimensions_that_a_spec_asks_for_are_those_of_the_dense_vector(double: Double, site: Site) -> None:
    Cloud(double, site).fill("both")
    site.spec(f"{SPEC.replace('index: source', 'index: both')}embedding: {{dimensions: 8}}\n")
    assert site.run("plan").code == 0


def test_a_plan_that_read_the_data_mends_what_the_counts_do_not_show(cloud: Cloud) -> None:
    cloud.put("source", of_one([3], version=7))
    assert cloud.site.run("plan", "--detailed-exitcode").code == 0
    planned = cloud.site.run("plan", "--data", "--out", "mend.vplan")
    assert "the records differ, as `--data` found" in " ".join(planned.out.split())
    assert cloud.outcome("mend.vplan")["written"] == 1
    assert cloud.digest("kb") == cloud.digest("source")


def test_doctor_finds_a_source_that_is_not_there(cloud: Cloud) -> None:
    assert cloud.site.run("doctor").code == 0
    cloud.site.edit("index: source}", "index: nowhere}")
    ran = cloud.site.run("doctor")
    assert ran.code == 1
    assert "pinecone nowhere is not there: nothing can be read from it" in " ".join(ran.out.split())
