"""What `inspect` writes of a live table says what is there: a plan on it finds no changes, and differences show."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Site, rows

LANGCHAIN = """
CREATE TABLE langchain_pg_embedding (
    id varchar PRIMARY KEY, collection_id uuid, embedding vector, document varchar, cmetadata jsonb
);
CREATE INDEX ix_cmetadata_gin ON langchain_pg_embedding USING gin (cmetadata jsonb_path_ops);
INSERT INTO langchain_pg_embedding
SELECT 'doc' || n, gen_random_uuid(), ARRAY[n, 1, 2]::vector, 'text', jsonb_build_object('page', n)
FROM generate_series(1, 20) n;
"""
HAND_MADE = """
CREATE TABLE articles (
    doc_id bigint PRIMARY KEY, title text NOT NULL, price numeric, tags text[], seen timestamptz, emb halfvec(4)
);
CREATE INDEX ON articles USING hnsw (emb halfvec_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX ON articles (title);
INSERT INTO articles
SELECT n, 'title ' || n, n * 1.5, ARRAY['a'], now(), ARRAY[n, 1, 2, 3]::vector::halfvec FROM generate_series(1, 20) n;
"""
TWO_VECTORS = """
CREATE TABLE pairs (id uuid PRIMARY KEY, title_emb vector(3), body_emb vector(5), note json);
CREATE INDEX ON pairs USING hnsw (title_emb vector_ip_ops);
INSERT INTO pairs SELECT gen_random_uuid(), '[1,2,3]', '[1,2,3,4,5]', '{}' FROM generate_series(1, 5);
"""
TABLES = {"langchain_pg_embedding": LANGCHAIN, "articles": HAND_MADE, "pairs": TWO_VECTORS}
DSN = "dsn={{ env.DATABASE_URL }}"


def inspected(site: Site, table: str, *options: str) -> Path:
    """Return the spec that `inspect` wrote."""
    ran = site.run("inspect", "pgvector", DSN, f"table={table}", *options, "-f", "found.yaml")
    assert ran.code == 0, ran.err
    return site.directory / "found.yaml"


@pytest.mark.parametrize("table", TABLES)
def test_the_spec_of_a_table_that_others_made_is_valid_and_plans_to_no_changes(site: Site, table: str) -> None:
    site.sql(TABLES[table])
    text = inspected(site, table).read_text()
    assert "adopt: true" in text
    assert site.run("validate", "-f", "found.yaml").code == 0
    planned = site.run("plan", "-f", "found.yaml", "--detailed-exitcode")
    assert planned.code == 0, planned.err + planned.out
    assert planned.out.startswith("No changes.")
    assert f"pgvector {table}" in planned.out
    assert "no migration fills it" in planned.out


def test_the_spec_of_a_table_that_vecmig_made_plans_to_no_changes(site: Site) -> None:
    site.store(rows(range(30)))
    site.edit(
        "verification:", "fields: {n: {type: int, filter: true}, title: {type: text, search: true}}\nverification:"
    )
    site.edit("verification:", "index: {type: hnsw, m: 8, ef_construction: 40, metric: l2}\nverification:")
    site.edit("top_k: 3}", "top_k: 3}, thresholds: {overlap: 0}")  # by another metric it cannot be compared
    site.apply()
    inspected(site, "kb")
    assert site.run("validate", "-f", "found.yaml").code == 0
    planned = site.run("plan", "-f", "found.yaml")
    assert planned.code == 0, planned.err
    assert planned.out.startswith("No changes.")


def test_an_inspected_spec_takes_part_in_every_output(site: Site) -> None:
    site.sql(HAND_MADE)
    inspected(site, "articles")
    assert "No changes" in site.run("plan", "-f", "found.yaml", "--format", "markdown").out
    document = json.loads(site.run("plan", "-f", "found.yaml", "--json").out)
    (target,) = document["migrations"]
    assert target["source"] is None
    assert target["actions"] == []
    assert site.run("plan", "-f", "found.yaml", "--data").code == 0
    assert site.run("doctor", "-f", "found.yaml").code == 0
    applied = site.run("apply", "-f", "found.yaml", "--auto-approve")
    assert applied.code == 0
    assert applied.out.startswith("No changes.")


def test_another_index_in_the_spec_of_an_adopted_table_is_built(site: Site) -> None:
    site.sql(HAND_MADE)
    spec = inspected(site, "articles")
    spec.write_text(spec.read_text().replace("m: 8", "m: 12"))
    planned = site.run("plan", "-f", "found.yaml", "--detailed-exitcode", "--out", "p.vplan")
    assert planned.code == 2, planned.err
    assert "1 index to rebuild" in planned.out
    assert "m 8 -> 12" in planned.out
    shown = site.run("show", "p.vplan", "--format", "markdown")
    assert "m 8 -&gt; 12" in shown.out or "m 8 -> 12" in shown.out
    applied = site.run("apply", "p.vplan")
    assert applied.code == 0, applied.err
    assert any("m='12'" in row[0] for row in site.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'articles'"))
    assert site.sql("SELECT count(*) FROM articles") == [(20,)]
    assert site.run("plan", "-f", "found.yaml").out.startswith("No changes.")
    assert "verified" not in site.run("status", "-f", "found.yaml").out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dimensions: 4", "dimensions: 5", "dimensions 4 -> 5"),
        ("metric: l2", "metric: cosine", "metric l2 -> cosine"),
        ("    adopt: true\n", "    vector_type: sparsevec\n    adopt: true\n", "kind float16 -> sparse"),
        ("version: 1\n", "version: 1\nembedding: {dimensions: 7}\n", None),  # the target's own word wins
    ],
)
def test_another_shape_in_the_spec_of_an_adopted_table_is_refused(
    site: Site, old: str, new: str, said: str | None
) -> None:
    site.sql(HAND_MADE)
    spec = inspected(site, "articles")
    assert old in spec.read_text()
    spec.write_text(spec.read_text().replace(old, new, 1))
    planned = site.run("plan", "-f", "found.yaml")
    if said is None:
        assert planned.out.startswith("No changes.")
        return
    assert planned.code == 3
    assert said in planned.err
    assert "name another target" in planned.err


def test_a_target_that_is_not_there_is_said_to_be_so(site: Site) -> None:
    site.sql(HAND_MADE)
    inspected(site, "articles")
    site.sql("DROP TABLE articles")
    planned = site.run("plan", "-f", "found.yaml")
    assert planned.code == 0
    assert "! pgvector articles is not there, and no migration makes it" in planned.out


def test_a_table_that_is_not_adopted_is_compared_but_never_changed(site: Site) -> None:
    site.sql(HAND_MADE)
    spec = inspected(site, "articles")
    spec.write_text(spec.read_text().replace("    adopt: true\n", ""))
    assert site.run("plan", "-f", "found.yaml").code == 0
    spec.write_text(spec.read_text().replace("m: 8", "m: 12"))
    planned = site.run("plan", "-f", "found.yaml")
    assert planned.code == 5
    assert "adopt: true" in planned.err


def test_only_leaves_targets_without_a_migration_out(site: Site) -> None:
    site.store(rows(range(9)))
    site.edit("targets:\n", 'targets:\n  other: {type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: other}\n')
    assert "pgvector other" in site.run("plan").out
    assert "pgvector other" not in site.run("plan", "--only", "m").out
    site.apply()
    site.settled()
