"""Texts become requests, requests become vectors: full ones, several at once, each text once, within the budget."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition, Event, RLock

import numpy as np

from vecmig.embedding.cache import Cache
from vecmig.embedding.coming import Coming, Vector
from vecmig.errors import ConnectorError, LostAnswer, RefusedText, Stopped, TransientError
from vecmig.protocols import Embedder, TextKind
from vecmig.retry import retrying

log = logging.getLogger(__name__)
OTHERS_S = 0.1  # between two looks at what another process is buying
PATIENCE_S = 300.0  # a provider's rate limits are those of a minute, and its bad quarters of an hour are known


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays, and how much at most."""

    run: str  # one migration of one state
    usd_per_million_tokens: float | None  # None: not known
    max_usd: float | None = None  # over all runs of the migration


@dataclass(frozen=True, slots=True)
class _Asked:
    key: bytes
    text: str
    tokens: int
    result: Coming


class Buyer:
    """Of one model, for several threads. What is bought is in the cache before anybody gets it."""

    def __init__(
        self, embedder: Embedder, model: str, cache: Cache, payer: Payer, stop: Event, kind: TextKind = "passage"
    ) -> None:
        self._embedder, self._model, self._cache, self._payer = embedder, model, cache, payer
        self._stop, self._kind, self._lock = stop, kind, RLock()
        self._closed = False
        self._changed = Condition()  # of all that is coming
        self._waiting: list[_Asked] = []  # for a request that is not full yet
        self._under_way: dict[bytes, Coming] = {}
        self._pool = ThreadPoolExecutor(max(1, embedder.limits.at_once), thread_name_prefix="embed")

    def ask(self, texts: Mapping[bytes, str]) -> dict[bytes, Vector | Coming]:
        """Return for each text, by its key in the cache, its vector, or the one that is to come.

        A request is sent once it is full; `flush` sends what is left.
        """
        # under one lock: between a look into the cache and a request, another thread could pay for the same text
        with self._lock:
            found: dict[bytes, Vector | Coming] = {key: self._under_way[key] for key in texts if key in self._under_way}
            found.update(self._cache.find([key for key in texts if key not in found]))
            missing = [key for key in texts if key not in found]
            counts = self._embedder.count_tokens([texts[key] for key in missing]) if missing else []
            for key, tokens in zip(missing, counts, strict=True):
                asked = _Asked(key, texts[key], tokens, Coming(self._changed))
                found[key] = self._under_way[key] = asked.result
                self._waiting.append(asked)
            while (full := self._full()) is not None:
                self._submit(full)
        return found

    def flush(self, wanted: Sequence[object] | None = None) -> None:
        """Send what waits, though it does not fill a request; with `wanted`, only if one of these is among it."""
        with self._lock:
            if wanted is not None and not {id(asked.result) for asked in self._waiting} & set(map(id, wanted)):
                return
            while self._waiting:
                self._submit(self._full() or len(self._waiting))

    @property
    def room(self) -> int:
        """How many texts may be asked for ahead, so that all requests are under way and the next ones are full."""
        limits = self._embedder.limits
        return 2 * limits.max_items * max(1, limits.at_once)

    def close(self) -> None:
        """Wait for what is under way; what waits is not sent, nor are the halves of what is refused."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for coming in self._under_way.values():  # what was never sent: nobody waits for ever
            if not coming.done():
                coming.set_exception(CancelledError())

    def _full(self) -> int | None:
        """Return how many of the texts that wait fill a request; None where they do not."""
        limits, tokens = self._embedder.limits, 0
        for n, asked in enumerate(self._waiting):
            tokens += asked.tokens
            if n and limits.max_request_tokens is not None and tokens > limits.max_request_tokens:
                return n
            if n + 1 == limits.max_items:
                return n + 1
        return None

    def _submit(self, count: int) -> None:
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._pool.submit(self._answer, batch)

    def _answer(self, batch: Sequence[_Asked]) -> None:
        try:
            self._buy(batch)
        except BaseException as error:
            for asked in batch:
                if not asked.result.done():
                    asked.result.set_exception(error)
        finally:
            with self._lock:
                for asked in batch:
                    self._under_way.pop(asked.key, None)

    def _buy(self, batch: Sequence[_Asked]) -> None:
        while batch:
            if self._stop.is_set() or self._closed:
                raise Stopped("stopped at your wish; what was embedded is kept. Run the same command again to go on")
            try:
                vectors, refused = retrying(self._stop, PATIENCE_S)(self._attempt, batch)
            except RefusedText:
                if len(batch) == 1:
                    raise
                half = len(batch) // 2  # nothing says which text it is
                for part in (batch[:half], batch[half:]):
                    try:
                        self._buy(part)
                    except RefusedText as error:
                        part[0].result.set_exception(error)  # only one text is refused as such
                return
            except ConnectorError as error:
                if self._payer.usd_per_million_tokens == 0:
                    raise
                final = TransientError if isinstance(error, TransientError) else ConnectorError
                raise final(f"{error} (spent so far: {self._spent_text()})") from error
            with self._changed:  # who waits for some of them wakes up once
                for asked in batch:
                    if asked.key in vectors:
                        asked.result.set_result(vectors[asked.key])
                    elif asked.key in refused:
                        asked.result.set_exception(RefusedText(f"{self._model} makes of it what is no number"))
            # others are bought by another process: they will be there, or this one buys them once that one is gone
            if batch := [asked for asked in batch if not asked.result.done()]:
                self._stop.wait(OTHERS_S)

    def _attempt(self, batch: Sequence[_Asked]) -> tuple[dict[bytes, Vector], set[bytes]]:
        """Send one request for what nobody else is buying, and keep what came.

        Return the vectors that are there then, and the keys of texts of which the model makes none.
        """
        payer = self._payer
        tokens = {asked.key: asked.tokens for asked in batch}
        claim = self._cache.claim(payer.run, self._model, tokens, self._usd(1), payer.max_usd)
        if claim.number is None:
            return dict(claim.found), set()
        mine = set(claim.mine)
        try:
            got = self._embedder.embed([asked.text for asked in batch if asked.key in mine], self._kind)
        except LostAnswer:
            self._cache.charge(claim.number)  # nobody knows better
            raise
        except BaseException:
            self._cache.release(claim.number)
            raise
        finite = np.logical_and.reduce(np.isfinite(got.vectors), axis=1)
        keys = list(itertools.compress(claim.mine, finite))
        vectors = got.vectors if len(keys) == len(mine) else got.vectors[finite]
        self._cache.keep(claim.number, payer.run, self._model, keys, vectors, got.tokens, self._usd(got.tokens))
        return {**claim.found, **dict(zip(keys, vectors, strict=True))}, mine.difference(keys)

    def _usd(self, tokens: int) -> float:
        return tokens * (self._payer.usd_per_million_tokens or 0.0) / 1e6

    def _spent_text(self) -> str:
        spent = self._cache.spent(self._payer.run)
        usd = f", USD {spent.usd:,.2f}" if self._payer.usd_per_million_tokens is not None else ""
        return f"{spent.tokens:,} tokens{usd}"
