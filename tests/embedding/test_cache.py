"""What was paid for is kept, through kills and beside other processes, until it may go."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from vecmig.embedding.cache import Cache, Claim, Spend, key_of
from vecmig.errors import GuardError, StateError


def vectors(
    count: int, dimensions: int = 8, start: int = 0
) -> dict[bytes, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    return {
        key_of("model", "passage", f"text {n}"): np.random.default_rng(n).standard_normal(dimensions).astype(np.float32)
        for n in range(start, start + count)
    }


def bought(cache: Cache, found: dict[bytes, np.ndarray[tuple[int], np.dtype[np.float32]]], run: str = "r") -> None:
    keep(cache, claimed(cache, [*found], run), found, run)


def claimed(cache: Cache, keys: Sequence[bytes], run: str = "r", tokens: int = 1) -> Claim:
    """Claim what there is to buy, at USD 0.10 a text of so many tokens."""
    return cache.claim(run, "model", dict.fromkeys(keys, tokens), 0.1 / tokens)


def keep(
    cache: Cache, claim: Claim, found: dict[bytes, np.ndarray[tuple[int], np.dtype[np.float32]]], run: str = "r"
) -> None:
    assert claim.number is not None
    cache.keep(claim.number, run, "model", [*found], np.stack([*found.values()]), len(found), len(found) / 1000)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with closing(Cache(tmp_path / "cache" / "c.sqlite")) as opened:
        yield opened


def test_vectors_come_back_bit_for_bit(cache: Cache) -> None:
    found = vectors(1203)
    bought(cache, found)
    back = cache.find([*found, b"another"])
    assert back.keys() == found.keys()
    assert all(back[key].tobytes() == vector.tobytes() for key, vector in found.items())


def test_the_key_tells_model_kind_and_text_apart() -> None:
    keys = {key_of(*parts) for parts in (("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("a", "b", "c\0"))}
    assert len(keys) == 4


def test_the_ledger_sums_what_was_charged_and_what_is_under_way(cache: Cache) -> None:
    bought(cache, vectors(10))
    keys = [*vectors(6, start=10)]
    claimed(cache, keys[:5])
    refused = claimed(cache, keys[5:6], tokens=100)
    assert refused.number is not None
    assert cache.spent("r").tokens == 115
    cache.release(refused.number)
    found = cache.spent("r")
    assert (found.requests, found.tokens, round(found.usd, 6)) == (2, 15, 0.51)
    assert cache.spent("another") == Spend()


def test_what_was_under_way_at_a_kill_counts_as_charged(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with closing(Cache(path)) as killed:
        killed.begin("r")
        claimed(killed, [*vectors(7)])
    with closing(Cache(path)) as again:
        again.begin("r")
        spent = again.spent("r")
        assert (spent.requests, spent.tokens, round(spent.usd, 6)) == (1, 7, 0.7)
        again.begin("r")
        assert again.spent("r") == spent, "counted once"


def test_of_requests_that_are_priced_at_once_only_those_go_that_fit_the_budget_together(tmp_path: Path) -> None:
    """As those of two models of one migration are, or of two processes."""
    start = threading.Barrier(3)

    def goes(run: str, text: str) -> bool:
        with closing(Cache(tmp_path / "c.sqlite")) as cache:
            start.wait()
            try:
                return (
                    cache.claim(run, "model", {key_of("model", "passage", run + text): 10}, 0.06, max_usd=1.0).number
                    is not None
                )
            except GuardError:
                return False
            finally:
                start.wait()  # who is gone has no claims

    with ThreadPoolExecutor(3) as pool:
        for n in range(50):
            assert sum(pool.map(goes, [f"r{n}"] * 3, "abc")) == 1


def test_the_oldest_make_room_but_not_what_an_unfinished_migration_paid_for(tmp_path: Path) -> None:
    with closing(Cache(tmp_path / "c.sqlite", max_bytes=2_000_000)) as cache:
        cache.begin("unfinished")
        bought(cache, vectors(40, 2048), "unfinished")
        for start in range(100, 800, 50):
            bought(cache, vectors(50, 2048, start), "done")
        assert len(cache.find([*vectors(40)])) == 40
        assert cache.size().bytes < 2_200_000
        assert len(cache.find([*vectors(50, start=750)])) == 50, "the newest stay"
        cache.finish("unfinished")
        bought(cache, vectors(400, 2048, 900), "done")
        assert len(cache.find([*vectors(40)])) < 40


def test_what_was_used_lately_stays_though_it_was_bought_long_ago(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with closing(Cache(path, max_bytes=8_000_000)) as cache:
        bought(cache, vectors(600, 2048), "done")
        with closing(sqlite3.connect(path, isolation_level=None)) as clock:
            clock.execute("UPDATE entries SET used_at = used_at - 86400 - (rowid <= 40)")  # of these days, 40 are older
        used = [*vectors(40)]
        assert len(cache.find(used)) == 40
        bought(cache, vectors(300, 2048, 900), "done")
        assert cache.size().entries < 900, "there was no room for all"
        assert len(cache.find(used)) == 40


def test_what_a_run_could_not_be_denied_goes_when_it_is_finished(tmp_path: Path) -> None:
    with closing(Cache(tmp_path / "c.sqlite", max_bytes=2_000_000)) as cache:
        cache.begin("r")
        bought(cache, vectors(800, 2048), "r")
        assert (cache.size().entries, cache.size().kept) == (800, 800), "it is paid for, and needed"
        cache.finish("r")
        assert cache.size().bytes <= 2_000_000
        assert 0 < cache.size().entries < 800


def test_a_claim_is_one_requests_until_it_ends(tmp_path: Path) -> None:
    found = vectors(3)
    a, b, c = found
    with closing(Cache(tmp_path / "c.sqlite")) as one, closing(Cache(tmp_path / "c.sqlite")) as other:
        first = claimed(one, [a, b])
        assert (first.found, list(first.mine)) == ({}, [a, b])
        assert first.number is not None
        assert list(claimed(other, [b, c], "s").mine) == [c]
        assert claimed(other, [b, c], "s") == Claim(None, {}, ()), "all are being bought"
        one.release(first.number)
        second = claimed(other, [b], "s")
        assert list(second.mine) == [b], "it was not bought after all"
        keep(other, second, {b: found[b]}, "s")
        again = claimed(one, [a, b, c])
        assert (set(again.found), list(again.mine)) == ({b}, [a]), "bought meanwhile"
        assert again.number is not None
        one.charge(again.number)
        assert one.spent("r").requests == 1, "charged, with nothing to show for it"
        assert list(claimed(other, [a], "s").mine) == [a]


def test_clear_leaves_what_an_unfinished_migration_paid_for(cache: Cache) -> None:
    cache.begin("r")
    bought(cache, vectors(3), "r")
    bought(cache, vectors(4, start=10), "done")
    assert cache.clear() == 4
    assert (cache.size().entries, cache.size().kept, cache.unfinished()) == (3, 3, ["r"])
    assert cache.clear(all_=True) == 3


def test_several_threads_and_connections_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"

    def work(number: int) -> None:
        with closing(Cache(path)) as cache:
            for n in range(10):
                bought(cache, vectors(10, start=1000 * number + 10 * n), f"r{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(Cache(path)) as cache:
        assert cache.size().entries == 400
        assert [cache.spent(f"r{n}").tokens for n in range(4)] == [100] * 4


def test_processes_that_make_the_file_at_once_all_get_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vecmig.embedding.cache import Cache; print('ready', flush=True)\n"
    )
    code += "for line in sys.stdin: Cache(Path(line.strip())).close(); print('done', flush=True)"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [each.stdout.readline() for each in processes if each.stdout] == ["ready\n"] * 4
    said: list[str] = []
    for n in range(25):
        for each in processes:
            assert each.stdin
            each.stdin.write(f"{tmp_path}/{n}.sqlite\n")
            each.stdin.flush()
        said += [each.stdout.readline() for each in processes if each.stdout]
    for each in processes:
        each.communicate()
    assert said == ["done\n"] * 100


KILLED = """
import sys
from pathlib import Path
from contextlib import closing
from tests.embedding.test_cache import bought, vectors
from vecmig.embedding.cache import Cache
with closing(Cache(Path(sys.argv[1]))) as cache:
    n = int(sys.argv[2])
    while True:
        bought(cache, vectors(20, 256, n))
        n += 20
        print(n, flush=True)
"""


def test_kill_9_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    for attempt in range(3):
        first = end = 1_000_000 * attempt  # texts that no attempt before has bought
        command = [sys.executable, "-c", KILLED, str(path), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for _ in range(5 + attempt):
                end = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
        with closing(Cache(path)) as cache:
            assert len(cache.find([*vectors(end - first, 256, first)])) == end - first > 0


def test_a_damaged_file_and_one_of_a_newer_version_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    with pytest.raises(StateError, match=r"damaged\.sqlite cannot be used"):
        Cache(damaged)
    newer = tmp_path / "newer.sqlite"
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match="newer vecmig"):
        Cache(newer)
