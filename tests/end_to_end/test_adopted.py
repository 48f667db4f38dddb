"""Tables that the spec adopts and that cannot be written to without harm: the plan says so, and nothing is written."""

import pytest

from tests.end_to_end.conftest import Site, rows

# As the extension citext: texts that differ in case alone are equal to it. The servers of the tests may lack that.
CITEXT = """
    CREATE TYPE citext;
    CREATE FUNCTION citextin(cstring) RETURNS citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION citextout(citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
    CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, LIKE = text, CATEGORY = 'S', COLLATABLE = true);
    CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;
    CREATE CAST (text AS citext) WITHOUT FUNCTION AS ASSIGNMENT;
    CREATE FUNCTION citext_cmp(a citext, b citext) RETURNS int IMMUTABLE STRICT
        RETURN bttextcmp(lower(a::text) COLLATE "C", lower(b::text) COLLATE "C");
"""
OPERATORS = {"lt": "<", "le": "<=", "eq": "=", "ge": ">=", "gt": ">"}
for name, sign in OPERATORS.items():
    CITEXT += f"""
        CREATE FUNCTION citext_{name}(a citext, b citext) RETURNS bool IMMUTABLE STRICT
            RETURN citext_cmp(a, b) {sign} 0;
        CREATE OPERATOR {sign} (LEFTARG = citext, RIGHTARG = citext, PROCEDURE = citext_{name});
    """
CITEXT += """
    CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree AS
        OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 citext_cmp(citext, citext);
"""


@pytest.fixture
def adopting(site: Site) -> Site:
    site.store([{**each, "namespace": ""} for each in rows(range(5))])
    site.edit("table: kb}", "table: kb, adopt: true}")
    return site


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("CREATE TABLE t (id text PRIMARY KEY, e vector(8)); CREATE VIEW kb AS TABLE t", "is a view or the like"),
        ("CREATE TABLE kb (id text NOT NULL, e vector(8), n int UNIQUE)", "no unique index on id"),
        ("CREATE TABLE kb (id text PRIMARY KEY, e real[])", "`e` of table kb is an array"),
        ("CREATE TABLE kb (id text PRIMARY KEY, e vector(8), p point)", "`p` of table kb is point"),
        (CITEXT + "CREATE TABLE kb (id citext PRIMARY KEY, e vector(8))", "one record could replace another"),
        ("CREATE TABLE kb (id char(9) PRIMARY KEY, e vector(8))", "one record could replace another"),
    ],
)
def test_what_cannot_be_written_to_is_refused_by_the_plan(adopting: Site, made: str, message: str) -> None:
    adopting.sql(made)
    adopting.edit("adopt: true}", "adopt: true, columns: {id: id, vector: e}}")
    for command in (["plan"], ["apply", "--auto-approve"]):
        ran = adopting.run(*command)
        assert ran.code == 3, ran.out + ran.err
        assert message in ran.err
    assert adopting.sql("SELECT count(*) FROM kb") == [(0,)]


def test_a_namespace_that_may_be_null_is_refused_by_the_plan(adopting: Site) -> None:
    adopting.sql("CREATE TABLE kb (id text PRIMARY KEY, ns text, e vector(8), UNIQUE (ns, id))")
    adopting.edit("adopt: true}", "adopt: true, columns: {id: id, vector: e, namespace: ns}}")
    ran = adopting.run("plan")
    assert ran.code == 3
    assert "would be doubled" in ran.err


def test_a_table_whose_key_ignores_case_is_a_source_and_its_ids_keep_their_case(site: Site) -> None:
    site.sql(CITEXT)
    site.sql("CREATE TABLE words (id citext PRIMARY KEY, e vector(2), n int)")
    ids = ["a", "B", "c", "D", "é", "Z z"]
    for n, each in enumerate(ids):
        site.sql("INSERT INTO words VALUES (%s::text, ARRAY[1, %s]::vector, %s)", each, n, n)
    site.edit("{type: snapshot, path: source}", '{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: words}')
    site.apply()
    assert sorted(site.sql("SELECT id, (metadata->>'n')::int FROM kb")) == sorted(zip(ids, range(6), strict=True))
    site.sql("UPDATE words SET id = 'A'::text WHERE id = 'a'::text::citext")
    assert site.run("apply", "--auto-approve").code == 7, "`a` is extra now"
    assert {id for (id,) in site.sql("SELECT id FROM kb")} == {*ids, "A"}


def test_keys_of_a_collation_that_ignores_case_are_told_apart_where_they_are_read(site: Site) -> None:
    if site.sql("SELECT count(*) < 3 FROM pg_collation WHERE collprovider = 'i'")[0][0]:
        pytest.skip("this server was built without ICU; VECMIG_TEST_POSTGRES_URL may name another one")
    site.sql("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    site.sql("CREATE TABLE words (id text COLLATE ci PRIMARY KEY, e vector(2), n int)")
    site.sql("INSERT INTO words VALUES ('a', '[1,2]', 1), ('B', '[1,3]', 2)")
    site.edit("{type: snapshot, path: source}", '{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: words}')
    site.apply()
    assert sorted(site.sql("SELECT id FROM kb")) == [("B",), ("a",)]
    site.edit("table: kb}", "table: words, adopt: true}")
    ran = site.run("plan")
    assert ran.code == 3
    assert "one record could replace another" in ran.err
