"""What was built beside takes the place of what serves, and gives it back."""

import json
import threading

import psycopg
import pytest

from tests.command import Ran
from tests.doubles.openai import Double
from tests.end_to_end.conftest import Site
from tests.end_to_end.reembed import NEW, OLD, documents, prepared, vectors_of
from tests.openai_server import openai_double as openai_double
from vecmig.connectors.pgvector.connector import PgvectorConnector
from vecmig.errors import ConnectorError
from vecmig.migration import Endpoint
from vecmig.workflow import switch as switching

COPIED = 'embedding: {model: openai/text-embedding-ada-002, text: "{{ title }}\\n\\n{{ text }}"}'
RETIRED = 'embedding: {model: openai/text-embedding-3-small, dimensions: 64, text: "{{ title }}\\n\\n{{ text }}"}'


@pytest.fixture
def serving(site: Site, openai_double: Double, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A table `kb` that vecmig filled with the vectors of the old model, and a spec that retires it."""
    prepared(site, openai_double, monkeypatch, count=120)
    site.edit(RETIRED, COPIED)
    site.apply()
    site.edit(COPIED, RETIRED)
    openai_double.ledger.charged.clear()
    return site


def _line(ran: Ran) -> str:
    return " ".join(ran.out.split())


def dimensions(site: Site, table: str) -> int:
    ((found,),) = site.sql(
        "select atttypmod from pg_attribute where attrelid = %s::regclass and attname = 'embedding'", table
    )
    return int(found)


def broken_off(site: Site, command: str) -> None:
    """Switch, and be interrupted before the state says so."""

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(switching, "_smoke", interrupted)
        ran = site.run(command)
    assert ran.code == 8
    assert "stopped; it is safe to run the same command again" in ran.err


def test_the_new_model_is_built_beside_cut_over_and_rolled_back(serving: Site) -> None:
    plan = serving.run("plan")
    assert "built beside pgvector kb, which serves until `cutover`" in " ".join(plan.out.split()), plan.out
    serving.apply()
    assert (dimensions(serving, "kb"), dimensions(serving, "kb__v2")) == (1536, 64)
    again = serving.run("plan")
    assert again.out.startswith("No changes."), again.out
    assert "vecmig cutover" in serving.run("plan", "-v").out

    cut = serving.run("cutover")
    assert cut.code == 0, cut.err
    assert "t serves pgvector kb; what served before is pgvector kb__v1" in cut.out
    assert (dimensions(serving, "kb"), dimensions(serving, "kb__v1")) == (64, 1536)
    serving.settled()
    assert serving.run("verify").code == 0
    assert serving.run("cutover").out.startswith("No changes.")

    back = serving.run("rollback")
    assert back.code == 0, back.err
    assert (dimensions(serving, "kb"), dimensions(serving, "kb__v2")) == (1536, 64)
    assert serving.run("plan").out.startswith("No changes."), "the build is still there"
    assert serving.run("cutover").code == 0
    assert dimensions(serving, "kb") == 64


def test_a_build_that_was_not_verified_or_written_since_does_not_serve(serving: Site) -> None:
    serving.apply()
    serving.sql("update kb__v2 set metadata = '{}' where id = 'd1'")
    refused = serving.run("cutover")
    assert refused.code == 6
    assert "it was written after it was verified" in refused.err
    assert serving.run("verify").code == 7
    refused = serving.run("cutover")
    assert refused.code == 6
    assert "its verification failed" in refused.err
    assert dimensions(serving, "kb") == 1536
    serving.apply()
    assert serving.run("cutover").code == 0


def test_a_build_whose_records_were_only_counted_does_not_serve(serving: Site) -> None:
    proof = "verification: {search: {queries: {sample: 5}, top_k: 3}}"
    serving.edit(proof, "verification: {records: none, search: null}")
    assert "! cutover: the verification that the spec asks for only counts" in _line(serving.run("plan"))
    serving.apply()
    refused = serving.run("cutover")
    assert refused.code == 6
    assert "m: its verification only counted the records" in refused.err
    assert dimensions(serving, "kb") == 1536
    serving.edit("records: none", "records: {sample: 10}")
    assert serving.run("verify").code == 0
    assert serving.run("cutover").code == 0


def test_an_apply_that_was_left_unfinished_does_not_serve(serving: Site, openai_double: Double) -> None:
    openai_double.poison.add("117,")
    assert serving.run("apply", "--auto-approve").code == 1
    refused = serving.run("cutover")
    assert refused.code == 6
    assert "an apply was left unfinished" in refused.err
    openai_double.poison.clear()
    serving.apply()
    assert serving.run("cutover").code == 0
    assert not openai_double.ledger.twice


def test_rollback_says_what_was_written_since(serving: Site) -> None:
    serving.apply()
    assert serving.run("cutover").code == 0
    serving.sql("insert into kb (id, namespace, embedding) select 'new', namespace, embedding from kb limit 1")
    back = serving.run("rollback")
    assert "it was written since the switch" in back.out
    assert "121 records" in back.out


def test_rollback_to_a_table_that_is_not_there_any_more_changes_nothing(serving: Site) -> None:
    serving.apply()
    serving.run("cutover")
    serving.sql("drop table kb__v1")
    failed = serving.run("rollback")
    assert failed.code == 1
    assert "t: pgvector kb__v1, which served before, is not there any more" in failed.err
    assert dimensions(serving, "kb") == 64
    serving.settled()


def test_only_what_is_superseded_is_dropped_by_name_and_when_that_is_allowed(serving: Site) -> None:
    serving.apply()
    assert serving.run("drop").out == "Nothing is superseded.\n"
    assert serving.run("drop", "kb", "--allow-destroy").code == 3
    serving.run("cutover")
    assert serving.run("drop").out.startswith("Superseded: kb__v1\n")
    assert serving.run("drop", "kb__v1").code == 6
    ((mark,),) = serving.sql("select obj_description('kb__v1'::regclass)")
    serving.sql("comment on table kb__v1 is null")
    refused = serving.run("drop", "kb__v1", "--allow-destroy")
    assert refused.code == 5
    assert "table kb__v1 was not made by vecmig, so it stays" in refused.err
    assert serving.sql("select count(*) from kb__v1") == [(120,)]
    serving.sql(f"comment on table kb__v1 is '{mark}'")
    assert serving.run("drop", "kb__v1", "--allow-destroy").out == "Dropped pgvector kb__v1\n"
    assert serving.sql("select to_regclass('kb__v1')") == [(None,)]
    assert serving.run("rollback").out.startswith("No changes.")
    assert serving.run("drop").out == "Nothing is superseded.\n"
    assert serving.run("drop", "kb__v1").code == 0, "it is gone already"
    assert serving.run("drop", "kb__v3", "--allow-destroy").code == 3, "it never was"


def test_what_was_kept_before_the_one_that_is_kept_now_is_superseded_and_not_forgotten(
    serving: Site, openai_double: Double
) -> None:
    serving.apply()
    serving.run("cutover")
    serving.edit("dimensions: 64", "dimensions: 32")
    assert "why dimensions 64 -> 32: built beside pgvector kb, which serves" in _line(serving.run("plan"))
    serving.apply()
    assert serving.run("cutover").code == 0
    assert serving.run("drop").out.startswith("Superseded: kb__v1, kb__v2\n")
    assert serving.run("drop", "kb__v1", "--allow-destroy").code == 0
    assert serving.run("rollback").code == 0
    assert dimensions(serving, "kb") == 64
    assert serving.run("drop").out == "Nothing is superseded.\n", "what is built beside is not"


def test_while_a_switch_is_broken_off_nothing_is_planned_written_or_verified(serving: Site) -> None:
    """The state tells then what serves as it was before."""
    serving.apply()
    for command in ("cutover", "rollback"):
        broken_off(serving, command)
        for other in (("plan",), ("apply", "--auto-approve"), ("verify",)):
            refused = serving.run(*other)
            assert refused.code == 6, refused.out + refused.err
            assert f"t: a {command} was broken off: run `vecmig {command}` again" in refused.err
        assert serving.run(command).out.startswith("Done before: t serves pgvector kb;")
        verified = serving.run("verify")
        assert verified.code == 0
        assert f"-> pgvector {'kb' if command == 'cutover' else 'kb__v2'}\n" in verified.out
        serving.settled()


def test_a_build_that_a_rollback_passes_over_is_superseded_and_not_forgotten(serving: Site) -> None:
    serving.apply()
    serving.run("cutover")
    serving.edit("dimensions: 64", "dimensions: 32")
    serving.apply()
    broken_off(serving, "rollback")
    refused = serving.run("cutover")
    assert refused.code == 6
    assert "a rollback was broken off: run `vecmig rollback` again" in refused.err
    assert serving.run("rollback").code == 0
    assert dimensions(serving, "kb") == 1536
    assert serving.run("drop").out.startswith("Superseded: kb__v3\n")


def test_a_write_right_after_the_switch_is_told_by_rollback(serving: Site) -> None:
    """The application writes as soon as the new table serves, while vecmig still searches it."""
    serving.apply()
    smoke = switching._smoke

    def searched(endpoint: Endpoint) -> int:
        serving.sql("delete from kb where id = 'd1'")
        return smoke(endpoint)

    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(switching, "_smoke", searched)
        assert serving.run("cutover").code == 0
    assert "it was written since the switch" in serving.run("rollback").out


def test_a_table_that_does_not_answer_once_it_serves_gives_the_name_back(serving: Site) -> None:
    serving.apply()

    def fails(*_: object) -> int:
        raise ConnectorError("the search finds nothing")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(PgvectorConnector, "search", fails)
        failed = serving.run("cutover")
    assert failed.code == 1
    assert "what served before serves again: the search finds nothing" in failed.err
    assert (dimensions(serving, "kb"), dimensions(serving, "kb__v2")) == (1536, 64)
    assert serving.run("cutover").code == 0
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(PgvectorConnector, "search", fails)
        assert serving.run("rollback").code == 1
    assert (dimensions(serving, "kb"), dimensions(serving, "kb__v1")) == (64, 1536)
    assert serving.run("rollback").code == 0
    assert dimensions(serving, "kb") == 1536


def test_a_view_on_what_serves_is_named_and_nothing_is_switched(serving: Site) -> None:
    serving.sql("create view seen as select id from kb")
    assert "cutover: table kb cannot be switched while something depends on it: view seen" in _line(serving.run("plan"))
    serving.apply()
    refused = serving.run("cutover")
    assert refused.code == 3
    assert "view seen" in refused.err
    assert dimensions(serving, "kb") == 1536
    serving.sql("drop view seen")
    assert serving.run("cutover").code == 0


def test_another_model_of_the_same_dimensions_or_another_metric_is_built_beside(serving: Site) -> None:
    beside = ": built beside pgvector kb, which serves until `cutover`"
    serving.edit("dimensions: 64", "dimensions: 1536")
    assert f"why model openai/{OLD} -> openai/{NEW}{beside}" in _line(serving.run("plan"))
    serving.edit(RETIRED.replace("64", "1536"), COPIED)
    serving.edit("verification:", "index: {metric: l2}\nverification:")
    assert f"why metric cosine -> l2{beside}" in _line(serving.run("plan"))
    assert serving.run("apply", "--auto-approve").code == 7, "results by two metrics cannot be compared"
    refused = serving.run("cutover")
    assert refused.code == 6
    assert "m: its verification could not decide" in refused.err
    serving.edit(
        "search: {queries: {sample: 5}, top_k: 3}", "search: {queries: {sample: 5}, top_k: 3}, thresholds: {overlap: 0}"
    )
    assert serving.run("verify").code == 0
    assert serving.run("cutover").code == 0
    serving.settled()


def test_the_source_goes_on_and_the_build_catches_up_before_the_switch(serving: Site, openai_double: Double) -> None:
    serving.apply()
    more = documents(openai_double, range(120, 130), model=OLD)
    serving.store(more, vectors_of(more))
    assert serving.apply()["written"] == 10
    assert serving.run("cutover").code == 0
    assert serving.sql("select count(*) from kb") == [(130,)]
    assert len(openai_double.ledger.charged) == 10


def test_a_reader_of_the_serving_name_never_fails_through_cutover_and_rollback(serving: Site) -> None:
    serving.apply()
    stop, failed, searches = threading.Event(), [], []

    def search() -> None:
        with psycopg.connect(serving.dsn, autocommit=True, prepare_threshold=None) as connection:
            while not stop.is_set():
                try:
                    query = "select id from kb order by embedding <=> (select embedding from kb limit 1) limit 3"
                    searches.append(len(connection.execute(query).fetchall()))
                except psycopg.Error as error:
                    failed.append(error)

    reader = threading.Thread(target=search)
    reader.start()
    for _ in range(3):
        assert serving.run("cutover").code == 0
        assert serving.run("rollback").code == 0
    stop.set()
    reader.join()
    assert not failed
    assert searches
    assert set(searches) == {3}


def test_the_state_as_json_tells_the_line_up(serving: Site) -> None:
    serving.apply()
    cut = json.loads(serving.run("cutover", "--json").out)
    assert cut["switched"][0]["searches"] > 0
    shown = json.loads(serving.run("status", "--json").out)
    assert shown["lineups"]["t"]["serving"] == 2
    assert NEW in json.dumps(shown["applied"]["m"]["decisions"])
