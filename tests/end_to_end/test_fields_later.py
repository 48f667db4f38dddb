"""Fields that the spec types, or makes searchable, once the table is there: a table beside it has them."""

import pytest

from tests.end_to_end.conftest import Site, rows


@pytest.fixture
def filled(site: Site) -> Site:
    """A table `kb` with one typed field, `title`."""
    site.store(rows(range(30)))
    site.edit("verification:", "fields: {title: {type: text}}\nverification:")
    site.apply()
    return site


@pytest.mark.parametrize(
    ("fields", "reason", "column"),
    [
        ("{title: {type: text, search: true}}", "field 'title' has no column `title_search`", "title_search"),
        ("{title: {type: text}, n: {type: int, filter: true}}", "field 'n' is not a typed field there", "n"),
    ],
)
def test_what_needs_a_new_column_is_built_beside_and_serves_after_cutover(
    filled: Site, fields: str, reason: str, column: str
) -> None:
    filled.edit("fields: {title: {type: text}}", f"fields: {fields}")
    planned = " ".join(filled.run("plan").out.split())
    assert reason in planned
    assert "built beside pgvector kb, which serves until `cutover`" in planned
    filled.apply()
    assert filled.run("cutover").code == 0
    filled.settled()
    there = "SELECT count(*) FROM information_schema.columns WHERE table_name = %s AND column_name = %s"
    assert filled.sql(there + " AND table_schema = current_schema()", "kb", column) == [(1,)]
    assert filled.sql("SELECT count(*) FROM kb") == [(30,)]
    source, target = filled.digests()
    assert source == target


def test_a_table_that_is_adopted_is_left_as_it_is_and_the_plan_says_what_to_do(site: Site) -> None:
    site.store(rows(range(3)))
    site.sql("CREATE TABLE kb (id text PRIMARY KEY, embedding vector(8), title text, metadata jsonb)")
    site.edit("table: kb}", "table: kb, adopt: true}")
    site.edit("verification:", "fields: {title: {type: text, search: true}}\nverification:")
    ran = site.run("plan")
    assert ran.code == 3
    assert "field 'title' has no column `title_search` for full-text search there" in ran.err
    assert "name another target" in ran.err


def test_an_index_for_text_that_is_searchable_already_is_no_change(site: Site) -> None:
    site.store(rows(range(3)))
    site.edit("verification:", "fields: {title: {type: text, search: true, filter: true}}\nverification:")
    site.apply()
    site.settled()
