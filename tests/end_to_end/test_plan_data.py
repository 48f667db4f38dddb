"""`plan --data`: every record compared, in the terms of the migration, and nothing written."""

import json

import pytest

from tests.end_to_end.conftest import SPEC, Site, rows
from vecmig.model.record import Key


def counted(site: Site) -> tuple[int, ...]:
    """Return what `plan --data` found: matching, mismatched, missing and extra records."""
    ran = site.run("plan", "--data", "--json")
    assert ran.code == 0, ran.err
    (migration,) = json.loads(ran.out)["migrations"]
    return tuple(migration["data"][name] for name in ("matching", "mismatched", "missing", "extra"))


@pytest.mark.parametrize("rule", ["where: {version: 0}", "limit: 12"])
def test_it_counts_only_what_the_migration_takes(site: Site, rule: str) -> None:
    site.spec(SPEC.replace("target: t}", f"target: t, {rule}}}"))
    site.store(rows(range(12)))
    site.store(rows(range(12, 20), version=1))
    site.edit("top_k: 3}}", "top_k: 3}, thresholds: {overlap: 0}}")
    site.apply()
    assert counted(site) == (12, 0, 0, 0)
    site.sql("DELETE FROM kb WHERE id = 'r3'")
    site.sql("UPDATE kb SET metadata = metadata || '{\"n\": 99}' WHERE id = 'r4'")
    assert counted(site) == (10, 1, 1, 0)
    assert site.sql("SELECT count(*) FROM kb") == [(11,)]


def test_what_was_put_aside_is_not_missing(site: Site) -> None:
    site.spec(SPEC.replace("target: t}", "target: t, on_bad_record: quarantine}") + "limits: {max_quarantined: 5}\n")
    site.store([*rows(range(6)), {**rows([6])[0], "id": "nul\0"}])
    site.apply()
    assert counted(site) == (6, 0, 0, 0)


def test_it_warns_of_records_that_would_make_the_verification_fail(site: Site) -> None:
    site.store(rows(range(6)))
    site.apply()
    site.remove([Key("", "r0")])
    warned = site.run("plan", "--data").out
    assert "1 record is only in the target and would stay" in warned
    assert "`prune: true`" in warned
    assert site.run("apply", "--auto-approve").code == 7
    site.edit("target: t}", "target: t, prune: true}")
    assert "only in the target" not in site.run("plan", "--data").out
    site.edit("prune: true}", "prune: true, where: {n: 99}}")
    assert "the source gives none, and then nothing is deleted" in " ".join(site.run("plan", "--data").out.split())
