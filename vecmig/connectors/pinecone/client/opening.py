"""An index opened: the way to its data, and what of it the data alone can say."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pinecone import Index as RestIndex
from pinecone import Pinecone

from vecmig.connectors.pinecone.client.api import Api
from vecmig.connectors.pinecone.client.calls import Calls
from vecmig.connectors.pinecone.client.documents import DocumentsApi
from vecmig.connectors.pinecone.client.session import data_plane
from vecmig.connectors.pinecone.client.vectors import VectorsApi
from vecmig.connectors.pinecone.limits import METADATA_BYTES
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.connectors.pinecone.records.metadata import Encoding
from vecmig.connectors.pinecone.records.read import Reading, first_records
from vecmig.connectors.pinecone.records.write import Writing
from vecmig.connectors.pinecone.schema import index as control_plane
from vecmig.connectors.pinecone.schema.index import Index
from vecmig.errors import UnsupportedError

PAGE_BYTES = 8 << 20
PEEKED = 3  # namespaces whose first records show whether an index is hybrid


@dataclass(slots=True)
class Opened:
    """An index and the way to its data."""

    index: Index
    api: Api
    calls: Calls
    acknowledged: dict[bytes, dict[str, str]] = field(default_factory=dict)  # see Writing

    @property
    def encoding(self) -> Encoding:
        times = frozenset(each.name for each in self.index.collection.fields if each.type == "datetime")
        return Encoding(times, self.api.reserved, self.api.leading)

    @property
    def writing(self) -> Writing:
        return Writing(self.api, self.calls, self.index.collection.vectors, self.encoding, self.acknowledged)

    def reading(self, page_rows: int | None) -> Reading:
        vectors = self.index.collection.vectors
        size = METADATA_BYTES + sum(4 * each.dimensions for each in vectors)
        return Reading(self.api, self.calls, vectors, self.encoding, page_rows or max(100, PAGE_BYTES // size))

    def close(self) -> None:
        self.calls.close()
        self.api.close()


def opened(options: PineconeOptions, control: Pinecone, calls: Calls, name: str) -> Opened | None:
    """Return the index, or None. Raises UnsupportedError for one that cannot be read whole. `calls`: to control."""
    index = control_plane.find(control, calls, name)
    if index is None:
        return None
    found = Opened(index, _api(options, index), Calls(index.host, name))
    try:
        _complete(found, options)
    except BaseException:
        found.close()
        raise
    return found


def _api(options: PineconeOptions, index: Index) -> Api:
    if index.kind == "vectors":
        dimensions = max((vector.dimensions for vector in index.fields.values()), default=0)
        return VectorsApi(data_plane(options, index.host, grpc=options.transport == "grpc"), dimensions)
    client = data_plane(options, index.host, grpc=False)
    assert isinstance(client, RestIndex)
    fields = {each.kind == "sparse": (name, each) for name, each in index.fields.items()}
    dense, sparse = fields.get(False), fields.get(True)
    return DocumentsApi(
        client, dense[0] if dense else None, sparse[0] if sparse else None, dense[1].dimensions if dense else 0
    )


def _complete(found: Opened, options: PineconeOptions) -> None:
    """Fill in what no schema says: the dimensions of a model's vectors, and whether there are sparse values."""
    if found.index.is_integrated:
        assert isinstance(found.api, VectorsApi)
        dimensions = found.calls.send("stats", found.api.dimensions)
        found.index = control_plane.with_dimensions(found.index, dimensions)
    if found.index.is_doubtful:
        _check_answers(found)
    if control_plane.may_be_hybrid(found.index) and _is_hybrid(found, options):
        found.index = control_plane.with_sparse(found.index)


def _check_answers(found: Opened) -> None:
    """Raise UnsupportedError where the vectors API sees none of the records that are counted: it would be silent."""
    namespaces = _namespaces(found, None)
    reading = found.reading(None)
    if namespaces and not any(first_records(reading, name) for name in namespaces):
        raise UnsupportedError(
            f"index {found.index.collection.name!r} counts records, but the vectors API shows none: if they were deleted"
            " just now, run it again in a minute; else convert it to a document index in Pinecone, and name that one"
        )


def _is_hybrid(found: Opened, options: PineconeOptions) -> bool:
    if options.hybrid is not None:
        return options.hybrid
    reading = found.reading(None)
    return any(
        each.sparse is not None
        for name in _namespaces(found, options.chosen)
        for each in first_records(reading, name)
    )  # fmt: skip


def _namespaces(found: Opened, chosen: frozenset[str] | None) -> Sequence[str]:
    """Return some namespaces that hold records, of those that are read."""
    names = found.calls.send("stats", found.api.stats)
    return sorted(name for name in names if chosen is None or name in chosen)[:PEEKED]
