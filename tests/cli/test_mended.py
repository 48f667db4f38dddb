"""Bad records that were put aside, and what verify says once the source has mended them."""

import pyarrow as pa

from tests.cli.conftest import Shell
from vecmig.testing.contract import KEYS, records


def test_a_mended_record_is_missing_until_it_is_applied(shell: Shell) -> None:
    bad = records(KEYS[:1]).replace("metadata", pa.array(['{"lang": "en", "page": "x"}'], pa.string()))
    shell.store("source").upsert("docs", bad)
    shell.edit("verification:", "fields: {page: {type: int}}\nverification:")
    shell.edit("target: t}", "target: t, on_bad_record: quarantine}")
    ran = shell.run("apply", "--auto-approve")
    assert ran.code == 0, ran.out + ran.err
    assert "1 quarantined" in ran.out
    assert shell.run("verify").code == 0
    shell.store("source").upsert("docs", records(KEYS[:1]))
    verified = shell.run("verify")
    assert verified.code == 7
    assert "'a' in namespace 'one'" in verified.out
    assert shell.run("apply", "--auto-approve").code == 0
    assert shell.store("main").fetch("kb", KEYS[:1]).keys == KEYS[:1]


def test_a_namespace_that_left_the_source_is_extra_and_prune_removes_it(shell: Shell) -> None:
    assert shell.run("apply", "--auto-approve").code == 0
    shell.store("source").delete("docs", KEYS[5:])
    ran = shell.run("apply", "--auto-approve")
    assert ran.code == 7
    assert "prune" in ran.out
    shell.edit("target: t}", "target: t, prune: true}")
    assert shell.run("apply", "--auto-approve").code == 0
    assert shell.store("main").count("kb") == {"one": 5}
    assert shell.run("plan").out.startswith("No changes.")
