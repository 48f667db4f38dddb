"""Reading: one lister goes through the ids in their order and feeds fetches, many at once; nothing listed is skipped."""

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple

from vecmig.connectors.pinecone.client.api import Api, Listed, Record
from vecmig.connectors.pinecone.client.calls import AT_ONCE, Calls
from vecmig.connectors.pinecone.client.errors import Refused
from vecmig.connectors.pinecone.records import fetching
from vecmig.connectors.pinecone.records.decode import batch_of
from vecmig.connectors.pinecone.records.fetching import pieces
from vecmig.connectors.pinecone.records.ids import stored
from vecmig.connectors.pinecone.records.metadata import Encoding
from vecmig.connectors.pinecone.records.partitions import Place, Range, cursor, place, ranges_of
from vecmig.errors import ConnectorError
from vecmig.model.batch import Key, RecordBatch
from vecmig.model.collection import VectorField
from vecmig.model.plan import Partition
from vecmig.model.state import Cursor

WAITS_S = (0.2, 0.5, 1.0, 2.0)  # for a record that is listed, and cannot be fetched yet
PEEKED = 10  # namespaces
MOST_RESTARTS = 10  # of a list whose tokens expire: each lists once more all that was read
MOST_EMPTY = 300  # pages without an id, one after the other
MOST_REPEATS = 3  # pages that give nothing but what the page before gave
NOT_GIVEN = "it is listed, but fetching it gives nothing: ask Pinecone for it, or delete it"


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one index needs."""

    api: Api
    calls: Calls
    vectors: Sequence[VectorField]  # of the index
    encoding: Encoding
    page_rows: int

    def chosen(self, names: Sequence[str] | None) -> list[VectorField]:
        return [vector for vector in self.vectors if names is None or vector.name in names]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Ids that one fetch asks for, and where to go on behind the last of them."""

    namespace: str
    ids: list[str]
    after: Place


class _Given(NamedTuple):
    """An id that is listed, and its record; None: no fetch gives it."""

    id: str
    record: Record | None


def read(
    reading: Reading, part: Partition, after: Cursor | None, vectors: Sequence[str] | None
) -> Generator[tuple[RecordBatch, Cursor], None, None]:
    """Yield the records of a partition, each batch with its cursor. A page that cannot be gone on from is listed anew."""
    chosen = reading.chosen(vectors)
    waiting: deque[tuple[_Chunk, Future[list[_Given]]]] = deque()
    chunks = _chunks(reading, ranges_of(part), place(after))
    held: list[tuple[_Chunk, list[_Given]]] = []
    rows = 0
    try:
        while True:
            while len(waiting) < AT_ONCE and (chunk := next(chunks, None)) is not None:
                waiting.append((chunk, reading.calls.start(_fetched, reading, chunk)))
            if not waiting:
                break
            chunk, future = waiting.popleft()
            held.append((chunk, future.result()))
            rows += len(chunk.ids)
            if rows >= reading.page_rows:
                yield _batch(reading, held, chosen), cursor(chunk.after)
                held, rows = [], 0
        if held:
            yield _batch(reading, held, chosen), cursor(held[-1][0].after)
    finally:
        for _, future in waiting:
            future.cancel()


def fetch(reading: Reading, keys: Sequence[Key]) -> RecordBatch:
    """Return the records that exist, in the order of `keys`."""
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.namespace, []).append(stored(key.id))
    asked = [
        (namespace, some) for namespace, each in ids.items() for some in pieces(reading.api, list(dict.fromkeys(each)))
    ]
    futures = [reading.calls.start(_fetch, reading, namespace, some) for namespace, some in asked]
    found = {
        (namespace, id): record
        for (namespace, _), future in zip(asked, futures, strict=True)
        for id, record in future.result().items()
    }
    there = [(key.namespace, found[at]) for key in keys if (at := (key.namespace, stored(key.id))) in found]
    return batch_of(
        [namespace for namespace, _ in there],
        [record for _, record in there],
        reading.vectors,
        reading.vectors,
        reading.encoding,
    )


def first_records(reading: Reading, namespace: str) -> list[Record]:
    """Return the records of a namespace's first page."""
    listed = _list(reading, namespace, "", None)
    found = pieces(reading.api, listed.ids)
    return [record for ids in found for record in _fetch(reading, namespace, ids).values()]


def check_prefixes(reading: Reading, namespaces: Iterable[str], prefixes: Sequence[str]) -> None:
    """Raise ConnectorError where the first ids show that `id_prefixes` leave some out. That none is, the counts prove."""
    for namespace in islice(namespaces, PEEKED if prefixes else 0):
        if not all(id.startswith(tuple(prefixes)) for id in _list(reading, namespace, "", None).ids):
            raise ConnectorError(
                f"index {reading.calls.index!r}, namespace {namespace!r}: an id begins with none of `id_prefixes`, so it"
                " would be left out: name all beginnings, or leave `id_prefixes` out"
            )


