"""Two migrations fill one target: what is built beside is built by both, and serves or does not for both."""

import pytest

from tests.end_to_end.conftest import SPEC, Site, rows
from tests.end_to_end.test_switch_by_hand import CHANGED, PROOF, lineup, told


@pytest.fixture
def two(site: Site) -> Site:
    """A table `kb` that two sources are to fill, each a namespace of its own."""
    one = "  s: {type: snapshot, path: source}"
    text = SPEC.replace(one, "  s1: {type: snapshot, path: one}\n  s2: {type: snapshot, path: two}")
    both = "  - {name: m1, source: s1, target: t}\n  - {name: m2, source: s2, target: t}"
    site.spec(text.replace("  - {name: m, source: s, target: t}", both))
    for path, numbers in (("one", range(9)), ("two", range(100, 109))):
        site.store([{**row, "namespace": path} for row in rows(numbers)], path=path)
    return site


def test_both_are_built_beside_and_cut_over_and_rolled_back_together(two: Site) -> None:
    two.apply()
    two.edit(PROOF, CHANGED)
    two.apply("--only", "m1")
    refused = two.run("cutover")
    assert refused.code == 6
    assert "m2 was not applied into it. Run `vecmig apply`" in refused.err
    two.apply()
    two.sql("update kb__v2 set metadata = '{}' where namespace = 'two'")
    for only in ("m1", "m2"):
        two.run("verify", "--only", only)
        assert two.run("cutover").code == 6, "m2 fails, and m1 was not verified since the write"
    two.apply()
    assert two.run("cutover").code == 0
    counted = "select namespace, count(*) from kb group by 1 order by 1"
    assert two.sql(counted) == [("one", 9), ("two", 9)]
    assert two.run("verify").code == 0
    assert two.run("rollback").code == 0
    assert two.sql(counted) == [("one", 9), ("two", 9)]
    assert told(two, "plan").count("built beside pgvector kb, which serves until `vecmig cutover`") == 2
    assert two.run("cutover").code == 0
    two.settled()


def test_what_one_of_them_needs_a_new_table_for_is_built_by_the_other_too(two: Site) -> None:
    two.apply()
    two.edit("name: m1,", "name: m1, fields: {n: {type: int, filter: true}},")
    plan = told(two, "plan")
    assert "why m1 needs another collection: built beside pgvector kb, which serves until `cutover`" in plan
    two.apply()
    two.settled()
    assert two.run("cutover").code == 0
    assert two.sql("select count(*), count(n) from kb") == [(18, 18)]
    two.settled()
    assert lineup(two)["others"] == []


@pytest.mark.parametrize("first", [True, False])
def test_two_that_ask_for_different_tables_are_refused_by_the_plan(two: Site, first: bool) -> None:
    if not first:
        two.apply()
    two.edit("name: m1,", "name: m1, index: {metric: l2},")
    refused = two.run("plan")
    assert refused.code == 3
    assert "m1 and m2 fill one target, pgvector kb" in refused.err
    assert "- metric l2 -> cosine" in refused.err
    assert two.sql("select to_regclass('kb__v2')") == [(None,)]
