"""A snapshot as the target: the export file."""

from tests.end_to_end.conftest import Site, rows


def test_a_second_apply_into_a_snapshot_finds_it_as_the_first_left_it(site: Site) -> None:
    site.edit('{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: kb}', "{type: snapshot, path: exported}")
    site.store(rows(range(10)))
    assert site.apply()
    site.settled()  # what finishing the files did belongs to the first apply