def _chunks(reading: Reading, ranges: Sequence[Range], start: Place) -> Iterator[_Chunk]:
    """Yield all ids behind `start`, in pieces for a fetch each."""
    size = min(reading.api.fetched_at_once, reading.page_rows)
    for number, each in enumerate(ranges[start.range :], start.range):
        begin = start if number == start.range else Place(number)
        rest: list[tuple[str, str | None]] = []  # ids, and the token that their page began at
        for ids, token in _pages(reading, each, begin):
            rest += ((id, token) for id in ids)
            while len(rest) >= size:
                yield from _pieces(reading, each, number, rest[:size])
                rest = rest[size:]
        if rest:
            yield from _pieces(reading, each, number, rest)


def _pieces(reading: Reading, range: Range, number: int, some: Sequence[tuple[str, str | None]]) -> Iterator[_Chunk]:
    at = 0
    for ids in pieces(reading.api, [id for id, _ in some]):
        at += len(ids)
        last, token = some[at - 1]
        yield _Chunk(range.namespace, ids, Place(number, last, token))


def _pages(reading: Reading, range: Range, start: Place) -> Iterator[tuple[list[str], str | None]]:
    """Yield the ids behind `start`, page by page, each with the token that it was asked for with."""
    token, last = start.token, start.last
    before: list[str] = []  # the page that led to `token`; none where reading begins here
    restarts = repeats = empty = 0
    while True:
        try:
            page = _list(reading, range.namespace, range.prefix, token)
        except Refused as error:
            restarts += 1
            if token is None:
                raise
            if restarts > MOST_RESTARTS:
                raise ConnectorError(
                    f"{error}. {restarts} times the list could not be gone on from where it was, and each time costs a"
                    " list of all that was read: name `id_prefixes`, by which shorter lists are read"
                ) from error
            token, before = None, []  # it has expired: from the first page on, past what is known
            continue
        repeats = repeats + 1 if page.ids and before and page.ids[-1] <= before[-1] else 0
        _check_order(reading, range, before, page.ids, repeats)
        ids = [id for id in dict.fromkeys(page.ids) if id > last]
        if ids:
            yield ids, token
            last = ids[-1]
        empty = 0 if page.ids else empty + 1
        if page.following is None:
            return
        if empty > MOST_EMPTY:
            raise ConnectorError(
                f"pinecone lists the ids of {reading.calls.index!r} in empty pages without end (namespace"
                f" {range.namespace!r}): run it again; if that does not help, report this, please"
            )
        token, before = page.following, page.ids or before


def _check_order(reading: Reading, range: Range, before: Sequence[str], ids: Sequence[str], repeats: int) -> None:
    """Raise ConnectorError where an id could be passed over: pages ascend, and none goes back to more than was given."""
    back = {id for id in ids if before and id <= before[-1]}
    if any(one > other for one, other in pairwise(ids)) or not back <= set(before) or repeats > MOST_REPEATS:
        wrong = "again and again" if repeats > MOST_REPEATS else "out of order"
        raise ConnectorError(
            f"pinecone lists the ids of {reading.calls.index!r} {wrong} (namespace {range.namespace!r}), so nothing can"
            " say that none is left out: report this, please"
        )


def _list(reading: Reading, namespace: str, prefix: str, token: str | None) -> Listed:
    return reading.calls.send("list", lambda: reading.api.list(namespace, prefix, token))


def _fetched(reading: Reading, chunk: _Chunk) -> list[_Given]:
    """Return what is given for each id; one that was deleted meanwhile is left out."""
    found = _fetch(reading, chunk.namespace, chunk.ids)
    missing = [id for id in chunk.ids if id not in found]
    for wait_s in WAITS_S:
        missing = [id for id in missing if _is_listed(reading, chunk.namespace, id)]
        if not missing:
            break
        time.sleep(wait_s)
        found |= _fetch(reading, chunk.namespace, missing)
        missing = [id for id in missing if id not in found]
    return [_Given(id, found.get(id)) for id in chunk.ids if id in found or id in missing]


def _is_listed(reading: Reading, namespace: str, id: str) -> bool:
    """Return whether it is listed now: as the first of those that begin so. A page may be empty and not the last."""
    token = None
    for _ in range(MOST_EMPTY):
        page = _list(reading, namespace, id, token)
        if page.ids or page.following is None:
            return id in page.ids
        token = page.following
    return True  # nothing says that it is gone


def _fetch(reading: Reading, namespace: str, ids: Sequence[str]) -> dict[str, Record]:
    return fetching.fetch(reading.api, reading.calls, namespace, ids)


def _batch(reading: Reading, held: Sequence[tuple[_Chunk, list[_Given]]], chosen: Sequence[VectorField]) -> RecordBatch:
    namespaces: list[str] = []
    records: list[Record] = []
    problems: dict[int, str] = {}
    for chunk, found in held:
        for id, record in found:
            if record is None:
                problems[len(records)] = NOT_GIVEN
            records.append(record or Record(id, None, None, {}))
            namespaces.append(chunk.namespace)
    return batch_of(namespaces, records, reading.vectors, chosen, reading.encoding, problems)
