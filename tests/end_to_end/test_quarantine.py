"""Bad records put aside: counted in plain sight, kept whole with their reason, and never too many."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.end_to_end.conftest import Site, rows

BAD = {"r5": [np.nan] * 8, "r6": [1.0] * 7 + [np.inf]}


def write_parquet(site: Site, count: int = 40) -> None:
    """Write a file that others made, two of whose vectors cannot be moved."""
    records = rows(range(count))
    vectors = [BAD.get(row["id"], row["vector:"]) for row in records]
    columns = {
        "id": pa.array([row["id"] for row in records]),
        "n": pa.array(range(count)),
        "emb": pa.array(vectors, pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), site.directory / "source.parquet")
    site.edit("path: source", "path: source.parquet")


def test_by_default_the_first_bad_record_ends_the_run_by_name(site: Site) -> None:
    write_parquet(site)
    ran = site.run("apply", "--auto-approve")
    assert ran.code == 1
    assert "record 'r5' cannot be moved" in ran.err
    assert "NaN" in ran.err
    assert "on_bad_record: quarantine" in ran.err
    assert not list(site.directory.rglob("*.quarantine/*"))


def test_a_plan_warns_of_bad_records_that_its_sample_met(site: Site) -> None:
    write_parquet(site)
    planned = site.run("plan")
    assert planned.code == 0
    assert "! 2 of 40 sampled records cannot be moved" in planned.out


def test_quarantined_records_are_counted_and_kept_with_their_reason(site: Site) -> None:
    write_parquet(site)
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    ran = site.run("apply", "--auto-approve")
    assert ran.code == 0, ran.err
    assert "38 records written, 2 quarantined" in ran.out
    assert "Verification passed" in ran.out
    assert "quarantined" in ran.out.split("Applied:")[0], "the verification says how many it left out"
    (file,) = site.directory.glob(".vecmig/kb/default.quarantine/*/*.parquet")
    assert str(file) in "".join(line.strip() for line in ran.out.splitlines())
    kept = pq.read_table(file).to_pylist()
    assert [row["id"] for row in kept] == ["r5", "r6"]
    assert all("NaN" in row["reason"] for row in kept)
    assert np.isnan(kept[0]["vector:"]).all()
    assert json.loads(kept[1]["metadata"]) == {"n": 6}
    assert "2 quarantined" in site.run("status").out
    again = site.run("verify", "--json")
    assert again.code == 0
    assert json.loads(again.out)["reports"][0]["quarantined"] == 2
    site.settled()


def test_more_than_the_limit_ends_the_run_with_6(site: Site) -> None:
    write_parquet(site)
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    site.edit("execution:", "limits: {max_quarantined: 1}\nexecution:")
    ran = site.run("apply", "--auto-approve")
    assert ran.code == 6
    assert "max_quarantined" in ran.err
    assert ".quarantine" in ran.err
    site.edit("max_quarantined: 1", "max_quarantined: 2")
    assert site.apply()["quarantined"] == 2


def test_a_record_mended_in_the_source_leaves_the_quarantine(site: Site) -> None:
    write_parquet(site)
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    assert site.apply()["quarantined"] == 2
    table = pq.read_table(site.directory / "source.parquet")
    vectors = [[1.0] * 8 if not np.isfinite(row).all() else row for row in table["emb"].to_pylist()]
    pq.write_table(
        table.set_column(2, "emb", pa.array(vectors, pa.list_(pa.float32()))), site.directory / "source.parquet"
    )
    outcome = site.apply()
    assert (outcome["written"], outcome["quarantined"]) == (2, 0)
    assert "quarantined" not in site.run("status").out
    site.settled()


def test_a_reconciliation_quarantines_and_counts_once(site: Site) -> None:
    write_parquet(site, 20)
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    site.apply()
    write_more = rows(range(40))
    table = pa.table(
        {
            "id": pa.array([row["id"] for row in write_more]),
            "n": pa.array(range(40)),
            "emb": pa.array([BAD.get(row["id"], row["vector:"]) for row in write_more], pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, site.directory / "source.parquet")
    outcome = site.apply()
    assert (outcome["written"], outcome["quarantined"]) == (20, 2)
    assert outcome["quarantine_files"]
    site.settled()


def test_a_record_that_the_target_refused_is_missing_once_it_was_mended_in_the_source(site: Site) -> None:
    refused = {"id": "nul", "metadata": '{"t": "a\\u0000b"}', "vector:": [1.0] * 8}
    site.store([*rows(range(10)), refused])
    site.edit("target: t}", "target: t, on_bad_record: quarantine}")
    assert site.apply()["quarantined"] == 1
    assert site.run("verify").code == 0
    site.store([{**refused, "metadata": '{"t": "ab"}'}])
    ran = site.run("verify")
    assert ran.code == 7
    assert "'nul'" in ran.out
    assert json.loads(site.run("plan", "--data", "--json").out)["migrations"][0]["data"]["missing"] == 1
    assert site.apply()["quarantined"] == 0
    assert site.run("verify").code == 0
