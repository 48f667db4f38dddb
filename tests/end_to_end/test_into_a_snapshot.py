"""A snapshot as the target: the export file."""

from tests.end_to_end.conftest import Site, rows

INTO = """\
version: 1
name: kb
sources:
  s: {type: snapshot, path: source}
targets:
  t: {type: snapshot, path: exported}
verification: {search: {queries: {sample: 5}, top_k: 3}}
migrations:
  - {name: m, source: s, target: t}
"""


def test_a_second_apply_into_a_snapshot_finds_it_as_the_first_left_it(site: Site) -> None:
    site.spec(INTO)
    site.store(rows(range(10)))
    assert site.apply()
    site.settled()  # what finishing the files did belongs to the first apply
