"""What a second apply does: nothing where nothing moved, and only what moved where something did."""

import json

from tests.end_to_end.conftest import Site, rows
from vecmig.model.record import Key

REMOVED = [Key("", "r0"), Key("de", "r1")]


def change(site: Site) -> None:
    """Add five records, alter three and remove two."""
    site.store(rows(range(100, 105)))
    site.store(rows(range(10, 13), version=1))
    site.remove(REMOVED)


def test_a_source_that_did_not_change_is_left_alone(site: Site) -> None:
    site.store(rows(range(60)))
    assert site.apply()["written"] == 60
    before = site.sql("SELECT ctid, xmin FROM kb ORDER BY namespace, id")
    site.settled()
    assert site.sql("SELECT ctid, xmin FROM kb ORDER BY namespace, id") == before


def test_only_what_changed_in_the_source_is_written(site: Site) -> None:
    site.store(rows(range(60)))
    site.apply()
    versions = dict(site.sql("SELECT id, xmin::text FROM kb"))
    change(site)
    ran = site.run("apply", "--auto-approve", "--json")
    assert ran.code == 7, ran.err
    assert "prune" in ran.err + ran.out
    outcome = json.loads(ran.out)
    assert outcome["written"] == 8
    assert outcome["deleted"] == 0
    (report,) = outcome["reports"]
    assert report["records"]["extra"] == 2
    assert sorted(key[1] for key in report["records"]["extra_keys"]) == ["r0", "r1"]
    after = dict(site.sql("SELECT id, xmin::text FROM kb"))
    assert len(after) == 65
    untouched = {f"r{n}" for n in range(60)} - {"r10", "r11", "r12"}
    assert all(after[id] == versions[id] for id in untouched), "an equal record was written again"


def test_the_text_names_the_extra_records_and_prune(site: Site) -> None:
    site.store(rows(range(60)))
    site.apply()
    change(site)
    ran = site.run("apply", "--auto-approve")
    assert ran.code == 7
    assert "'r0'" in ran.out
    assert "'r1' in namespace 'de'" in ran.out
    assert "prune" in ran.out


def test_prune_removes_what_the_source_no_longer_has(site: Site) -> None:
    site.edit("target: t}", "target: t, prune: true}")
    site.store(rows(range(60)))
    site.apply()
    change(site)
    outcome = site.apply()
    assert (outcome["written"], outcome["deleted"]) == (8, 2)
    source, target = site.digests()
    assert source == target
    site.settled()


def test_records_that_were_altered_in_the_target_are_mended(site: Site) -> None:
    site.store(rows(range(60)))
    site.apply()
    site.sql("UPDATE kb SET metadata = metadata || '{\"n\": -1}' WHERE id IN ('r4', 'r5')")
    site.sql("DELETE FROM kb WHERE id = 'r7'")
    assert site.apply()["written"] == 3
    source, target = site.digests()
    assert source == target


def test_a_target_that_was_dropped_by_hand_is_made_again(site: Site) -> None:
    site.store(rows(range(60)))
    site.apply()
    site.sql("DROP TABLE kb")
    outcome = site.apply()
    assert (outcome["created"], outcome["written"]) == (1, 60)
    site.settled()
