"""A table of the switch was dropped by hand, or the spec no longer asks for the build: each command says the way out."""

import json
from typing import Any

import pytest

from tests.end_to_end.conftest import Site, rows

PROOF = "verification: {search: {queries: {sample: 5}, top_k: 3}}"
CHANGED = "index: {metric: l2}\nverification: {search: {queries: {sample: 3}, top_k: 3}, thresholds: {overlap: 0}}"


@pytest.fixture
def built(site: Site) -> Site:
    """A table `kb` that serves, and `kb__v2` beside it, of another metric."""
    site.store(rows(range(12)))
    site.apply()
    site.edit(PROOF, CHANGED)
    site.apply()
    return site


def lineup(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.run("status", "--json").out)["lineups"]["t"]
    return found


def told(site: Site, *command: str) -> str:
    ran = site.run(*command)
    assert ran.code == 0, ran.err
    return " ".join(ran.out.split())


def test_a_build_that_is_gone_is_built_again_and_then_serves(built: Site) -> None:
    built.sql("drop table kb__v2")
    refused = built.run("cutover")
    assert refused.code == 6
    assert "kb__v2 does not serve yet: it is not there. Run `vecmig apply`" in refused.err
    assert "+ pgvector kb__v2" in told(built, "plan")
    built.apply()
    assert "t serves pgvector kb; what served before is pgvector kb__v1" in told(built, "cutover")


@pytest.mark.parametrize("by_hand", [(), ("kb__v2",), ("kb",)])
def test_a_build_that_the_spec_no_longer_asks_for_is_given_up_and_may_be_dropped(
    built: Site, by_hand: tuple[str, ...]
) -> None:
    for table in by_hand:
        built.sql(f"drop table {table}")
    if "kb" not in by_hand:  # else the spec is fulfilled by what is made anew
        built.edit(CHANGED, PROOF)
    assert "! pgvector kb__v2, built beside before, is given up" in told(built, "plan")
    built.apply()
    built.settled()
    assert (lineup(built)["serving"], lineup(built)["build"]) == (1, None)
    assert "t: generation 1 serves, 2 superseded (`vecmig drop`)" in told(built, "status")
    assert told(built, "cutover") == "No changes. Nothing was built beside what serves."
    assert told(built, "drop").startswith("Superseded: kb__v2")
    assert told(built, "drop", "kb__v2", "--allow-destroy") == "Dropped pgvector kb__v2"
    assert built.sql("select to_regclass('kb__v2')") == [(None,)]
    assert told(built, "drop", "kb__v2", "--allow-destroy") == "No changes. What is named is gone already."
    built.settled()


def test_a_build_that_the_spec_does_not_ask_for_is_not_let_serve(built: Site) -> None:
    built.edit(CHANGED, PROOF)
    refused = built.run("cutover")
    assert refused.code == 6
    assert "kb__v2 does not serve: m does not fill it any more, as the spec stands now" in refused.err
    assert lineup(built)["serving"] == 1
    built.edit(PROOF, CHANGED)
    assert "t serves pgvector kb" in told(built, "cutover")


def test_a_build_that_was_left_half_way_and_is_no_longer_asked_for_is_given_up_too(site: Site) -> None:
    site.store(rows(range(12)))
    site.apply()
    site.edit(PROOF, CHANGED)
    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr("vecmig.connectors.pgvector.connector.PgvectorConnector.upsert", _interrupted)
        assert site.run("apply", "--auto-approve").code != 0
    assert lineup(site)["build"] == 2
    site.edit(CHANGED, PROOF)
    site.settled()
    assert told(site, "drop").startswith("Superseded: kb__v2")


def test_what_served_and_is_gone_can_be_rolled_back_from_at_once(built: Site) -> None:
    assert built.run("cutover").code == 0
    built.sql("drop table kb")
    plan = told(built, "plan")
    assert "kb served and is not there any more: `vecmig rollback` lets pgvector kb__v1 serve at once" in plan
    back = told(built, "rollback")
    assert "t serves pgvector kb; what served before was not there any more" in back
    assert "Undo it" not in back
    assert built.sql("select count(*) from kb") == [(12,)]
    assert told(built, "cutover") == "No changes. Nothing was built beside what serves."
    assert "+ pgvector kb__v3" in told(built, "plan")
    built.apply()
    assert built.run("cutover").code == 0
    built.settled()


def test_a_build_takes_the_place_of_what_is_gone_and_no_way_back_is_claimed(built: Site) -> None:
    built.sql("drop table kb")
    assert "`vecmig cutover` lets pgvector kb__v2 serve at once" in told(built, "plan")
    cut = told(built, "cutover")
    assert "t serves pgvector kb; what served before was not there any more" in cut
    assert "Undo it" not in cut
    assert told(built, "rollback").startswith("No changes.")
    assert told(built, "drop") == "Nothing is superseded."
    built.settled()


def test_what_served_before_and_is_gone_leaves_the_state_by_drop(built: Site) -> None:
    assert built.run("cutover").code == 0
    built.sql("drop table kb__v1")
    failed = built.run("rollback")
    assert failed.code == 1
    assert "`vecmig drop --allow-destroy kb__v1` takes it out of the state" in failed.err
    assert built.run("drop", "kb__v1", "--allow-destroy").code == 0
    assert lineup(built)["kept"] is None
    assert told(built, "rollback").startswith("No changes.")
    built.settled()


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
