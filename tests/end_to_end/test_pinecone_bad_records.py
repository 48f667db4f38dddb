"""What Pinecone does not hold, or does not give: told of a sample by the plan, by name in the run, or put aside."""

from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.doubles.pinecone import Double, Fault
from tests.end_to_end.conftest import Site, rows
from tests.end_to_end.pinecone import HEAD, Cloud, end

SPEC = f"""{HEAD}
sources: {{s: SOURCE}}
targets: {{t: TARGET}}
verification: {{search: {{queries: {{sample: 5}}, top_k: 3}}}}
migrations: [{{name: m, source: s, target: t}}]
execution: {{workers: 2}}
"""
SNAPSHOT = "{type: snapshot, path: source}"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "id": ({"id": "x" * 513}, "its id has 513 characters, Pinecone takes 512"),
    "vector": ({"vector:": [0.0] * 8}, "its vector is zero, and Pinecone takes none without a direction"),
    "namespace": ({"namespace": "größe"}, "its namespace is not ASCII"),
    "metadata": ({"metadata": {"text": "x" * 40_960}}, "its metadata has 40,971 bytes, Pinecone holds 40,960"),
}


def spec(source: str, target: str) -> str:
    return SPEC.replace("SOURCE", source).replace("TARGET", target)


@pytest.fixture
def cloud(double: Double, site: Site) -> Cloud:
    return Cloud(double, site)


@pytest.mark.parametrize("what", BAD)
def test_a_record_that_no_index_holds_is_told_by_the_plan_stops_the_run_or_is_put_aside(
    cloud: Cloud, what: str
) -> None:
    change, reason = BAD[what]
    cloud.site.store([*rows(range(11)), {**rows([11])[0], **change}])
    cloud.site.spec(spec(SNAPSHOT, end("kb")))
    planned = cloud.site.run("plan")
    assert planned.code == 0
    said = " ".join(planned.out.split())
    assert (
        "! 1 of 12 sampled records cannot be moved; on_bad_record is `fail`, so apply would stop at the first" in said
    )
    assert reason in said
    refused = cloud.site.run("apply", "--auto-approve")
    assert refused.code == 1
    assert "cannot be moved" in refused.err
    assert reason in " ".join(refused.err.split())
    cloud.site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    outcome = cloud.outcome()
    (report,) = outcome["reports"]
    assert (outcome["quarantined"], report["verdict"], report["records"]["matching"]) == (1, "passed", 11)
    (file,) = outcome["quarantine_files"]
    assert pq.read_table(file)["reason"][0].as_py().startswith(reason)
    assert len({id for name in ("", "de", "en") for id in cloud.double.store.find("kb").records(name)}) == 11


def test_nothing_is_told_of_records_that_are_as_large_as_an_index_holds(cloud: Cloud) -> None:
    metadata = {"text": "x" * (40_960 - len('{"text":""}'))}
    least = {"id": "x" * 512, "vector:": [0.0] * 7 + [1e-15], "metadata": metadata, "namespace": "n" * 512}
    cloud.site.store([*rows(range(11)), {**rows([11])[0], **least}])
    cloud.site.spec(spec(SNAPSHOT, end("kb")))
    assert "cannot be moved" not in cloud.site.run("plan").out
    assert cloud.outcome()["written"] == 12


def test_a_record_that_is_listed_and_not_given_is_put_aside_with_that_reason(cloud: Cloud) -> None:
    count = cloud.fill("dense")
    cloud.double.faults.add(Fault.lost_ids({"id#7"}), on="fetch", index="dense", namespace="de")
    cloud.site.spec(spec(end("dense"), "{type: snapshot, path: into}"))
    cloud.site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    outcome = cloud.outcome()
    assert (outcome["written"], outcome["quarantined"]) == (count - 1, 1)
    (file,) = outcome["quarantine_files"]
    (kept,) = pq.read_table(file).to_pylist()
    assert (kept["id"], kept["namespace"]) == ("id#7", "de")
    assert "it is listed, but fetching it gives nothing" in kept["reason"]
