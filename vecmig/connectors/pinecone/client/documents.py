"""The documents API, which is REST only: a record is one flat object, its vectors in fields that the index declares."""

from collections.abc import Mapping, Sequence
from typing import Any

from pinecone import Index
from pinecone.models.documents.document import Document

from vecmig.connectors.pinecone.client.api import Listed, Match, Query, Record, vector_of
from vecmig.connectors.pinecone.limits import MAX_FETCHED_BYTES, MAX_LISTED, MAX_RECORDS, METADATA_BYTES
from vecmig.connectors.pinecone.options import plain
from vecmig.connectors.pinecone.schema.fields import LEADING

COMPONENT_BYTES = 22  # in JSON: a float32 has 17 digits as Python writes it
DEFAULT = "__default__"  # the namespace stands in the address, where it cannot be empty


class DocumentsApi:
    """Requests of one document index. `dense` and `sparse`: its vector fields; `dimensions`: of the dense one."""

    leading: tuple[str, ...] = LEADING
    fetched_url_bytes: int | None = None

    def __init__(self, client: Index, dense: str | None, sparse: str | None, dimensions: int) -> None:
        self._client = client
        self._dense, self._sparse = dense, sparse
        self.reserved = tuple(field for field in (dense, sparse) if field is not None)
        # an answer of 1,000 long vectors would have tens of MB, and be lost whole when the line breaks
        size = COMPONENT_BYTES * dimensions + METADATA_BYTES
        self.fetched_at_once = max(1, min(MAX_RECORDS, MAX_FETCHED_BYTES // size))

    def stats(self) -> dict[str, int]:
        found = self._client.describe_index_stats().namespaces  # a document index answers this one, too
        return {plain(name): each.vector_count for name, each in found.items() if each.vector_count}

    def namespaces(self) -> dict[str, int]:
        found = (each for page in self._client.list_namespaces() for each in page.namespaces)
        return {plain(each.name): each.record_count for each in found if each.record_count}

    def list(self, namespace: str, prefix: str, token: str | None) -> Listed:
        pages = self._client.documents.list(
            namespace=namespace or DEFAULT, prefix=prefix or None, limit=MAX_LISTED, pagination_token=token
        ).pages()
        page = next(pages)  # the first is one request; the rest would be more
        return Listed([each.id for each in page.items], page.pagination_token)

    def fetch(self, namespace: str, ids: Sequence[str]) -> dict[str, Record]:
        found = self._client.documents.fetch(namespace=namespace or DEFAULT, ids=ids).documents
        return {id: self._record(id, each) for id, each in found.items()}

    def upsert(self, namespace: str, records: Sequence[Record]) -> int:
        # one request, and not `batch_upsert`, which does not raise where a batch fails
        found = self._client.documents.upsert(
            namespace=namespace or DEFAULT, documents=[self._document(each) for each in records]
        )
        return found.upserted_count

    def delete(self, namespace: str, ids: Sequence[str]) -> None:
        self._client.documents.delete(namespace=namespace or DEFAULT, ids=ids)

    def query(self, query: Query) -> Sequence[Match]:
        if query.sparse is not None:
            asked: dict[str, Any] = {
                "type": "sparse_vector",
                "field": self._sparse,
                "sparse_values": _pairs(query.sparse),
            }
        else:
            asked = {"type": "dense_vector", "field": self._dense, "values": query.values}
        found = self._client.documents.search(
            namespace=query.namespace or DEFAULT, score_by=[asked], top_k=query.k, filter=query.filter
        )
        return [Match(each.id, each.score or 0.0) for each in found.matches]

    def size_of(self, dimensions: int) -> int:
        return COMPONENT_BYTES * dimensions

    def close(self) -> None:
        self._client.close()

    def _record(self, id: str, document: Document) -> Record:
        fields = document.to_dict()
        fields.pop("_id", None)
        values = fields.pop(self._dense, None) if self._dense is not None else None
        pair = fields.pop(self._sparse, None) if self._sparse is not None else None
        return Record(id, vector_of(values), (pair["indices"], pair["values"]) if pair else None, fields)

    def _document(self, record: Record) -> Mapping[str, object]:
        document: dict[str, object] = {"_id": record.id, **record.metadata}
        if self._dense is not None and record.values is not None:
            document[self._dense] = record.values.tolist()
        if self._sparse is not None and record.sparse is not None:
            document[self._sparse] = _pairs(record.sparse)
        return document


def _pairs(sparse: tuple[list[int], list[float]]) -> dict[str, object]:
    return {"indices": sparse[0], "values": sparse[1]}
