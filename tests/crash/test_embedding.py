"""A re-embedding that is killed goes on without paying twice; the provider's own ledger is the witness.

After each kill what the provider charged is held against what the cache kept: only the requests that were under way may
be missing there.
"""

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.crash.scenario import Scenario, wait_until, write_source
from tests.doubles.openai.ledger import Ledger
from tests.openai_server import openai_process
from vecmig.embedders.openai.embedder import AT_ONCE

TEXTS, KILLS = 5_000, 100
ITEMS = 10  # texts of a request: a re-embedding takes so many requests that each kill hits another
PATIENCE_S = 300.0  # a machine that others use, too, may stand still for a minute
SLOW_S = 0.03  # of an answer
QUIET_S = 0.5  # after which nothing more is charged that was under way, on a machine that does much else, too
SPEC = """\
version: 1
name: crash
providers:
  openai: {{type: openai, base_url: "{url}", api_keys: ["{{{{ env.CRASH_KEY }}}}"], max_items: {items}, usd_per_million_tokens: {{fast: 1}}}}
sources: {{s: {{type: snapshot, path: source, embedding: {{model: openai/before}}}}}}
targets: {{t: {{type: pgvector, dsn: "{{{{ env.CRASH_DSN }}}}", table: kb}}}}
embedding: {{model: openai/text-embedding-3-small, dimensions: 16, text: "text {{{{ n }}}}"}}
verification: {{search: null}}
migrations: [{{name: m, source: s, target: t}}]
limits: {{max_usd: 1}}
execution: {{workers: 2}}
"""


@contextmanager
def retiring(directory: Path, dsn: str, texts: int, slow_s: float = SLOW_S) -> Iterator[tuple[Scenario, Path]]:
    """Yield a migration whose model is retired, and where the provider's ledger stands."""
    ledger = directory / "ledger"
    with openai_process("--ledger", str(ledger), "--slow", str(slow_s)) as url:
        scenario = Scenario(directory, dsn)
        text = SPEC.format(url=url, items=ITEMS).replace("{fast: 1}", "{text-embedding-3-small: 1}")
        (directory / "vecmig.yaml").write_text(text)
        write_source(scenario.source, range(texts))
        yield scenario, ledger


def finished(scenario: Scenario) -> None:
    scenario.lock.unlink(missing_ok=True)
    assert scenario.apply() == 0, scenario.complaint


def paid(ledger: Path) -> int:
    return sum(Ledger.read(ledger).charged.values())


def kept(scenario: Scenario) -> int:
    """Return how many embeddings the cache holds."""
    path = scenario.directory / ".vecmig" / "embeddings.sqlite"
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        ((entries,),) = connection.execute("SELECT count(*) FROM entries").fetchall()
    return int(entries)


def settled(ledger: Path) -> int:
    """Return what was charged once the provider answered all that was sent before a kill."""
    size = -1
    while (now := size_of(ledger)) != size:
        size = now
        time.sleep(QUIET_S)
    return paid(ledger)


def size_of(ledger: Path) -> int:
    return ledger.stat().st_size if ledger.exists() else 0


def run(directory: Path, dsn: str, texts: int, kills: int, dice: random.Random) -> tuple[int, int, int]:
    """Kill one migration again and again; return kills at work, texts paid for more than once, and requests that fit."""
    hits = lost = 0
    with retiring(directory, dsn, texts) as (scenario, ledger):
        while hits < kills:
            scenario.lock.unlink(missing_ok=True)
            process = scenario.start_apply()
            wait_until(lambda: scenario.lock.exists() or process.poll() is not None, PATIENCE_S)  # noqa: B023  # used up here
            before = size_of(ledger)
            wait_until(lambda: size_of(ledger) > before or process.poll() is not None, PATIENCE_S)  # noqa: B023
            time.sleep(dice.uniform(0, 0.15))
            if process.poll() is not None:
                assert process.poll() == 0, scenario.complaint
                break
            process.kill()
            process.wait()
            hits += 1
            missing = settled(ledger) - kept(scenario)
            assert missing - lost <= ITEMS * AT_ONCE, "more is lost than was in flight at this kill"
            lost = missing
        finished(scenario)
        book = Ledger.read(ledger)
        with psycopg.connect(dsn) as connection:
            rows = connection.execute("select count(*), count(embedding) from kb").fetchone()
        assert rows == (texts, texts)
        assert len(book.charged) == texts
        again = sum(times - 1 for times in book.twice.values())
        assert again == lost, "what was in flight is paid for once more, and nothing else"
        spent = scenario.run("vecmig", "verify")
        assert spent == 0, scenario.complaint
        assert sum(Ledger.read(ledger).charged.values()) == sum(book.charged.values()), "verification pays for nothing"
    return hits, again, texts


def test_a_killed_re_embedding_goes_on_without_paying_twice(tmp_path: Path, database: str) -> None:
    hits, again, texts = run(tmp_path, database, 2_000, 4, random.Random(1))
    assert hits
    assert again < texts, "what was answered before a kill is never asked for again"


@pytest.mark.soak
def test_a_hundred_kills_during_a_re_embedding_pay_for_no_text_twice_but_those_in_flight(
    tmp_path: Path, database: str
) -> None:
    dice, kills, again, texts, number = random.Random(2), 0, 0, 0, 0
    while kills < KILLS:
        directory = tmp_path / str(number)
        directory.mkdir()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS kb")
        hits, more, some = run(directory, database, TEXTS, KILLS - kills, dice)
        kills, again, texts, number = kills + hits, again + more, texts + some, number + 1
        shutil.rmtree(directory)
    print(f"\n{kills} kills, {number} migrations of {TEXTS:,} texts: {again:,} texts were paid for a second time")
