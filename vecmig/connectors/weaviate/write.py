"""Writing: chunks by bytes, several at once; each object is acknowledged, or refused with a reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecmig.connectors.weaviate import errors, names, requests, tenants
from vecmig.connectors.weaviate.calls import Calls, all_of
from vecmig.connectors.weaviate.ids import stored
from vecmig.connectors.weaviate.layout import Layout
from vecmig.connectors.weaviate.metadata import Encoding
from vecmig.connectors.weaviate.names import ID
from vecmig.connectors.weaviate.proto import base_pb2, batch_delete_pb2, batch_pb2
from vecmig.connectors.weaviate.requests import SINGLE
from vecmig.connectors.weaviate.session import TIMEOUT_S
from vecmig.connectors.weaviate.validate import problems
from vecmig.errors import TransientError
from vecmig.model.batch import Key, RecordBatch, Rejected

CHUNK_BYTES, CHUNK_ROWS = 4 << 20, 500
OBJECT_BYTES = 256  # around each object in a request
DELETED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Writing:
    """What writing to one collection needs. `known`: tenants that are there.

    `unsure`: UUIDs of objects that may be stored, but not indexed: see `mend`.
    """

    calls: Calls
    layout: Layout
    encoding: Encoding
    known: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Chunk:
    rows: list[int]
    objects: list[Any]


def upsert(writing: Writing, batch: RecordBatch) -> list[Rejected]:
    """Store the records; return those that the collection cannot hold. On return every other was acknowledged."""
    reasons = problems(writing.layout, batch)
    if writing.layout.has_tenants:
        wanted = {
            names.tenant(name) for row, name in enumerate(batch.strings("namespace")) if row not in reasons
        } - writing.known
        if wanted:
            there = tenants.statuses(writing.calls, writing.layout)
            tenants.make(writing.calls, writing.layout, wanted - there.keys())
            writing.known.update(wanted)
    results = all_of([writing.calls.start(_send, writing, chunk) for chunk in _chunks(writing, batch, reasons)])
    for refused in results:
        reasons |= refused
    keys = batch.keys
    return [Rejected(keys[row], reason) for row, reason in sorted(reasons.items())]


def delete(writing: Writing, keys: Sequence[Key]) -> None:
    """Delete the records that exist."""
    layout = writing.layout
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.namespace, []).append(stored(key.namespace, key.id))
    there = tenants.statuses(writing.calls, layout) if layout.has_tenants else {}
    for namespace, uuids in ids.items():
        tenant = names.tenant(namespace) if layout.has_tenants else ""
        if layout.has_tenants and tenant not in there:
            continue
        for start in range(0, len(uuids), DELETED_AT_ONCE):
            request = batch_delete_pb2.BatchDeleteRequest(
                collection=layout.stored,
                tenant=tenant,
                filters=requests.by_uuid(uuids[start : start + DELETED_AT_ONCE]),
            )
            answer = writing.calls.grpc("delete", "BatchDelete", request)
            if answer.failed:
                raise TransientError(
                    f"weaviate delete in {layout.stored!r}: {answer.failed:,} objects were not deleted"
                )


def _chunks(writing: Writing, batch: RecordBatch, reasons: dict[int, str]) -> Iterator[_Chunk]:
    """Yield the objects in chunks; note in `reasons` what does not fit."""
    layout = writing.layout
    columns = {}
    for name, vector in layout.vectors.items():
        if f"vector:{vector.name}" in batch.names:
            rows, matrix = batch.present_vectors(vector.name)
            columns[name] = ({row: n for n, row in enumerate(rows.tolist())}, matrix)
    texts, namespaces, ids = batch.bytes_of("metadata"), batch.strings("namespace"), batch.strings("id")
    chunk, size = _Chunk([], []), 0
    for row in range(len(batch)):
        if row in reasons:
            continue
        properties = batch_pb2.BatchObject.Properties()
        try:
            writing.encoding.written(texts[row], properties)
        except ValueError as error:
            reasons[row] = str(error)
            continue
        uuid = stored(namespaces[row], ids[row])
        if uuid != ids[row]:
            properties.non_ref_properties.fields[ID].string_value = ids[row]
        made = batch_pb2.BatchObject(
            uuid=uuid,
            collection=layout.stored,
            tenant=names.tenant(namespaces[row]) if layout.has_tenants else "",
            properties=properties,
        )
        more = len(texts[row]) + OBJECT_BYTES
        for name, (place, matrix) in columns.items():
            if row not in place:
                continue
            raw = matrix[place[row]].tobytes()
            more += len(raw)
            if name is None:
                made.vector_bytes = raw
            else:
                made.vectors.append(base_pb2.Vectors(name=name, vector_bytes=raw, type=SINGLE))
        if chunk.rows and (size + more > CHUNK_BYTES or len(chunk.rows) == CHUNK_ROWS):
            yield chunk
            chunk, size = _Chunk([], []), 0
        chunk.rows.append(row)
        chunk.objects.append(made)
        size += more
    if chunk.rows:
        yield chunk


def _send(writing: Writing, chunk: _Chunk) -> dict[int, str]:
    """Store one chunk; return rows and reasons of what the server refuses. An object is stored, or named in the answer."""
    ids = [each.uuid for each in chunk.objects]

    def attempt() -> Any:
        if not writing.unsure.isdisjoint(ids):
            _put(writing, [_without_vectors(each) for each in chunk.objects])  # else an equal one is not indexed
        writing.unsure.update(ids)
        return _put(writing, chunk.objects)

    try:
        answer = writing.calls.send("upsert", attempt)
    except (errors.TooLarge, errors.Refused):
        if len(chunk.rows) == 1:
            return {chunk.rows[0]: "it alone is more than Weaviate takes, or is refused by it"}
        half = len(chunk.rows) // 2
        return _send(writing, _Chunk(chunk.rows[:half], chunk.objects[:half])) | _send(
            writing, _Chunk(chunk.rows[half:], chunk.objects[half:])
        )
    refused = {}
    for each in answer.errors:
        if errors.is_read_only(each.error):
            raise errors.read_only(f"weaviate upsert in {writing.layout.stored!r}")
        if errors.is_transient(each.error):
            raise TransientError(f"weaviate upsert in {writing.layout.stored!r}: an object was not stored just now")
        refused[chunk.rows[each.index]] = errors.reason(each.error)
    writing.unsure.difference_update(ids)
    return refused


def _put(writing: Writing, objects: Sequence[Any]) -> Any:
    session = writing.calls.session
    request = batch_pb2.BatchObjectsRequest(objects=objects)
    return session.stub.BatchObjects(request, timeout=TIMEOUT_S, metadata=session.metadata)


def _without_vectors(whole: Any) -> Any:
    bare = batch_pb2.BatchObject()
    bare.CopyFrom(whole)
    bare.ClearField("vectors")
    bare.ClearField("vector_bytes")
    return bare
