"""Reading, embedding and writing overlap: requests are filled across batches, and what waits is bounded."""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Event, Lock

import numpy as np
import pyarrow as pa
import pytest

from tests.crash.scenario import wait_until
from vecmig.connectors.memory import MemoryConnector, MemoryOptions
from vecmig.conversion.convert import Converted, convert
from vecmig.embedding.buyer import Buyer, Payer
from vecmig.embedding.cache import Cache
from vecmig.embedding.embed import Model, Pages, embedded
from vecmig.execution.copy import Tools, copy
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Conversion, EmbedRule, LoadRecords, Partition
from vecmig.model.record import Rejected
from vecmig.model.state import Checkpoint, Cursor
from vecmig.protocols import Embedded, EmbedderLimits, TextKind
from vecmig.retry import Throttle

ROWS, PAGES, ITEMS, AT_ONCE = 7, 40, 10, 2
RULE = EmbedRule("", "mine/length", 2, "{{ text }}")
CONVERSION = Conversion(embed=(RULE,))
PATIENCE_S = 30.0


@dataclass(slots=True)
class Lengths:
    """An embedder that makes of a text its length; each request after the first `free` ones waits to be let go."""

    free: int = 1_000_000
    together: int = 1  # none is answered before so many came
    slow_s: float = 0.0
    let_go: Event = field(default_factory=Event)
    sizes: list[int] = field(default_factory=list)
    identity: str = "length"
    counts_exactly: bool = True
    limits: EmbedderLimits = field(default_factory=lambda: EmbedderLimits(ITEMS, at_once=AT_ONCE))
    _lock: Lock = field(default_factory=Lock)

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        with self._lock:
            self.sizes.append(len(texts))
        wait_until(lambda: len(self.sizes) >= self.together)
        if len(texts[0]) > self.free * ITEMS:  # by the text: the second request may come before the first
            assert self.let_go.wait(PATIENCE_S), "nobody let it go: what is there is not handed on"
        time.sleep(self.slow_s)
        return Embedded(np.array([[1.0, len(text)] for text in texts], np.float32), len(texts))

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return [1 for _ in texts]

    def truncate(self, text: str, tokens: int) -> str:
        return text

    def close(self) -> None: ...


@dataclass(slots=True)
class Source:
    """Pages of records whose texts differ in length, and how many of them were read."""

    read: int = 0
    shortest: int = 1  # characters

    def pages(self) -> Iterator[tuple[Converted, Cursor]]:
        for page in range(PAGES):
            self.read += 1
            numbers = range(page * ROWS, (page + 1) * ROWS)
            rows = [
                {"id": f"r{n}", "namespace": "", "metadata": f'{{"text": "{"x" * (n + self.shortest)}"}}'}
                for n in numbers
            ]
            batch = RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(())))
            yield convert(batch, CONVERSION), Cursor(str(page))


@contextmanager
def pipeline(directory: Path, embedder: Lengths, source: Source) -> Iterator[Iterator[tuple[Converted, Cursor]]]:
    with closing(Cache(directory / "c.sqlite")) as cache:
        payer = Payer("r", 0.0)
        with closing(Buyer(embedder, "mine/length", cache, payer, Event())) as buyer:
            yield embedded(source.pages(), [RULE], {"": Model(embedder, cache, buyer)})


