"""What Pinecone does not show is never taken for gone, and never for proven."""

from contextlib import closing
from threading import Event

import pytest

from tests.doubles.pinecone import Double, Fault
from tests.end_to_end.conftest import Site
from tests.end_to_end.pinecone import Cloud, options
from tests.end_to_end.test_pinecone_changes import SPEC, cloud, of_one
from vecmig.migration import Endpoint, Migration
from vecmig.model.report import Report
from vecmig.model.settings import Verification
from vecmig.verification.migration import Proof, prove

__all__ = ["cloud"]  # a fixture
HIDDEN = [f"r{n}" for n in range(20, 25)]


def hide(double: Double, index: str) -> None:
    """Leave some ids out of every list, though they are counted."""
    double.faults.add(Fault.lost_ids(HIDDEN), on="list", index=index)


def test_prune_leaves_alone_what_the_source_counts_and_does_not_list(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    hide(cloud.double, "source")
    cloud.put("source", of_one([100]))  # so that there is something to do
    cloud.site.edit("target: t}", "target: t, prune: true}")
    ran = cloud.site.run("apply", "--auto-approve")
    assert ran.code == 7
    assert "`prune` leaves 5 records alone: the source says it holds 61, and reading gave 56" in caplog.text
    assert cloud.sent("kb", "delete") == 0
    assert cloud.double.store.find("kb").records("en").keys() >= set(HIDDEN)


@pytest.mark.parametrize(("limit", "code"), [(5_000, 7), (40, 0)])
def test_records_that_are_not_listed_are_missed_also_where_there_is_a_limit_that_was_not_reached(
    double: Double, site: Site, limit: int, code: int
) -> None:
    site.spec(
        SPEC.replace("target: t}", f"target: t, limit: {limit}}}").replace(
            "top_k: 3}}", "top_k: 3}, thresholds: {overlap: 0}}"
        )
    )
    made = Cloud(double, site)
    made.make("source")
    made.put("source", of_one(range(60)))
    hide(double, "source")
    outcome = made.outcome(code=code)
    assert outcome["written"] == min(limit, 55)


@pytest.mark.parametrize(("lag_s", "verdict"), [(0.0, "failed"), (20.0, "passed")])
def test_what_another_process_wrote_just_now_is_waited_for_where_an_apply_goes_on(
    double: Double, site: Site, lag_s: float, verdict: str
) -> None:
    made = Cloud(double, site)
    for index in ("source", "kb"):
        made.make(index)
    made.put("source", of_one(range(60)))
    made.put("kb", of_one(range(30)))
    double.store.lag.seconds = 2.0
    made.put("kb", of_one(range(30, 60)))  # by the SDK, so that vecmig does not know what to wait for
    source, target = (Endpoint(index, "pinecone", options(double, index)) for index in ("source", "kb"))
    steps = prove(
        Migration("m", source, target, verification=Verification(search=None)),
        Proof("p", "e", frozenset(), lag_s=lag_s, workers=2),
        Event(),
    )
    report = None
    while report is None:
        try:
            next(steps)
        except StopIteration as ended:
            report = ended.value
    assert isinstance(report, Report)
    assert report.verdict == verdict


def test_a_namespace_that_no_count_shows_yet_is_read_all_the_same(double: Double, site: Site) -> None:
    made = Cloud(double, site)
    made.make("source")
    made.put("source", of_one(range(3)))
    double.store.lag.counts = 60.0
    made.put("source", [{**each, "namespace": "new"} for each in of_one(range(2))])
    with closing(options(double, "source").open()) as connector:
        assert set(connector.count("source")) == {"en", "new"}
        read = [
            key
            for part in connector.partitions("source", 1)
            for batch, _ in connector.read(part, None)
            for key in batch.keys
        ]
    assert len(read) == 5


def test_a_namespace_that_holds_nothing_is_a_risk_in_the_plan(cloud: Cloud) -> None:
    cloud.site.edit("index: source}", "index: source, namespaces: [en, dee]}")
    ran = cloud.site.run("plan")
    assert ran.code == 0
    assert "the source holds no record in namespace 'dee': is that its name?" in ran.out


@pytest.mark.parametrize("namespaces", ["all", "[en]", "['']"])
def test_namespaces_are_all_or_some(cloud: Cloud, namespaces: str) -> None:
    cloud.site.edit("index: source}", f"index: source, namespaces: {namespaces}}}")
    assert cloud.site.run("validate").code == 0


@pytest.mark.parametrize("option", ["namespaces: [en]", "id_prefixes: [r]"])
def test_what_chooses_a_part_of_a_source_is_refused_in_a_target(cloud: Cloud, option: str) -> None:
    cloud.site.edit("index: kb}", f"index: kb, {option}}}")
    ran = cloud.site.run("validate")
    assert ran.code == 3
    assert "says what is read of a source, and a target is compared whole: leave it out" in " ".join(ran.err.split())
