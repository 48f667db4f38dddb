"""Reading: pages in the order of the UUIDs, of ranges of them; a page that is too large, or takes too long, is halved."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from vecmig.connectors.weaviate.client import requests
from vecmig.connectors.weaviate.client.calls import Calls, all_of
from vecmig.connectors.weaviate.client.errors import TookTooLong, TooLarge
from vecmig.connectors.weaviate.records.decode import batch_of
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.connectors.weaviate.records.metadata import Encoding
from vecmig.connectors.weaviate.schema import names, tenants
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.model.batch import Key, RecordBatch
from vecmig.model.plan import Partition
from vecmig.model.state import Cursor

PAGE_BYTES = 8 << 20
PAGE_ROWS = 2_000  # the server reads so many of each shard
METADATA_BYTES = 1_000  # of a record, assumed for the size of a page
FETCHED_AT_ONCE = 200
LAST = (1 << 128) - 1


class Range(NamedTuple):
    """The objects of one namespace whose UUIDs are between these, both included."""

    namespace: str
    low: int
    high: int


class Place(NamedTuple):
    """A place in a partition: behind object `last` of its range number `range`."""

    range: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one collection needs."""

    calls: Calls
    layout: Layout
    encoding: Encoding
    page_rows: int

    def chosen(self, vectors: Sequence[str] | None) -> list[str | None]:
        every = self.layout.vectors
        return [name for name, field in every.items() if vectors is None or field.name in vectors]

    def tenant(self, namespace: str) -> str | None:
        return names.tenant(namespace) if self.layout.has_tenants else None

    def known(self, namespaces: Iterable[str]) -> list[str]:
        """Return those of the namespaces that are there."""
        if not self.layout.has_tenants:
            return [name for name in namespaces if name == ""]
        asked = tenants.holding(namespaces)
        there = tenants.statuses(self.calls, self.layout, asked.values())
        return [name for name, tenant in asked.items() if tenant in there]

    def awake(self, namespaces: Iterable[str]) -> AbstractContextManager[None]:
        """Have the tenants of these namespaces active meanwhile."""
        if not self.layout.has_tenants:
            return nullcontext()
        return tenants.awake(self.calls, self.layout, map(names.tenant, namespaces))