def test_requests_are_filled_across_batches_and_each_batch_comes_in_order_with_its_own_vectors(tmp_path: Path) -> None:
    embedder, source = Lengths(slow_s=0.01), Source()  # so slow that batches wait for it
    with pipeline(tmp_path, embedder, source) as made:
        found = list(made)
    assert [cursor for _, cursor in found] == [str(page) for page in range(PAGES)]
    lengths = np.concatenate([converted.batch.vectors("")[:, 1] for converted, _ in found])
    assert lengths.tolist() == list(range(1, PAGES * ROWS + 1))
    assert sum(embedder.sizes) == PAGES * ROWS
    assert sorted(embedder.sizes)[1:] == [ITEMS] * (PAGES * ROWS // ITEMS - 1), "all but the last are full"


def test_the_first_batches_are_written_while_later_ones_are_embedded(tmp_path: Path) -> None:
    embedder, source = Lengths(free=1, together=2), Source()  # what comes next is under way, though nobody asked for it
    with pipeline(tmp_path, embedder, source) as made:
        first, _ = next(made)  # all its texts are in the first request, and the others are held back
        assert len(first.batch) == ROWS
        embedder.let_go.set()
        assert sum(len(converted.batch) for converted, _ in made) == (PAGES - 1) * ROWS


def test_no_more_is_read_ahead_than_fills_the_requests_that_may_be_under_way(tmp_path: Path) -> None:
    embedder, source = Lengths(slow_s=0.01), Source()
    with pipeline(tmp_path, embedder, source) as made:
        for taken, _ in enumerate(made, start=1):
            ahead = (source.read - taken) * ROWS
            assert ahead <= 2 * ITEMS * AT_ONCE + 2 * ROWS, "memory would grow with the source"
    assert source.read == PAGES


def test_long_texts_do_not_wait_in_memory_because_they_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecmig.embedding.embed.WINDOW_BYTES", 100_000)
    embedder, source = Lengths(slow_s=0.01, limits=EmbedderLimits(ITEMS, at_once=20)), Source(shortest=5_000)
    with pipeline(tmp_path, embedder, source) as made:
        for taken, _ in enumerate(made, start=1):
            assert source.read - taken <= 2, "a page of them is 35 kB as read, and more as prepared"
    assert source.read == PAGES


@dataclass(slots=True)
class Meeting:
    """Where one who reads, one who embeds and one who writes wait for each other; nobody goes on alone."""

    handed_on: bool = False  # the first batch, to be written
    barrier: Barrier = field(default_factory=lambda: Barrier(3, timeout=PATIENCE_S))
    came: set[str] = field(default_factory=set)

    def attend(self, who: str) -> None:
        """Wait, the first time; raises BrokenBarrierError where one of the others does not come meanwhile."""
        if who not in self.came:
            self.came.add(who)
            self.barrier.wait()


@dataclass(slots=True)
class Attending(Lengths):
    meeting: Meeting = field(default_factory=Meeting)

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        if len(texts[0]) > ITEMS:  # the first request is answered at once
            self.meeting.attend("embeds")
        return Lengths.embed(self, texts, kind)


@dataclass(frozen=True, slots=True)
class Read(MemoryConnector):
    meeting: Meeting = field(default_factory=Meeting)

    def read(
        self, part: Partition, after: Cursor | None, vectors: Sequence[str] | None = None
    ) -> Generator[tuple[RecordBatch, Cursor], None, None]:
        for number, page in enumerate(MemoryConnector.read(self, part, after, vectors)):
            if number > 1 and self.meeting.handed_on:  # those in front of it fill a second request
                self.meeting.attend("reads")
            yield page


@dataclass(frozen=True, slots=True)
class Written(MemoryConnector):
    meeting: Meeting = field(default_factory=Meeting)

    def upsert(self, collection: str, batch: RecordBatch) -> Sequence[Rejected]:
        self.meeting.attend("writes")
        return MemoryConnector.upsert(self, collection, batch)


def test_a_page_is_read_while_another_is_embedded_and_a_third_is_written(tmp_path: Path) -> None:
    meeting, vector = Meeting(), VectorField("", 2, "cosine")
    embedder = Attending(meeting=meeting)
    source = Read(MemoryOptions("docs", page_rows=ITEMS), {}, meeting)
    target = Written(MemoryOptions("kb"), {}, meeting)
    source.create(Collection("docs", ()))
    target.create(Collection("kb", (vector,)))
    rows = [{"id": f"{n:03}", "namespace": "", "metadata": f'{{"text": "{"x" * n}"}}'} for n in range(1, 301)]
    source.upsert("docs", RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(()))))
    stop, part = Event(), Partition("docs", "0/1")
    with (
        closing(Cache(tmp_path / "c.sqlite")) as cache,
        closing(Buyer(embedder, RULE.model, cache, Payer("r", 0.0), stop)) as buyer,
    ):

        def step(pages: Pages) -> Iterator[tuple[Converted, Cursor]]:
            for each in embedded(pages, [RULE], {"": Model(embedder, cache, buyer)}):
                meeting.handed_on = True
                yield each

        tools = Tools(stop, Throttle(None, stop), Throttle(None, stop), None, step)
        load = LoadRecords("m", "docs", "kb", (part,), CONVERSION)
        steps = list(copy(source, [target], load, Checkpoint("m", part), tools))
    assert meeting.came == {"reads", "embeds", "writes"}
    assert sum(each.rows for each in steps) == 300
