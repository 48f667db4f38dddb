"""Embeddings on disk, so that none is paid for twice; and the ledger of what was paid.

One SQLite file for all runs and migrations beside a spec. In WAL mode a process that is killed loses what it had not
committed, and nothing else; several processes may use it at once.
"""

import hashlib
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from vecmig.embedding.alive import lives, sign_off, sign_up, signed_up
from vecmig.embedding.checkpoints import Checkpoints
from vecmig.errors import GuardError, StateError

FORMAT = 1
BUSY_S = 30.0  # another process writes at most one request's vectors at a time
FRESH_S = 3600  # a use is noted where the last one was longer ago, and room is short: it writes the entry anew
KEY_BYTES = 32
# The places of so many values that come as one, end to end. One by one they would take a step of SQLite each, and
# Python's threads their turn after each step: 80 ms for a request of 256 texts, where others compute.
_PLACES = (
    "WITH RECURSIVE places(n) AS (SELECT 0 WHERE :count > 0 UNION ALL SELECT n + 1 FROM places WHERE n + 1 < :count)"
)
_KEY = f"substr(:keys, n * {KEY_BYTES} + 1, {KEY_BYTES})"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, vector BLOB NOT NULL, tokens INTEGER NOT NULL, used_at INTEGER NOT NULL, run TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entries_used ON entries (used_at);
CREATE TABLE IF NOT EXISTS spend (
    run TEXT NOT NULL, model TEXT NOT NULL, requests INTEGER NOT NULL, tokens INTEGER NOT NULL, usd REAL NOT NULL,
    PRIMARY KEY (run, model));
CREATE TABLE IF NOT EXISTS under_way (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, model TEXT NOT NULL, tokens INTEGER NOT NULL, usd REAL NOT NULL);
CREATE TABLE IF NOT EXISTS claims (key BLOB PRIMARY KEY, request INTEGER NOT NULL, owner TEXT NOT NULL)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_request ON claims (request);
CREATE TABLE IF NOT EXISTS unfinished (run TEXT PRIMARY KEY, since INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Spend:
    """What a run was charged. What was under way when a process was killed counts as charged: nobody knows better."""

    requests: int = 0
    tokens: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Size:
    entries: int
    bytes: int  # of the file
    kept: int  # entries that unfinished migrations paid for


@dataclass(frozen=True, slots=True)
class Claim:
    """What of a request's texts is to be bought."""

    number: int | None  # of the request, for `keep`, `release` or `charge`; None: there is nothing to buy
    found: Mapping[bytes, NDArray[np.float32]]  # vectors (d,) that are there by now
    mine: Sequence[bytes]  # keys that are for this request to buy


def key_of(identity: str, kind: str, text: str) -> bytes:
    """Return the name of an embedding: a hash of the model, the kind of text and the text."""
    parts = (identity, kind, text)
    return hashlib.sha256(b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts)).digest()


