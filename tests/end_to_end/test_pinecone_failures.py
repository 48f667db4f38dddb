"""What a person sees where Pinecone refuses, fails, or is not there: one clear error, its exit code, and never the key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Ran
from tests.connectors.pinecone.data import plant
from tests.doubles.pinecone import Double, Fault
from tests.doubles.pinecone import vectors as service
from tests.doubles.pinecone.errors import Code, Refused
from tests.end_to_end.conftest import batch_of
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.collection import Collection, VectorField

CANARY = "pcsk_canary"
SPEC = """\
version: 1
name: kb
sources:
  s: {{type: {source}}}
targets:
  t: {{type: {target}}}
verification: {{search: null}}
migrations:
  - {{name: m, source: s, target: t}}
execution: {{workers: 2}}
"""
PINECONE = 'pinecone, index: docs, host: "{host}", api_key: "{{{{ env.PINECONE_API_KEY }}}}"{more}'
FROM, INTO = "snapshot, path: from", "snapshot, path: into"
Run = Callable[..., Ran]


class Site:
    """A directory with a spec that goes from Pinecone into a snapshot, or back."""

    def __init__(self, directory: Path, double: Double, command: Run) -> None:
        self.directory, self.double, self.run = directory, double, command

    def outward(self, host: str | None = None, more: str = "") -> None:
        self._spec(PINECONE.format(host=host or self.double.url, more=more), INTO)

    def inward(self, host: str | None = None, more: str = "", dimensions: int = 3) -> None:
        """The snapshot holds three records."""
        self._spec(FROM, PINECONE.format(host=host or self.double.url, more=more))
        vectors = (VectorField("", dimensions, "cosine"),)
        snapshot = SnapshotOptions(str(self.directory / "from")).open()
        snapshot.create(Collection(str(self.directory / "from"), vectors, mark="vecmig:test"))
        rows: list[dict[str, Any]] = [{"id": id, "vector:": [1.0] * dimensions} for id in "abc"]
        assert not snapshot.upsert(str(self.directory / "from"), batch_of(rows, vectors))
        snapshot.close()

    def _spec(self, source: str, target: str) -> None:
        (self.directory / "vecmig.yaml").write_text(SPEC.format(source=source, target=target))

    def apply(self) -> Ran:
        ran = self.run("apply", "--auto-approve")
        assert CANARY not in ran.out + ran.err
        return ran

    def plan(self) -> Ran:
        ran = self.run("plan")
        assert CANARY not in ran.out + ran.err
        return ran


def breach(ran: Ran) -> str:
    """Return what did not hold, in the report of a verification."""
    return ran.out.partition("Verification FAILED")[2].partition("->")[0]


def risks(ran: Ran) -> str:
    return ran.out.partition("Estimate")[0]


@pytest.fixture
def site(tmp_path: Path, double: Double, vecmig: Run, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PINECONE_API_KEY", CANARY)
    return Site(tmp_path, double, vecmig)


def says(text: str, *words: str) -> None:
    """Hold a message against the words that it must have, and the length that a person reads."""
    flat = " ".join(text.split())
    for each in words:
        assert each in flat, text
    assert len(flat) < 700, text


def test_a_missing_index_is_named_as_the_source_and_made_as_the_target(site: Site) -> None:
    site.outward()
    ran = site.plan()
    assert ran.code == 1
    says(ran.err, "the source pinecone docs is not there", "sources.s")
    site.inward()
    assert site.apply().code == 0
    assert len(site.double.store.find("docs").records()) == 3


def test_a_key_that_is_not_known(site: Site) -> None:
    site.double.gate.accepted_keys = {"another"}
    for begin in (site.outward, site.inward):
        begin()
        ran = site.plan()
        assert ran.code == 1
        says(ran.err, "pinecone describe in 'docs'", "does not know the `api_key`", "Invalid API Key")


def test_a_key_without_the_right(site: Site) -> None:
    site.double.gate.forbidden_keys = {CANARY}
    site.outward()
    ran = site.plan()
    assert ran.code == 1
    says(ran.err, "forbids it", "the role of the `api_key`")


def test_a_key_that_may_read_and_not_write(site: Site) -> None:
    plant(site.double, [])
    site.double.faults.add(Fault.status(403), on="upsert")
    site.inward(more=", adopt: true")
    ran = site.apply()
    assert ran.code == 1
    says(ran.err, "pinecone upsert in 'docs'", "forbids it", "the role of the `api_key`")


def test_a_key_that_is_not_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.outward()
    monkeypatch.setenv("PINECONE_API_KEY", "  ")
    ran = site.plan()
    assert ran.code == 3
    says(ran.err, "is empty")
    monkeypatch.delenv("PINECONE_API_KEY")
    ran = site.plan()
    assert ran.code == 3
    says(ran.err, "PINECONE_API_KEY, which is not set", "export PINECONE_API_KEY=")


@pytest.mark.parametrize("key", ["canary\n", "canäry"])
def test_a_key_that_cannot_be_one(site: Site, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PINECONE_API_KEY", key)
    site.outward()
    ran = site.run("plan")
    assert ran.code == 1
    says(ran.err, "pinecone", "API key", "whitespace")
    assert "can" not in ran.err


def test_no_index_more_is_allowed(site: Site) -> None:
    site.double.limits.indexes = 0
    site.inward()
    ran = site.apply()
    assert ran.code == 1
    says(ran.err, "pinecone create in 'docs'", "reached the max serverless indexes", "raise the project's quota")


def test_a_request_too_fast_stops_nothing(site: Site) -> None:
    plant(site.double, ["a"])
    site.outward()
    site.double.faults.add(Fault.status(429, code=Code.RESOURCE_EXHAUSTED), on="fetch", times=1)
    assert site.apply().code == 0


def test_a_control_plane_that_cannot_be_reached(site: Site) -> None:
    site.outward(host="http://localhost:1")
    ran = site.plan()
    assert ran.code == 1
    says(
        ran.err,
        "pinecone describe in 'docs'",
        "the connection failed",
        "localhost:1; look at the network, and at `host`",
    )


def test_an_address_that_is_none(site: Site) -> None:
    site.outward(host="http://[::1")
    ran = site.plan()
    assert ran.code == 1
    says(ran.err, "look at `host`")


def test_an_index_of_another_shape(site: Site) -> None:
    plant(site.double, [])
    site.inward(more=", adopt: true", dimensions=4)
    ran = site.apply()
    assert ran.code == 3
    says(ran.err, "docs", "dimensions 3 -> 4")
    assert not site.double.store.find("docs").records()


def test_an_index_of_another_kind(site: Site) -> None:
    plant(site.double, [])
    site.inward(more=", adopt: true, kind: documents")
    ran = site.plan()
    assert ran.code == 5
    says(ran.err, "'docs' exists and is one of `kind: vectors`, which cannot be changed: leave `kind` out")


def test_an_index_that_vecmig_did_not_make(site: Site) -> None:
    plant(site.double, [])
    site.inward()
    ran = site.plan()
    assert ran.code == 5
    says(ran.err, "docs exists and was not made by vecmig", "adopt: true")


def test_an_index_on_pods(site: Site) -> None:
    site.double.store.plant("docs", 3, pod=True)
    site.outward()
    ran = site.plan()
    assert ran.code == 3
    says(ran.err, "'docs' is on pods", "list no ids", "serverless")


def test_an_index_that_is_deleted_meanwhile(site: Site) -> None:
    plant(site.double, [f"{n:04}" for n in range(500)])
    site.outward()
    site.double.faults.add(Fault.index_deleted(), on="fetch", skip=3, times=1)
    ran = site.apply()
    assert ran.code == 1
    says(ran.err, "'docs'", "it is not there (any more)", "vecmig plan")


def test_a_target_that_is_deleted_meanwhile(site: Site) -> None:
    site.inward()
    site.double.faults.add(Fault.index_deleted(), on="upsert", times=1)
    ran = site.apply()
    assert ran.code == 1
    says(ran.err, "pinecone upsert in 'docs'", "it is not there (any more)", "vecmig plan")
    assert site.apply().code == 0, "the next one makes it again"
    assert len(site.double.store.find("docs").records()) == 3


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_quota_that_is_used_up_in_the_middle_of_a_load_and_raised_since(
    site: Site, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    def used_up(*_: object) -> None:
        raise Refused(
            "Request failed. You've reached the write unit limit for the current month (2000000).",
            Code.RESOURCE_EXHAUSTED,
        )

    site.inward(more=f", transport: {transport}")
    with monkeypatch.context() as patch:
        patch.setattr(service, "store", used_up)
        ran = site.apply()
        assert ran.code == 1
        says(
            ran.err, "pinecone upsert in 'docs'", "write unit limit for the current month", "raise the project's quota"
        )
        assert len([each for each in site.double.requests if each.operation == "upsert"]) == 1, "it is not tried again"
    assert site.apply().code == 0
    assert len(site.double.store.find("docs").records()) == 3


def test_a_write_that_is_stored_in_part_is_made_whole(site: Site) -> None:
    site.inward()
    site.double.faults.add(Fault.partly_stored(unstored=1), on="upsert", times=2)
    assert site.apply().code == 0
    assert len(site.double.store.find("docs").records()) == 3


def test_no_namespace_more_is_allowed(site: Site) -> None:
    plant(site.double, ["x"], "other")
    site.double.limits.namespaces = 1
    site.inward(more=", adopt: true")
    ran = site.apply()
    assert ran.code == 1
    says(ran.err, "pinecone upsert in 'docs'", "reached the max namespaces allowed", "raise the project's quota")


def test_ids_that_are_not_listed_are_found_by_the_verification(site: Site) -> None:
    plant(site.double, [f"{n:03}" for n in range(250)])
    site.double.faults.add(Fault.lost_ids({"007", "199"}), on="list")
    site.outward()
    ran = site.apply()
    assert ran.code == 7
    says(breach(ran), "the source says it holds 250 records, reading gave 248")


def test_ids_that_no_prefix_covers_are_found_by_the_verification(site: Site) -> None:
    plant(site.double, [f"a{n:03}" for n in range(150)] + ["z1"])
    site.outward(more=", id_prefixes: [a]")
    ran = site.apply()
    assert ran.code == 7
    says(breach(ran), "the source says it holds 151 records, reading gave 150")


def test_ids_that_obviously_no_prefix_covers_stop_the_plan(site: Site) -> None:
    plant(site.double, ["a1", "b1"])
    site.outward(more=", id_prefixes: [b]")
    ran = site.plan()
    assert ran.code == 1
    says(ran.err, "begins with none of `id_prefixes`", "namespace ''")


def test_prefixes_that_overlap_are_refused_by_the_spec(site: Site) -> None:
    site.outward(more=", id_prefixes: [a, ab]")
    ran = site.run("validate")
    assert ran.code == 3
    says(ran.err, "an id that begins with 'ab' begins with 'a', too")


def test_an_index_whose_name_pinecone_does_not_take_is_refused_by_the_spec(site: Site) -> None:
    for name, code in (("k" * 45, 0), ("k" * 46, 3), ("Kb", 3), ("-kb", 3)):
        site.inward()
        spec = site.directory / "vecmig.yaml"
        spec.write_text(spec.read_text().replace("index: docs", f"index: {name}"))
        assert site.run("validate").code == code, name


def test_a_record_that_cannot_be_fetched_stops_the_run_by_its_name(site: Site) -> None:
    plant(site.double, ["a", "b", "c"])
    site.double.faults.add(Fault.lost_ids({"b"}), on="fetch")
    site.outward()
    ran = site.apply()
    assert ran.code == 1
    says(ran.err, "record 'b' cannot be moved", "it is listed, but fetching it gives nothing")


def test_integers_that_doubles_do_not_hold_are_a_risk_of_the_plan(site: Site) -> None:
    plant(site.double, ["a", "b"], metadata={"n": 2.0**53, "m": 2.0**53 - 1, "x": 1e300})
    site.outward()
    ran = site.plan()
    assert ran.code == 0
    says(risks(ran), "2 of 2 sampled records have an integer of 2**53 or more in 'n'")
    assert risks(ran).count("2**53 or more") == 1


def test_doctor_says_what_is_well_and_what_is_not(site: Site) -> None:
    plant(site.double, ["a", "b"])
    site.outward()
    ran = site.run("doctor")
    assert ran.code == 0
    says(ran.out, "pinecone 10.", "3 dimensions, cosine; 2 records; vecmig did not make it")
    site.double.gate.accepted_keys = {"another"}
    ran = site.run("doctor")
    assert ran.code == 1
    says(ran.out, "NO", "does not know the `api_key`")
    assert CANARY not in ran.out + ran.err


def test_inspect_shows_an_index_without_a_spec(site: Site) -> None:
    plant(site.double, ["a"])
    where = ("inspect", "pinecone", "index=docs", f"host={site.double.url}", "api_key={{ env.PINECONE_API_KEY }}")
    ran = site.run(*where)
    assert ran.code == 0
    says(ran.out, "docs", "3", "cosine")
    assert CANARY not in ran.out + ran.err
    ran = site.run("inspect", "pinecone", "index=nope", *where[3:])
    assert ran.code == 1
    says(ran.err, "nope is not there")


def test_a_storm_that_lasts_ends_the_run_and_the_next_one_goes_on(site: Site) -> None:
    for name in "abcd":
        plant(site.double, [f"{n:04}" for n in range(200)], name)
    site.outward()
    site.double.faults.add(Fault.status(403), on="fetch", skip=6, times=1)
    assert site.apply().code == 1
    site.double.requests.clear()
    assert site.apply().code == 0