def page_rows(layout: Layout) -> int:
    size = METADATA_BYTES + sum(4 * field.dimensions for field in layout.vectors.values())
    return max(1, min(PAGE_ROWS, PAGE_BYTES // size))


def partitions(collection: str, counts: Mapping[str, int], at_most: int) -> list[Partition]:
    """Split namespaces with so many records into at most so many parts: several of them, or ranges of one."""
    if not counts:
        return []
    each = max(1, at_most // len(counts))
    ranges = [part for namespace in sorted(counts) for part in _split(namespace, each)]
    groups = min(at_most, len(ranges))
    bounds = [n * len(ranges) // groups for n in range(groups + 1)]
    parts = [ranges[low:high] for low, high in pairwise(bounds)]
    return [Partition(collection, _token(part)) for part in parts]


def read(
    reading: Reading, part: Partition, after: Cursor | None, vectors: Sequence[str] | None
) -> Generator[tuple[RecordBatch, Cursor], None, None]:
    """Yield the records of a partition in the order of their UUIDs, each batch with its cursor."""
    chosen = reading.chosen(vectors)
    start = Place(*json.loads(after)) if after is not None else Place()
    ranges = _ranges(part)
    for number, each in enumerate(ranges[start.range :], start.range):
        begin = start.last if number == start.range else ""
        with reading.awake([each.namespace]):
            for records in pages(reading, each, begin, chosen):
                batch = batch_of(reading.layout, reading.encoding, [each.namespace] * len(records), records, chosen)
                yield batch, Cursor(json.dumps(Place(number, records[-1].uuid)))


def fetch(reading: Reading, keys: Sequence[Key]) -> RecordBatch:
    """Return the records that exist, in the order of `keys`."""
    chosen = reading.chosen(None)
    found: dict[tuple[str, str], requests.Record] = {}
    asked: dict[str, list[str]] = {}
    for key in keys:
        asked.setdefault(key.namespace, []).append(stored(key.namespace, key.id))
    known = reading.known(asked)
    with reading.awake(known):
        pieces = [
            (name, uuids[start : start + FETCHED_AT_ONCE])
            for name in known
            for uuids in [list(dict.fromkeys(asked[name]))]
            for start in range(0, len(uuids), FETCHED_AT_ONCE)
        ]
        results = all_of([reading.calls.start(_fetched, reading, name, uuids, chosen) for name, uuids in pieces])
    for (name, _), records in zip(pieces, results, strict=True):
        found |= {(name, each.uuid): each for each in records}
    rows = [
        (key, record)
        for key in keys
        if (record := found.get((key.namespace, stored(key.namespace, key.id)))) is not None
        and requests.own_id(record.uuid, record.fields) == key.id
    ]
    return batch_of(
        reading.layout, reading.encoding, [key.namespace for key, _ in rows], [record for _, record in rows], chosen
    )


def _fetched(
    reading: Reading, namespace: str, uuids: Sequence[str], vectors: Sequence[str | None]
) -> list[requests.Record]:
    request = requests.search(
        reading.layout,
        reading.tenant(namespace),
        len(uuids),
        filters=requests.by_uuid(reading.layout, uuids),
        **requests.whole(reading.layout, vectors),
    )
    try:
        return requests.records(reading.calls.grpc("fetch", "Search", request))
    except TooLarge:
        if len(uuids) == 1:
            raise
        half = len(uuids) // 2
        return [
            *_fetched(reading, namespace, uuids[:half], vectors),
            *_fetched(reading, namespace, uuids[half:], vectors),
        ]


def pages(reading: Reading, each: Range, last: str, vectors: Sequence[str | None]) -> Iterator[list[requests.Record]]:
    rows = reading.page_rows

    def asked(after: str) -> "Future[Any]":
        request = requests.search(
            reading.layout,
            reading.tenant(each.namespace),
            rows,
            after=after,
            **requests.whole(reading.layout, vectors),
        )
        return reading.calls.start(reading.calls.grpc, "read", "Search", request)

    after = last or (str(UUID(int=each.low - 1)) if each.low else "")
    waiting = asked(after)
    while True:
        try:
            answer = waiting.result()
        except (TooLarge, TookTooLong) as error:
            # no further for an answer that does not come: then it is hardly the size, and the engine tries again
            least = 1 if isinstance(error, TooLarge) else reading.page_rows // 8
            if rows <= max(least, 1):
                raise
            rows = max(1, rows // 2)
            waiting = asked(after)
            continue
        full = len(answer.results) == rows
        after = requests.uuid_of(answer.results[-1].metadata) if full else after
        goes_on = full and UUID(after).int <= each.high  # in the order of their UUIDs: the last one tells for all
        if goes_on:
            waiting = asked(after)  # under way while this page is decoded
        page = requests.records(answer)
        inside = page if goes_on else [record for record in page if UUID(record.uuid).int <= each.high]
        if inside:
            yield inside
        if not goes_on:
            return


def _split(namespace: str, parts: int) -> list[Range]:
    bounds = [n * (LAST + 1) // parts for n in range(parts + 1)]
    return [Range(namespace, low, high - 1) for low, high in pairwise(bounds)]


def _token(ranges: Sequence[Range]) -> str:
    return json.dumps([[each.namespace, f"{each.low:x}", f"{each.high:x}"] for each in ranges], ensure_ascii=False)


def _ranges(part: Partition) -> list[Range]:
    return [Range(namespace, int(low, 16), int(high, 16)) for namespace, low, high in json.loads(part.token)]
