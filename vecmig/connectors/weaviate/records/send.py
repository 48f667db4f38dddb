"""Sending objects so that they are stored, indexed, and out of the server's own memory when it has acknowledged them.

Two habits of Weaviate (1.38) stand in the way. It stores the objects of a batch first, and then indexes their vectors:
where the caller goes away in between, or the server is killed, they stay out of the index, also when they are sent again,
for the index is left alone where a stored vector has not changed. So what may be in that state is sent without vectors
first, and then whole. And it hands the index's log to the operating system only with the next batch of the same shard: a
server that is killed has forgotten the last one's vectors. So the last batch is followed by one that changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vecmig.connectors.weaviate.client import errors
from vecmig.connectors.weaviate.client.calls import Calls, all_of
from vecmig.connectors.weaviate.client.proto import batch_pb2
from vecmig.connectors.weaviate.client.session import TIMEOUT_S
from vecmig.connectors.weaviate.records.metadata import Encoding
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.errors import TransientError

TOUCHED_A_SHARD = 16  # nobody tells which shard an object is in; by chance one of several is then missed once in 10**7


@dataclass(frozen=True, slots=True)
class Writing:
    """What writing to one collection needs. `known`: tenants that are there; `woken`: those that were inactive.

    `unsure`: UUIDs of objects that may be stored, but not indexed.
    """

    calls: Calls
    layout: Layout
    encoding: Encoding
    known: set[str] = field(default_factory=set)
    woken: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)


class Chunk(NamedTuple):
    """Objects of one request, and which rows of the batch they are."""

    rows: list[int]
    objects: list[Any]


class _Sent(NamedTuple):
    refused: dict[int, str]
    tries: int


def send(writing: Writing, chunks: Iterable[Chunk]) -> dict[int, str]:
    """Store the chunks, several at once; return rows and reasons of what the server refuses."""
    sent = []
    started = []
    for chunk in chunks:
        sent.append(chunk)
        started.append(writing.calls.start(_send, writing, chunk))
    while True:
        results = all_of(started)
        refused = {row: reason for each in results for row, reason in each.refused.items()}
        tries = [each.tries for each in results] + [_touch(writing, sent, refused)]
        if max(tries) == 1:
            break
        # the server was away: what it acknowledged before that may be out of the index, too
        started = [writing.calls.start(_send, writing, chunk) for chunk in sent]
    writing.unsure.difference_update(each.uuid for chunk in sent for each in chunk.objects)
    return refused


def _send(writing: Writing, chunk: Chunk) -> _Sent:
    """Store one chunk. An object is stored, or named in the answer."""
    ids = [each.uuid for each in chunk.objects]
    tries = 0

    def attempt() -> Any:
        nonlocal tries
        tries += 1
        if not writing.unsure.isdisjoint(ids):
            put(writing, [_without_vectors(each) for each in chunk.objects])
        writing.unsure.update(ids)
        return put(writing, chunk.objects)

    try:
        answer = writing.calls.send("upsert", attempt)
    except (errors.TooLarge, errors.Refused) as error:
        if len(chunk.rows) == 1:
            why = error.reason if isinstance(error, errors.Refused) else "it alone is more than Weaviate takes"
            return _Sent({chunk.rows[0]: why}, tries)
        half = len(chunk.rows) // 2
        one, two = (
            _send(writing, Chunk(chunk.rows[part], chunk.objects[part])) for part in (slice(half), slice(half, None))
        )
        return _Sent(one.refused | two.refused, max(tries, one.tries, two.tries))
    refused = {}
    for each in answer.errors:
        if errors.is_read_only(each.error):
            raise errors.read_only(f"weaviate upsert in {writing.layout.stored!r}")
        if errors.is_transient(each.error):
            raise TransientError(f"weaviate upsert in {writing.layout.stored!r}: an object was not stored just now")
        refused[chunk.rows[each.index]] = errors.reason(each.error)
    return _Sent(refused, tries)


def _touch(writing: Writing, chunks: Iterable[Chunk], refused: Mapping[int, str]) -> int:
    """Send an object of each shard again, as it is; return how many tries that took."""
    shards = int((writing.layout.schema.get("shardingConfig") or {}).get("desiredCount") or 1)
    most = 1 if writing.layout.has_tenants or shards == 1 else TOUCHED_A_SHARD * shards
    touched: dict[str, list[Any]] = {}
    for chunk in chunks:
        for row, each in zip(chunk.rows, chunk.objects, strict=True):
            some = touched.setdefault(each.tenant, [])
            if len(some) < most and row not in refused:
                some.append(each)
    return _again(writing, [each for some in touched.values() for each in some])


def _again(writing: Writing, objects: Sequence[Any]) -> int:
    if not objects:
        return 1
    tries = 0

    def attempt() -> Any:
        nonlocal tries
        tries += 1
        return put(writing, objects)

    try:
        answer = writing.calls.send("upsert", attempt)
    except (errors.TooLarge, errors.Refused):
        if len(objects) == 1:
            return tries
        half = len(objects) // 2
        return max(_again(writing, objects[:half]), _again(writing, objects[half:]))
    if any(errors.is_transient(each.error) for each in answer.errors):
        raise TransientError(f"weaviate upsert in {writing.layout.stored!r}: an object was not stored just now")
    return tries


def put(writing: Writing, objects: Sequence[Any]) -> Any:
    """Send one request; return the answer. Raises what gRPC raises."""
    session = writing.calls.session
    request = batch_pb2.BatchObjectsRequest(objects=objects)
    return session.stub.BatchObjects(request, timeout=TIMEOUT_S, metadata=session.metadata)


def _without_vectors(whole: Any) -> Any:
    bare = batch_pb2.BatchObject()
    bare.CopyFrom(whole)
    bare.ClearField("vectors")
    bare.ClearField("vector_bytes")
    return bare
