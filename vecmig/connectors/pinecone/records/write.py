"""Writing: requests of their own size, many at once; each is accounted for, and a refused one is halved."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, field
from typing import TypeVar

import xxhash

from vecmig.connectors.pinecone.client.api import Api, Record, slots_of
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.errors import Refused
from vecmig.connectors.pinecone.limits import MAX_RECORDS, MAX_REQUEST_BYTES
from vecmig.connectors.pinecone.records.ids import stored
from vecmig.connectors.pinecone.records.metadata import Encoding
from vecmig.connectors.pinecone.records.validate import problems
from vecmig.connectors.pinecone.records.visible import note_deleted, note_written
from vecmig.errors import CollectionNotFound, TransientError
from vecmig.model.batch import Key, RecordBatch, Rejected, column_of
from vecmig.model.collection import VectorField

FIELD_BYTES = 16  # around each field of metadata in a request
RECORD_BYTES = 64  # around each record
MOST_REFUSED, SHARE = 20, 10  # records, and for ten of them not one accepted: then it is not the records that are wrong
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Writing:
    """What writing to one index needs."""

    api: Api
    calls: Calls
    vectors: Sequence[VectorField]
    encoding: Encoding
    # what requests of the last batch came to, by their digests, where it was not stored whole: tried again, it is sent
    # and paid for only where it was not acknowledged
    acknowledged: dict[bytes, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Request:
    namespace: str
    records: list[Record]

    @property
    def digest(self) -> bytes:
        hashed = xxhash.xxh3_128()
        for id, values, sparse, metadata in self.records:
            hashed.update(values.tobytes() if values is not None else b"-")
            hashed.update(repr((self.namespace, id, sparse, metadata)).encode())
        return hashed.digest()


@dataclass(slots=True)
class _Tally:
    """What became of the records of one `upsert`. Several threads count, and more than a hint is not asked for."""

    accepted: int = 0
    refused: int = 0
    refusal: Refused | None = None  # of one record


def upsert(writing: Writing, batch: RecordBatch) -> list[Rejected]:
    """Store the records; return those that the index cannot hold. On return every request was acknowledged."""
    reasons = problems(slots_of(writing.vectors), batch)
    requests = list(_requests(writing, batch, reasons))
    before = dict(writing.acknowledged)
    writing.acknowledged.clear()
    known = [before.get(each.digest) if before else None for each in requests]
    stored_before = [
        len(each.records) - len(some) for each, some in zip(requests, known, strict=True) if some is not None
    ]
    tally = _Tally(sum(stored_before))
    rest = [each for each, result in zip(requests, known, strict=True) if result is None]
    started = [writing.calls.start(_send, writing, tally, each.namespace, each.records) for each in rest]
    try:
        found = iter(_all(started))
    except TransientError:
        done = zip(rest, started, strict=True)
        writing.acknowledged.update({each.digest: future.result() for each, future in done if _succeeded(future)})
        writing.acknowledged.update(before)
        raise
    results = [next(found) if result is None else result for result in known]
    refused = {
        (each.namespace, id): reason
        for each, some in zip(requests, results, strict=True)
        for id, reason in some.items()
    }
    if len(refused) > 1 and not tally.accepted and tally.refusal is not None:
        raise tally.refusal
    keys = batch.keys
    rejected = [Rejected(keys[row], reason) for row, reason in sorted(reasons.items())]
    if refused:
        rejected += [
            Rejected(key, reason)
            for key in keys
            if (reason := refused.get((key.namespace, stored(key.id)))) is not None
        ]
    return rejected


def delete(writing: Writing, keys: Sequence[Key]) -> None:
    """Delete the records that exist."""
    writing.acknowledged.clear()
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.namespace, []).append(stored(key.id))
    _all(
        [
            writing.calls.start(_delete, writing, namespace, each[start : start + MAX_RECORDS])
            for namespace, each in ids.items()
            for start in range(0, len(each), MAX_RECORDS)
        ]
    )


def _delete(writing: Writing, namespace: str, ids: Sequence[str]) -> None:
    try:
        writing.calls.send("delete", lambda: writing.api.delete(namespace, ids))
    except CollectionNotFound as error:
        if "namespace not found" not in str(error.__cause__).lower():
            raise
        return  # Pinecone calls it an error to delete in no namespace
    note_deleted(writing.calls.host, namespace, ids)


def _all(started: Sequence[Future[T]]) -> list[T]:
    """Return the results, in order. Raises the first error, when none is under way behind the caller's back."""
    wait(started, return_when=FIRST_EXCEPTION)
    for future in started:
        future.cancel()  # does nothing to one that runs, or has ended
    wait(started)
    errors = [error for each in started if not each.cancelled() and (error := each.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in started]


def _succeeded(future: Future[T]) -> bool:
    return not future.cancelled() and future.exception() is None


def _requests(writing: Writing, batch: RecordBatch, reasons: dict[int, str]) -> Iterator[_Request]:
    """Yield the records in requests of at most MAX_REQUEST_BYTES and MAX_RECORDS; note in `reasons` what does not fit."""
    slots = slots_of(writing.vectors)
    matrix, place = None, {}
    if slots.dense is not None and column_of(slots.dense) in batch.names:
        rows, matrix = batch.present_vectors(slots.dense.name)
        place = {row: n for n, row in enumerate(rows.tolist())}
    sparse = None
    if slots.sparse is not None and column_of(slots.sparse) in batch.names:
        sparse = batch.table.column(column_of(slots.sparse))
    vector_bytes = writing.api.size_of(slots.dense.dimensions) if slots.dense is not None else 0
    open_: dict[str, list[Record]] = {}
    sizes: dict[str, int] = {}
    texts, namespaces, ids = batch.bytes_of("metadata"), batch.strings("namespace"), batch.strings("id")
    for row in range(len(batch)):
        if row in reasons:
            continue
        try:
            metadata = writing.encoding.written(texts[row])
        except ValueError as error:
            reasons[row] = str(error)
            continue
        values = matrix[place[row]] if matrix is not None else None
        pair = None
        if sparse is not None and (each := sparse[row].as_py()) is not None:
            pair = (each["indices"], each["values"])
        size = vector_bytes + len(texts[row]) + FIELD_BYTES * len(metadata) + len(ids[row]) + RECORD_BYTES
        size += writing.api.size_of(2 * len(pair[0])) if pair else 0
        namespace = namespaces[row]
        records = open_.setdefault(namespace, [])
        if records and (len(records) == MAX_RECORDS or sizes[namespace] + size > MAX_REQUEST_BYTES):
            yield _Request(namespace, records)
            records = open_[namespace] = []
        sizes[namespace] = size + (sizes[namespace] if records else 0)
        records.append(Record(stored(ids[row]), values, pair, metadata))
    for namespace, records in open_.items():
        yield _Request(namespace, records)


def _send(writing: Writing, tally: _Tally, namespace: str, records: Sequence[Record]) -> dict[str, str]:
    """Store one request's records; return the ids and reasons of those that the service refuses."""
    try:
        count = writing.calls.send("upsert", lambda: writing.api.upsert(namespace, records))
    except Refused as error:
        if len(records) == 1:
            tally.refused += 1
            tally.refusal = error
            return {records[0].id: error.reason}
        if tally.refused > MOST_REFUSED and SHARE * tally.accepted < tally.refused:
            raise
        half = len(records) // 2
        refused = _send(writing, tally, namespace, records[:half])
        return refused | _send(writing, tally, namespace, records[half:])
    if count != len(records):
        raise TransientError(
            f"pinecone upsert in {writing.calls.index!r}: Pinecone says that it stored {count:,} of {len(records):,} records"
        )
    tally.accepted += count
    note_written(writing.calls.host, namespace, records)
    return {}
