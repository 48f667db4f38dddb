"""Writing: chunks by bytes, several at once; each object is acknowledged, or refused with a reason."""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager

from vecmig.connectors.weaviate.client import requests
from vecmig.connectors.weaviate.client.proto import base_pb2, batch_delete_pb2, batch_pb2
from vecmig.connectors.weaviate.client.requests import SINGLE
from vecmig.connectors.weaviate.records.ids import stored
from vecmig.connectors.weaviate.records.send import Chunk, Writing, send
from vecmig.connectors.weaviate.records.validate import problems
from vecmig.connectors.weaviate.schema import names, tenants
from vecmig.connectors.weaviate.schema.names import ID
from vecmig.errors import TransientError
from vecmig.model.batch import Key, RecordBatch, Rejected

CHUNK_BYTES, CHUNK_ROWS = 4 << 20, 500
OBJECT_BYTES = 256  # around each object in a request
DELETED_AT_ONCE = 1_000


def upsert(writing: Writing, batch: RecordBatch) -> list[Rejected]:
    """Store the records; return those that the collection cannot hold. On return every other was acknowledged."""
    layout = writing.layout
    reasons = problems(layout.vectors.values(), batch, has_tenants=layout.has_tenants, has_id=layout.has_id)
    if writing.layout.has_tenants:
        wanted = {names.tenant(name) for row, name in enumerate(batch.strings("namespace")) if row not in reasons}
        if new := wanted - writing.known:
            tenants.make(writing.calls, writing.layout, new)
            _wake(writing, new)
    with _known(writing):
        reasons |= send(writing, _chunks(writing, batch, reasons))
    keys = batch.keys
    return [Rejected(keys[row], reason) for row, reason in sorted(reasons.items())]


def delete(writing: Writing, keys: Sequence[Key]) -> None:
    """Delete the records that exist."""
    layout = writing.layout
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.namespace, []).append(stored(key.namespace, key.id))
    there = {}
    if not layout.has_tenants:
        ids = {name: uuids for name, uuids in ids.items() if name == ""}
    else:
        there = tenants.statuses(writing.calls, layout, tenants.holding(ids).values())
        _wake(writing, there.keys() - writing.known)
    for namespace, uuids in ids.items():
        tenant = tenants.holding([namespace]).get(namespace, "") if layout.has_tenants else ""
        if layout.has_tenants and tenant not in there:
            continue
        for start in range(0, len(uuids), DELETED_AT_ONCE):
            request = batch_delete_pb2.BatchDeleteRequest(
                collection=layout.stored,
                tenant=tenant,
                filters=requests.by_uuid(layout, uuids[start : start + DELETED_AT_ONCE]),
            )
            with _known(writing):
                answer = writing.calls.grpc("delete", "BatchDelete", request)
            if answer.failed:
                raise TransientError(
                    f"weaviate delete in {layout.stored!r}: {answer.failed:,} objects were not deleted"
                )


def _wake(writing: Writing, tenants_: Set[str]) -> None:
    """Have tenants active; those that were not are put back when the connection ends."""
    writing.woken.update(tenants.wake(writing.calls, writing.layout, tenants_))
    writing.known.update(tenants_)


@contextmanager
def _known(writing: Writing) -> Iterator[None]:
    """Forget which tenants are known where a write fails: another run may have put one back."""
    try:
        yield
    except TransientError:
        writing.known.clear()
        raise


def _chunks(writing: Writing, batch: RecordBatch, reasons: dict[int, str]) -> Iterator[Chunk]:
    """Yield the objects in chunks; note in `reasons` what does not fit."""
    layout = writing.layout
    columns = {}
    for name, vector in layout.vectors.items():
        if f"vector:{vector.name}" in batch.names:
            rows, matrix = batch.present_vectors(vector.name)
            columns[name] = ({row: n for n, row in enumerate(rows.tolist())}, matrix)
    texts, namespaces, ids = batch.bytes_of("metadata"), batch.strings("namespace"), batch.strings("id")
    chunk, size = Chunk([], []), 0
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
            chunk, size = Chunk([], []), 0
        chunk.rows.append(row)
        chunk.objects.append(made)
        size += more
    if chunk.rows:
        yield chunk