class Cache:
    """For several threads. `run` names whoever pays: one migration of one state."""

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        """Open or create it. Raises StateError where the file is something else, or damaged."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._max_bytes, self._lock = path, max_bytes, RLock()
        self._owner: tuple[str, FileLock] | None = None  # once it buys
        self._connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False, isolation_level=None)
        self._checkpoints = Checkpoints(path)
        with self._told():
            self._prepare(time.monotonic() + BUSY_S)

    def close(self) -> None:
        with self._lock:
            if self._owner is not None:
                with self._told():
                    self._connection.execute("DELETE FROM claims WHERE owner = ?", (self._owner[0],))
                sign_off(self._path, *self._owner)
                self._owner = None
            self._checkpoints.close()
            self._connection.close()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the vectors (d,) that are there. They are in use: others make room before they do."""
        now = int(time.time())
        with self._told():
            rows = self._rows("SELECT key, vector, used_at FROM entries WHERE key IN", list(dict.fromkeys(keys)))
            old = [key for key, _, used_at in rows if used_at < now - FRESH_S]
            if old and self._max_bytes is not None and self._bytes() > self._max_bytes // 2:
                self._rows(f"UPDATE entries SET used_at = {now} WHERE key IN", old)
            return {key: np.frombuffer(vector, "<f4") for key, vector, _ in rows}

    def claim(
        self,
        run: str,
        model: str,
        tokens: Mapping[bytes, int],
        usd_per_token: float = 0.0,
        max_usd: float | None = None,
    ) -> Claim:
        """Take for one request the keys that nobody else has, and note what it may cost; `tokens`: of each key's text.

        All others are there by now, or are being bought by another process or request: they will be there, or can be
        claimed once it failed or was killed. A claim lasts until `keep`, `release` or `charge`. All of it is one step, so
        that of several at once, of whatever model, only those go that fit into the budget together: raises GuardError for
        one with which the run would be over `max_usd`.
        """
        with self._told():
            owner = self._signed_up()
            with self._transaction():
                found = self.find(list(tokens))
                left = [key for key in tokens if key not in found]
                taken = dict(self._rows("SELECT key, owner FROM claims WHERE key IN", left))
                for other in {*taken.values()} - {owner}:
                    if not lives(self._path, other):
                        self._connection.execute("DELETE FROM claims WHERE owner = ?", (other,))
                        taken = {key: each for key, each in taken.items() if each != other}
                mine = [key for key in left if key not in taken]
                if not mine:
                    return Claim(None, found, ())
                asked = sum(tokens[key] for key in mine)
                usd = asked * usd_per_token
                if max_usd is not None and (spent := self.spent(run).usd) + usd > max_usd:
                    raise GuardError(
                        f"embedding stops here: USD {spent:,.2f} of limits.max_usd ({max_usd:,.2f}) are spent, and the next"
                        f" request may cost USD {usd:,.4f}. What was embedded is kept: raise the limit, and run again"
                    )
                sql = "INSERT INTO under_way (run, model, tokens, usd) VALUES (?, ?, ?, ?)"
                number = self._connection.execute(sql, (run, model, asked, usd)).lastrowid
                self._connection.execute(
                    f"{_PLACES} INSERT INTO claims SELECT {_KEY}, :number, :owner FROM places",
                    _joined(mine) | {"number": number, "owner": owner},
                )
        return Claim(number, found, mine)

    def release(self, number: int) -> None:
        """Forget a request that was not charged."""
        with self._told(), self._transaction():
            self._end("id = ?", number)

    def charge(self, number: int) -> None:
        """Count a request as charged though it gave nothing."""
        with self._told(), self._transaction():
            self._charge("id = ?", number)

    def keep(
        self,
        number: int,
        run: str,
        model: str,
        keys: Sequence[bytes],
        vectors: NDArray[np.float32],
        tokens: int,
        usd: float,
    ) -> None:
        """Store what a request gave, (n, d) for n keys, and its bill, in one step; then a kill changes nothing of it."""
        data = np.ascontiguousarray(vectors, "<f4")
        row = {"size": data.nbytes // max(1, len(keys)), "tokens": tokens // max(1, len(keys)), "now": int(time.time())}
        with self._told():
            with self._transaction():
                self._connection.execute(
                    f"{_PLACES} INSERT OR REPLACE INTO entries"
                    f" SELECT {_KEY}, substr(:vectors, n * :size + 1, :size), :tokens, :now, :run FROM places",
                    _joined(keys) | row | {"vectors": data, "run": run},
                )
                self._end("id = ?", number)
                self._connection.execute(
                    "INSERT INTO spend VALUES (?, ?, 1, ?, ?) ON CONFLICT (run, model) DO UPDATE SET requests = requests + 1,"
                    " tokens = tokens + excluded.tokens, usd = usd + excluded.usd",
                    (run, model, tokens, usd),
                )
                self._evict()
            self._checkpoints.wrote(data.nbytes)

    def spent(self, run: str) -> Spend:
        """Return what a run was charged, all its models together."""
        with self._told():
            sums = "coalesce(sum(tokens), 0), coalesce(sum(usd), 0)"
            done = self._connection.execute(
                f"SELECT coalesce(sum(requests), 0), {sums} FROM spend WHERE run = ?", (run,)
            ).fetchone()
            open_ = self._connection.execute(f"SELECT count(*), {sums} FROM under_way WHERE run = ?", (run,)).fetchone()
        return Spend(*(a + b for a, b in zip(done, open_, strict=True)))

    def begin(self, run: str) -> None:
        """Keep what this run pays for until `finish`. For a run that holds the lock of its state."""
        with self._told(), self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO unfinished VALUES (?, ?)", (run, int(time.time())))
            self._charge("run = ?", run)  # what an earlier process left under way was sent, or not

    def finish(self, run: str) -> None:
        """Let go of what this run paid for: it may be evicted from now on, and is where there is no room for it."""
        with self._told(), self._transaction():
            self._connection.execute("DELETE FROM unfinished WHERE run = ?", (run,))
            self._evict()

    def unfinished(self) -> list[str]:
        with self._told():
            return [run for (run,) in self._connection.execute("SELECT run FROM unfinished ORDER BY run")]

    def size(self) -> Size:
        with self._told():
            count = self._connection.execute("SELECT count(*) FROM entries").fetchone()[0]
            kept = "SELECT count(*) FROM entries WHERE run IN (SELECT run FROM unfinished)"
            return Size(count, self._bytes(), self._connection.execute(kept).fetchone()[0])

    def clear(self, all_: bool = False) -> int:
        """Remove the entries, but those that unfinished migrations paid for, or `all_`; return how many."""
        kept = "" if all_ else " WHERE run NOT IN (SELECT run FROM unfinished)"
        with self._told():
            removed = self._connection.execute(f"DELETE FROM entries{kept}").rowcount
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def _prepare(self, until: float) -> None:
        """Make the tables. Where several processes make a new file at once, SQLite does not wait for its turn."""
        while True:
            try:
                version = self._connection.execute("PRAGMA user_version").fetchone()[0]
                if version > FORMAT:
                    raise StateError(f"{self._path} was written by a newer vecmig; use that one, or remove the file")
                self._connection.execute("PRAGMA page_size = 65536")  # of a new file: ten vectors of 6 kB fill one
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.executescript(_SCHEMA)
                if version != FORMAT:
                    self._connection.execute(f"PRAGMA user_version = {FORMAT}")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def _charge(self, which: str, value: object) -> None:
        """Count requests that are under way as charged."""
        grouped = f"SELECT run, model, count(*), sum(tokens), sum(usd) FROM under_way WHERE {which} GROUP BY run, model"
        for row in self._connection.execute(grouped, (value,)).fetchall():
            self._connection.execute(
                "INSERT INTO spend VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, model) DO UPDATE SET"
                " requests = requests + excluded.requests, tokens = tokens + excluded.tokens, usd = usd + excluded.usd",
                row,
            )
        self._end(which, value)

    def _end(self, which: str, value: object) -> None:
        """Forget requests that are under way, and their claims."""
        requests = f"SELECT id FROM under_way WHERE {which}"
        self._connection.execute(f"DELETE FROM claims WHERE request IN ({requests})", (value,))
        self._connection.execute(f"DELETE FROM under_way WHERE {which}", (value,))

    def _signed_up(self) -> str:
        """Return the name of this one among those that buy. The first time, clean up after those that were killed."""
        if self._owner is None:
            for other in [*signed_up(self._path)]:
                if not lives(self._path, other):
                    self._connection.execute("DELETE FROM claims WHERE owner = ?", (other,))
            self._owner = sign_up(self._path)
        return self._owner[0]

    def _rows(self, sql: str, keys: Collection[bytes]) -> list[tuple[Any, ...]]:
        return self._connection.execute(f"{sql} ({_PLACES} SELECT {_KEY} FROM places)", _joined(keys)).fetchall()

    def _evict(self) -> None:
        """Make room: the tenth that was used longest ago goes, again and again, but what unfinished migrations paid for."""
        while self._max_bytes is not None and self._bytes() > self._max_bytes:
            tenth = max(1, self._connection.execute("SELECT count(*) FROM entries").fetchone()[0] // 10)
            removed = self._connection.execute(
                "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE run NOT IN"
                " (SELECT run FROM unfinished) ORDER BY used_at, rowid LIMIT ?)",
                (tenth,),
            ).rowcount
            if not removed:
                return

    def _bytes(self) -> int:
        """Return the bytes of all pages that hold something."""
        read = [self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in
                ("page_count", "freelist_count", "page_size")]  # fmt: skip
        return int((read[0] - read[1]) * read[2])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                raise StateError(
                    f"the cache of embeddings {self._path} cannot be used: {error}. Look at the disk; where the file is"
                    " damaged, remove it: what it held is embedded again"
                ) from error


def _joined(keys: Collection[bytes]) -> dict[str, object]:
    """Return the parameters of _PLACES and _KEY."""
    return {"count": len(keys), "keys": b"".join(keys)}
